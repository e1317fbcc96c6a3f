"""The commands on pictures of one's own, gray ones and on a trained parent, as a person types them."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import of_kind
from vit.cli import build_parser, main, train
from vit.data import own
from vit.model import ViT

SMALL = ["--model", "vit_live_patch", "--embed-dim", "24", "--depth", "1", "--num-heads", "2"]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path_factory.mktemp("assets")))
    monkeypatch.setattr(own, "_opened", {})


@pytest.fixture
def photos(tmp_path) -> Path:
    """Gray squares of two brightnesses, with noise, and a file that is none."""
    generator = torch.Generator().manual_seed(0)
    for name, least in (("dark", 0), ("light", 180)):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for i in range(20):
            Image.fromarray((least + torch.randint(60, (40, 50), generator=generator)).byte().numpy()).save(
                folder / f"{i}.png"
            )
    (tmp_path / "photos" / "dark" / "notes.txt").write_text("no picture")
    return tmp_path / "photos"


def test_gray_pictures_are_trained_on_tested_named_and_looked_into(photos, tmp_path, capsys):
    out, picture = tmp_path / "out", str(photos / "light" / "3.png")
    length = ["--epochs", "20", "--precision", "fp32"]
    assert main(["train", "--dataset", str(photos), *SMALL, *length, "--out", str(out), "--json"]) == 0
    said = capsys.readouterr().err
    assert "1 file was left out: dark/notes.txt is a text" in said
    model = ViT.from_pretrained(out)
    assert (model.config["in_chans"], model.config["img_size"], len(model.mean)) == (1, 32, 1)
    header = (out / "README.md").read_text().split("---")[1]
    assert "name: ViT on photos" in header and str(tmp_path) not in header
    assert main(["evaluate", str(out), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["n"], report["accuracy"]) == (8, 1.0)
    assert main(["predict", str(out), picture, "--json"]) == 0
    assert next(iter(json.loads(capsys.readouterr().out)[picture])) == "light"
    assert main(["pictures", str(out)]) == 2
    assert "test pictures of cifar10, shapes alone, and this model knows" in capsys.readouterr().err
    for file in ("map.png", "map.npz"):
        assert main(["attention", str(out), picture, "--relevance", "light", "--out", str(tmp_path / file)]) == 0
    assert np.load(tmp_path / "map.npz")["picture"].shape == (32, 32, 3)
    capsys.readouterr()


def test_a_parent_of_three_channels_learns_gray_pictures_at_its_own_size(photos, tmp_path, capsys):
    parent, out = of_kind("registers"), tmp_path / "out"
    parent.classes, parent.trained = tuple("abcdefghij"), {"model": "vit_live_patch"}
    parent.save_pretrained(tmp_path / "parent")
    flags = [
        "--dataset",
        str(photos),
        "--from",
        str(tmp_path / "parent"),
        "--train",
        "head",
        "--out",
        str(out),
        "--json",
    ]
    assert main(["train", *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    model = ViT.from_pretrained(out)
    assert (model.config["in_chans"], model.config["img_size"], model.classes) == (3, 32, ("dark", "light"))
    assert report["accuracy"] == 1.0 and "--img-size 32" in model.trained["command"]
    assert main(["evaluate", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0


def test_what_can_not_be_is_one_line(photos, tmp_path, capsys):
    for flags, words in (
        (["--dataset", str(photos / "dark")], "holds 21 files and no folder"),
        (["--dataset", str(tmp_path / "nowhere")], "or a folder with a folder of pictures for each class"),
        (["--dataset", str(photos), "--classes", "dark"], "With one class there is nothing to tell apart"),
        (["--dataset", str(photos), "--classes", "red", "dark"], "has no class 'red'; choose of dark, light"),
        (["--dataset", str(photos), "--train", "head"], "learns on a trained body; name one: --from"),
    ):
        assert main(["train", *flags, "--out", str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err
        assert words in said and "Traceback" not in said, said
    assert not (tmp_path / "out").exists()


def test_pictures_that_came_later_are_not_tested_with_as_all_are_dealt_anew(photos, tmp_path, capsys):
    flags = ["train", "--dataset", str(photos), *SMALL, "--epochs", "2", "--precision", "fp32", "--out"]
    done, halted = str(tmp_path / "done"), str(tmp_path / "halted")
    assert main([*flags, done]) == 0
    steps = train._new(build_parser().parse_args([*flags, halted]), torch.device("cpu")).steps(save_every=60)
    next(steps)
    steps.close()
    assert main(["evaluate", done]) == 0
    new = photos / "light" / "new.png"
    Image.new("L", (40, 50), 7).save(new)
    for command in (["evaluate", done], ["train", "--resume", halted]):
        capsys.readouterr()
        assert main(command) == 2
        assert "has 41 pictures, and had 40 when the model was trained" in capsys.readouterr().err
    new.unlink()
    assert main(["evaluate", done]) == main(["train", "--resume", halted]) == 0


def test_pictures_to_learn_from_may_come_where_those_to_test_with_have_a_folder(photos, tmp_path):
    root = tmp_path / "split"
    shutil.copytree(photos, root / "train")
    for kind, name in (("dark", "0.png"), ("light", "1.png")):
        (root / "test" / kind).mkdir(parents=True)
        (root / "train" / kind / name).rename(root / "test" / kind / name)
    flags = ["--dataset", str(root), *SMALL, "--epochs", "1", "--precision", "fp32", "--out", str(tmp_path / "out")]
    assert main(["train", *flags]) == 0
    Image.new("L", (40, 50), 7).save(root / "train" / "light" / "new.png")
    assert main(["evaluate", str(tmp_path / "out")]) == 0


def test_of_some_classes_the_usual_batch_is_no_more_than_their_pictures_and_a_chosen_one_is_kept(tmp_path, capsys):
    for label in range(12):
        folder = tmp_path / "many" / f"kind {label}"
        folder.mkdir(parents=True)
        for i in range(5):
            Image.new("L", (32, 32), 5 * (5 * label + i) % 256).save(folder / f"{i}.png")
    flags = ["train", "--dataset", str(tmp_path / "many"), "--classes", "kind 0", "kind 1", "--epochs", "1", *SMALL]
    assert main([*flags, "--precision", "fp32", "--out", str(tmp_path / "out")]) == 0
    assert ViT.from_pretrained(tmp_path / "out").trained["config"]["batch_size"] == 1  # of 6 pictures; 12 of all
    assert main([*flags, "--precision", "fp32", "--batch-size", "12", "--out", str(tmp_path / "other")]) == 2
    assert "batch_size 12: expected 1 to 6" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_class_whose_folder_is_named_in_no_utf8_is_learned_as_any(photos, tmp_path):
    name = b"caf\xe9".decode(errors="surrogateescape")
    (photos / "light").rename(photos / name)
    out = tmp_path / "out"
    flags = ["--dataset", str(photos), *SMALL, "--epochs", "1", "--precision", "fp32", "--out", str(out)]
    assert main(["train", *flags]) == main(["evaluate", str(out), "--json"]) == 0
    assert ViT.from_pretrained(out).classes == (name, "dark")
    assert "apart: caf?, dark." in (out / "README.md").read_text(encoding="utf-8")
