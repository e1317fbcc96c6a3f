"""A dataset that nobody but its entry knows of: trained on, saved and classified with, by command line and page."""

import json
import time

import pytest
import torch
from PIL import Image

from vit import ViT
from vit.cli import main
from vit.data import registry
from vit.live import datasets, models, runs, settings, storage
from vit.live.run import changed
from vit.ui import analysis, pictures
from vit.ui.classify import answer
from vit.ui.train import form, view

SIZE, CLASSES = 24, ("dark", "middle", "light")


def read(progress) -> dict:
    """Flat squares of three brightnesses, with a little noise."""
    tensors = {}
    for seed, (split, count) in enumerate((("train", 240), ("test", 60))):
        labels = torch.arange(count) % 3
        noise = torch.randint(40, (count, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(seed))
        images = (100 * labels[:, None, None, None] + noise).to(torch.uint8)
        tensors |= {f"{split}.images": images, f"{split}.labels": labels}
    return tensors


@pytest.fixture(autouse=True)
def brightness(monkeypatch, tmp_path):
    monkeypatch.setattr(storage, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(runs, "RUNS", {})
    about = {"label": "Brightness", "description": "Flat squares.", "loader": read, "classes": CLASSES}
    about |= {"size": SIZE, "channels": 3, "mean": (0.47,) * 3, "std": (0.32,) * 3, "hub_name": "nobody/brightness"}
    yield registry.register("brightness", **about, recipe={"crop": 0, "batch_size": 24})
    del registry.DATASETS["brightness"]
    datasets.SOURCES.pop("brightness", None)


def test_the_command_line_trains_tests_and_predicts(tmp_path, capsys):
    shape = ["--model", "vit_live_patch", "--embed-dim", "24", "--depth", "1", "--num-heads", "2"]
    out, file = tmp_path / "out", tmp_path / "light.png"
    assert main(["train", "--dataset", "brightness", "--epochs", "6", *shape, "--out", str(out), "--json"]) == 0
    capsys.readouterr()
    assert main(["evaluate", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["n"] == 60 and report["accuracy"] > 0.9 and list(report["per_class"]) == list(CLASSES)
    Image.new("RGB", (50, 40), (220, 220, 220)).save(file)
    assert main(["predict", str(out), str(file), "--json"]) == 0
    assert next(iter(json.loads(capsys.readouterr().out)[str(file)])) == "light"
    model = ViT.from_pretrained(out)
    assert (model.config["img_size"], model.mean) == (SIZE, (0.47,) * 3)
    assert (model.trained["dataset"], model.trained["config"]["batch_size"]) == ("brightness", 24)
    assert "nobody/brightness" in (out / "README.md").read_text()


def test_the_page_offers_it_trains_on_it_and_classifies_with_it(brightness):
    offered = {"dataset": "brightness", "model": "vit_live_patch", "minutes": 0.05}
    spec = settings.read(offered, {"embed_dim": 24, "depth": 1, "num_heads": 2, "patch_size": 8})
    assert form.fill_classes("brightness").value == list(CLASSES)
    run = runs.start(spec)
    deadline = time.monotonic() + 180
    with changed:
        while run.live:
            assert time.monotonic() < deadline
            changed.wait(0.1)
    assert run.status == "finished", run.message
    assert run.evaluation.n == 60 and view.forming(run)["classes"] == list(CLASSES)
    assert models.title(run.id, {}) == "vit-live-patch · Brightness"
    assert pictures.gallery_source(run.id) == "brightness"
    seen = analysis.analyze(run.id, ("brightness", 2))
    assert seen.truth == "light" and seen.probabilities.shape == (3,)
    assert {name for name, *_ in answer.payload(seen, run.id, ("brightness", 2))["bars"]} == set(CLASSES)
    assert "of Brightness, not used in training" in pictures.gallery(run.id, 0, ("brightness", 2))["note"]
    runs.RUNS.clear()  # as after a restart
    found = runs.find(run.id)
    assert found.settings == spec.computed_in(found.precision)
