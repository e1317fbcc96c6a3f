"""The card: corruptions corrupt as much as they say, calibration and intervals are what they should be."""

import json

import pytest
import torch

from vit import ViT
from vit.cli import main
from vit.data import Splits
from vit.data.corruptions import CORRUPTIONS
from vit.report import calibration_error, wilson


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


@pytest.mark.slow
def test_evaluate_with_card_writes_what_it_measured(shapes, monkeypatch, tmp_path, capsys):
    part = Splits(*(split.take(slice(100)) for split in shapes))
    monkeypatch.setattr("vit.cli.evaluate.load", lambda name, validation_size=None: part)
    model = ViT(embed_dim=24, depth=2, num_heads=3)
    model.classes, model.mean, model.std = part.test.classes, part.test.mean, part.test.std
    model.trained = {"dataset": "shapes", "validation_accuracy": None}
    folder = model.save_pretrained(tmp_path / "half", torch.float16)
    assert main(["evaluate", str(folder), "--card", "--json"]) == 0
    accuracy = json.loads(capsys.readouterr().out)["accuracy"]
    card = (folder / "README.md").read_text()
    assert f"**{100 * accuracy:.2f}%** of 100 test images" in card
    assert "split: test" in card
    assert all(f"| {name} | " in card for name in (*CORRUPTIONS, *part.test.classes))
    assert ViT.from_pretrained(folder).trained["test_accuracy"] == accuracy
    assert (folder / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert main(["evaluate", "owner/name", "--card"]) == 2
