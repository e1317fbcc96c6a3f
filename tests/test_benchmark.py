"""The benchmark: everybody trains the same thing, every row is measured, a missing library is a row that says so."""

import json
import sys
from pathlib import Path

import pytest
import torch

from vit import benchmark, data
from vit.baselines import CONTENDERS, usual_batches
from vit.cli import main
from vit.data import Splits


@pytest.fixture
def small(monkeypatch, shapes) -> Splits:
    """Few pictures in small batches: the same code in seconds."""
    monkeypatch.setattr(benchmark, "BATCH", 2)
    monkeypatch.setattr(benchmark, "WARMUP", 1)
    monkeypatch.setattr(benchmark, "BATCHES_A_STEP", 1)
    part = Splits(*(split.take(slice(40)) for split in shapes))
    monkeypatch.setattr("vit.cli.benchmark.load", lambda name: part)
    return part


@pytest.mark.parametrize("name", list(CONTENDERS))
def test_everybody_has_the_same_shape(name):
    model = CONTENDERS[name]()
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    # vit-pytorch normalizes its patches too and has no bias in qkv
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(5_362_762, rel=0.002)


def test_attention_written_out_attends_as_the_fast_path():
    ours, written_out = CONTENDERS["ours"](), CONTENDERS["ours-written-out"]()
    written_out.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(written_out(images), ours(images), atol=1e-5, rtol=0)


def test_the_usual_loop_sees_augmented_normalized_pictures_of_the_set(shapes):
    part = shapes.train.take(slice(64))
    images, labels = next(usual_batches(part, 64))
    assert sorted(labels.tolist()) == sorted(part.labels.tolist())
    assert images.dtype == torch.float32
    mean, std = (torch.tensor(values)[:, None, None] for values in (part.mean, part.std))
    pixels = images * std + mean
    assert pixels.min() >= -1e-5 and pixels.max() <= 1 + 1e-5
    assert pixels.mean() == pytest.approx(part.images.float().mean().item() / 255, abs=0.05)
    originals = {image.numpy().tobytes() for image in data.normalize(part.images, part.mean, part.std)}
    assert sum(image.numpy().tobytes() in originals for image in images) < 8


@pytest.mark.slow
def test_benchmark_measures_every_row_and_writes_table_json_and_figure(small, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.models.vision_transformer", None)
    choice = ["--only", "ours", "timm", "--repeats", "2", "--steps", "1"]
    timed = ["--minutes", "0.005", "--accuracy-of", "vit_live", "ours-written-out", "--seeds", "2"]
    assert main(["benchmark", *choice, *timed, "--out", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "benchmark.json").read_text())
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    ours = [row for row in report["rates"] if row["contender"] == "ours" and row["rates"]]
    assert {row["row"] for row in ours} == {"compute", "usual loop", "our loop"}
    assert all(len(row["rates"]) == 2 and min(row["rates"]) > 0 for row in ours)
    assert {row["contender"] for row in report["rates"] if row["row"] == "data"} == {"usual loop", "our loop"}
    missing = [row for row in report["rates"] if row["contender"] == "timm" and row["precision"] == "float32"]
    assert all("not installed" in row["note"] and not row["rates"] for row in missing)
    assert [(row["contender"], len(row["accuracies"])) for row in report["accuracies"]] == [
        ("vit_live", 2),
        ("ours-written-out", 2),
    ]
    assert main(["benchmark", *choice]) == 0
    table = capsys.readouterr().out
    assert "| ours |" in table
    assert "not installed" in table


def test_accuracy_alone_is_measured_and_a_missing_library_is_said_at_once(small, monkeypatch, tmp_path, capsys):
    timed = ["benchmark", "--only", "--minutes", "0.002", "--seeds", "1", "--accuracy-of", "vit_live"]
    assert main([*timed, "--out", str(tmp_path)]) == 0
    assert "| vit_live | 0.002 |" in capsys.readouterr().out
    report = json.loads((tmp_path / "benchmark.json").read_text())
    assert len(report["accuracies"][0]["accuracies"]) == 1
    assert "rates" not in report and not (tmp_path / "benchmark.png").exists()
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.models.vision_transformer", None)
    assert main([*timed, "timm"]) == 2
    assert "timm is not installed" in capsys.readouterr().err


def test_the_published_numbers_are_named_as_the_code_names_them_and_no_list_is_empty():
    report = json.loads(Path("docs/benchmark/benchmark.json").read_text(encoding="utf-8"))
    assert {row["contender"] for row in report["rates"] if row["row"] != "data"} == set(CONTENDERS)
    assert all(report.values()) and all(row["rates"] for row in report["rates"])
    table = Path("README.md").read_text(encoding="utf-8")
    for row in report["rates"]:
        median, low, high = (f"{number:.0f}" for number in (row["median"], min(row["rates"]), max(row["rates"])))
        assert row["row"] == "data" or f" {median} ({low}-{high}) |" in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--repeats", "0"], "--repeats"),
        (["--seeds", "0"], "--seeds"),
        (["--minutes", "-1"], "minutes"),
        (["--accuracy-of", "resnet"], "resnet"),
    ],
)
def test_a_wrong_choice_is_one_line_before_any_work(arguments, words, capsys):
    assert main(["benchmark", *arguments]) == 2
    assert words in capsys.readouterr().err
