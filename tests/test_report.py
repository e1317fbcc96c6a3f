"""The card: corruptions corrupt as much as they say, calibration and intervals are what they should be."""

import json

import pytest
import torch

from vit import ViT
from vit.cli import main
from vit.data import Splits
from vit.data.corruptions import CORRUPTIONS
from vit.report import measure
from vit.report.calibration import calibration, calibration_error, fit_temperature, wilson


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_a_corruption_keeps_the_shape_repeats_itself_and_grows_with_its_severity(name, shapes):
    images = shapes.test.images[:64]
    corrupted = [CORRUPTIONS[name](images, severity, torch.Generator().manual_seed(0)) for severity in (1, 2, 3)]
    again = CORRUPTIONS[name](images, 3, torch.Generator().manual_seed(0))
    assert torch.equal(again, corrupted[2])
    assert all(image.shape == images.shape and image.dtype == torch.uint8 for image in corrupted)
    changes = [(image.float() - images.float()).abs().mean().item() for image in corrupted]
    assert 0 < changes[0] < changes[1] < changes[2]


def test_occlusion_covers_one_square_of_its_size_within_the_picture():
    images = torch.zeros(200, 3, 32, 32, dtype=torch.uint8)
    for severity, side in ((1, 8), (2, 12), (3, 16)):
        covered = CORRUPTIONS["occlusion"](images, severity, torch.Generator().manual_seed(0)) == 128
        assert (covered.sum((1, 2, 3)) == 3 * side**2).all()
        assert (covered.any(1).any(2).sum(1) == side).all()


def test_wilson_interval_against_known_values():
    assert wilson(0.5, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    low, high = wilson(1.0, 10)
    assert (low, high) == pytest.approx((0.7225, 1.0), abs=1e-4)


def test_calibration_error_is_the_gap_between_confidence_and_accuracy():
    right = torch.arange(1000) % 10 < 7
    assert calibration_error(torch.full((1000,), 0.7), right) == pytest.approx(0, abs=1e-6)
    assert calibration_error(torch.full((1000,), 0.95), right) == pytest.approx(0.25, abs=1e-6)
    assert calibration_error(torch.ones(10), torch.ones(10, dtype=torch.bool)) == 0


def test_a_fitted_temperature_brings_confidence_to_accuracy_and_says_the_direction():
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20000, 5, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]  # so these logits are calibrated
    for factor, direction in ((3, "over-confident"), (0.4, "under-confident")):
        temperature = fit_temperature(factor * logits, labels)
        assert temperature == pytest.approx(factor, rel=0.03)
        before, after = (calibration(factor * logits, labels, t) for t in (1, temperature))
        assert before.direction.startswith(direction) and before.error > 0.05
        assert after.error < 0.015 and after.accuracy == before.accuracy
    with pytest.raises(ValueError, match="pictures"):
        fit_temperature(logits[:0], labels[:0])


@pytest.fixture
def folder(shapes, monkeypatch, tmp_path):
    part = Splits(*(split.take(slice(100)) for split in shapes))
    monkeypatch.setattr("vit.cli.report.splits_of", lambda model, name: part)
    monkeypatch.setattr("vit.cli.report.load", lambda name: part)
    torch.manual_seed(0)
    model = ViT(embed_dim=24, depth=2, num_heads=3)
    model.classes, model.mean, model.std = part.test.classes, part.test.mean, part.test.std
    model.trained = {"dataset": "shapes", "validation_accuracy": 0.5}
    return model.save_pretrained(tmp_path / "half", torch.float16)


@pytest.mark.slow
def test_a_report_writes_what_it_measured(folder, shapes, capsys):
    assert main(["report", str(folder), "--pictures", "10", "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)
    accuracy, card = parts["accuracy"]["accuracy"], (folder / "README.md").read_text()
    assert accuracy == sum(parts["accuracy"]["confusion"][i][i] for i in range(10)) / 100
    assert f"**{100 * accuracy:.2f}%** of 100 test images" in card
    assert "split: test" in card and "100 validation images" in card and "TFLOP/s" in card
    assert all(f"| {name} | " in card for name in (*CORRUPTIONS, *shapes.test.classes, *measure.MAPS))
    assert parts["calibration"]["before"]["direction"] in card
    loaded = ViT.from_pretrained(folder)
    assert loaded.trained["test_accuracy"] == accuracy
    assert loaded.temperature == parts["calibration"]["temperature"] != 1
    assert (folder / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert len(parts["covering"]["mean"]["cost"]) == len(measure.MAPS)


@pytest.mark.slow
def test_a_stopped_report_goes_on_where_it_was_and_starts_again_for_other_weights(folder, monkeypatch):
    called = []

    def counted(name, part):
        def run(*arguments):
            called.append(name)
            if name == "heads" and called.count("heads") == 1:
                raise KeyboardInterrupt
            return part(*arguments)

        return run

    parts = {name: counted(name, part) for name, part in measure.PARTS.items()}
    monkeypatch.setattr(measure, "PARTS", parts)
    command, config = ["report", str(folder), "--pictures", "10"], (folder / "config.json").read_text()
    assert main(command) == 130
    assert (folder / "config.json").read_text() == config
    assert main(command) == 0
    assert [called.count(name) for name in parts] == [2 if name == "heads" else 1 for name in parts]
    model = ViT.from_pretrained(folder)
    model.head.weight.data += 1
    model.save_pretrained(folder)
    assert main(command) == 0
    assert called.count("accuracy") == 2
    assert main(["report", str(folder), "--pictures", "11"]) == 0
    assert called.count("accuracy") == 3


@pytest.mark.slow
def test_without_pictures_kept_from_training_half_of_the_test_set_fits_and_the_other_is_scored(folder, capsys):
    model = ViT.from_pretrained(folder)
    model.trained["validation_accuracy"] = None
    model.save_pretrained(folder)
    assert main(["report", str(folder), "--pictures", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["calibration"]
    assert found["before"]["n"] == found["after"]["n"] == 50
    card = (folder / "README.md").read_text()
    assert "50 test images, a random half, as no picture was kept from training" in card
    assert "the other 50" in card


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["report", "owner/name"], "download it first"),
        (["report", "FOLDER", "--pictures", "1"], "2 to 100"),
        (["report", "FOLDER", "--pictures", "101"], "2 to 100"),
        (["evaluate", "FOLDER", "--card"], "python -m vit report"),
    ],
)
def test_what_cannot_be_reported_is_said(command, words, folder, capsys):
    assert main([str(folder) if word == "FOLDER" else word for word in command]) == 2
    assert words in capsys.readouterr().err
