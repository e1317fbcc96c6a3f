"""The card: corruptions corrupt as much as they say, calibration and intervals are what they should be."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.io import decode_image, encode_jpeg

from vit import ViT, figures
from vit.cli import main
from vit.cli.report import _foreign
from vit.data import DATASETS, DatasetUnavailable, Splits
from vit.data.corruptions import CORRUPTIONS
from vit.interpret.attention import patch_coverage
from vit.interpret.cover import FILLS, cover
from vit.interpret.describe import SINK
from vit.interpret.intervals import mean_interval
from vit.interpret.statistics import TABLE, head_statistics
from vit.interpret.trace import trace
from vit.interpret.views import middle_of_picture
from vit.report import maps, measure
from vit.report.calibration import calibration, calibration_error, fit_temperature, wilson
from vit.report.card import write_card


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


def test_the_mildest_jpeg_has_half_the_color_on_each_side(shapes):
    """Quality 75 and 4:2:0, as pictures on the web mostly have."""
    image = torch.full((3, 32, 32), 128, dtype=torch.uint8)
    image[0, :, ::2] = 255  # columns of red, one pixel wide: brightness differs too, so compare colors alone
    color = (image[0].float() - image[2].float()).std()
    kept = CORRUPTIONS["jpeg"](image[None], 1, torch.Generator())[0].float()
    assert (kept[0] - kept[2]).std() < 0.2 * color
    by_hand = decode_image(encode_jpeg(shapes.test.images[0], 75))
    assert torch.equal(CORRUPTIONS["jpeg"](shapes.test.images[:1], 1, torch.Generator())[0], by_hand)


def test_a_shift_moves_each_picture_towards_one_of_its_corners(shapes):
    images, inner = shapes.test.images[:40], (..., slice(2, -2), slice(2, -2))  # away from the edge, which is repeated
    moved = CORRUPTIONS["shift"](images, 2, torch.Generator().manual_seed(0))
    ways = [images.roll((y, x), (2, 3)) for y in (-2, 2) for x in (-2, 2)]
    fits = torch.stack([(way[inner] == moved[inner]).flatten(1).all(1) for way in ways])
    assert fits.any(0).all() and fits.any(1).all()


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


@pytest.mark.parametrize(("classes", "numbers"), [(4, 16), (5, 0)])
def test_a_confusion_matrix_has_numbers_where_they_can_be_read(classes, numbers, monkeypatch):
    monkeypatch.setattr(figures, "LEGIBLE", 4)
    figure = figures.confusion_figure(np.ones((classes, classes), int), tuple(map(str, range(classes))))
    assert len(figure.axes[0].texts) == numbers


def silent(done: float) -> None:
    pass


@pytest.mark.parametrize("masked", [True, False], ids=["masks", "no masks"])
def test_what_is_said_of_heads_is_the_table_of_statistics_over_all_pictures(masked, small_vit, shapes):
    part = shapes.test.take(slice(30))  # a batch of 25, and one of 5
    part = part if masked else replace(part, masks=None)
    small_vit.mean, small_vit.std = part.mean, part.std
    found = maps.heads(small_vit, part, silent)
    images = small_vit.normalize(part.images)
    middle = middle_of_picture(small_vit.grid_size).expand(30, -1, -1)
    objects = patch_coverage(part.masks, small_vit.grid_size, 4) if masked else middle
    told = head_statistics(trace(small_vit, images), objects)
    for row in TABLE:
        values = torch.tensor(
            [[math.nan if value is None else value for value in layer] for layer in found["values"][row.name]]
        )
        torch.testing.assert_close(values, told.of_heads(row.name), rtol=1e-4, atol=1e-5, equal_nan=True, msg=row.name)
        assert found["uniform"][row.name] == pytest.approx(told.uniform[row.name], rel=1e-4, abs=1e-6), row.name
    assert found["area"] == pytest.approx(told.area) and ("object" in found["region"]) == masked
    share = told.of_heads("entropy").mean(1) / math.log(65)
    assert found["entropy_share"] == pytest.approx(share.tolist(), rel=1e-4)
    assert found["divergence"] == pytest.approx(told.of_heads("head_divergence").mean(1).tolist(), rel=1e-4)


def test_a_head_that_gives_nearly_all_to_the_class_token_is_counted_as_a_sink(small_vit, shapes, monkeypatch):
    def with_sink(model, images):
        record = trace(model, images)
        sink = record.layers[1].map.clone()
        sink[:, 2] = torch.eye(65)[0] * (SINK + 0.05) + (0.95 - SINK) / 65
        layers = (record.layers[0], replace(record.layers[1], map=sink), *record.layers[2:])
        return replace(record, layers=layers)

    before = maps.heads(small_vit, shapes.test.take(slice(2)), silent)["sinks"]
    monkeypatch.setattr(maps, "trace", with_sink)
    after = maps.heads(small_vit, shapes.test.take(slice(2)), silent)["sinks"]
    assert 2 not in before[1] and after == [before[0], sorted([*before[1], 2]), before[2]]


def test_covering_is_of_the_true_class_and_its_ratio_that_of_the_means_with_intervals_around(small_vit, shapes):
    part = shapes.test.take(slice(30))
    small_vit.mean, small_vit.std = part.mean, part.std
    found = maps.covering(small_vit, part, 0, silent)
    images = small_vit.normalize(part.images)
    last = trace(small_vit, images).maps[:, -1].mean(1)[:, :1, 1:]
    assert found["n"] == 30 and set(found["fills"]) == set(FILLS)
    for fill, told in found["fills"].items():
        cost = cover(small_vit, images, last, part.labels, torch.Generator().manual_seed(0), fill=fill)
        drop, random = cost.brightest[:, 0], cost.random.mean(1)
        name = maps.MAPS[0]
        for values, numbers in ((drop, told["drop"][name]), (random, told["random"])):
            low, high = mean_interval(values, -1, 1)
            assert numbers == pytest.approx([values.mean().item(), low.item(), high.item()], abs=1e-5)
        ratio, low, high = told["ratio"][name]
        assert ratio == pytest.approx((drop.mean() / random.mean()).item(), rel=1e-3)
        assert (low or 0) <= max(ratio, 0) <= (high or math.inf)
    assert maps.covering(small_vit, part.take(slice(0)), 0, silent) == {"n": 0, "fills": {}}


def test_pictures_of_something_else_show_none_of_the_models_classes(shapes, monkeypatch):
    def load(name):
        if name == "cifar10":
            raise DatasetUnavailable("Connect to the internet.")
        return shapes

    monkeypatch.setattr("vit.cli.report.load", load)
    hearts = replace(shapes.test, name="photos", classes=("dog", "HEART"))
    found = _foreign(hearts)
    assert found.classes == tuple(name for name in shapes.test.classes if name != "heart")
    assert len(found) == 1800 and found.labels.bincount().tolist() == [200] * 9
    with pytest.raises(ValueError, match=r"something else than heart, .*: Connect to the internet"):
        _foreign(replace(shapes.test, name="photos", classes=("heart", *found.classes)))


@pytest.fixture
def folder(shapes, monkeypatch, tmp_path):
    part = Splits(*(split.take(slice(100)) for split in shapes))
    monkeypatch.setattr("vit.cli.report.splits_of", lambda model, name, used: part)
    other = Splits(*(replace(split, name="cifar10", classes=DATASETS["cifar10"].classes) for split in part))
    monkeypatch.setattr("vit.cli.report.load", lambda name: other)
    torch.manual_seed(0)
    model = ViT(embed_dim=24, depth=2, num_heads=3)
    model.classes, model.mean, model.std = part.test.classes, part.test.mean, part.test.std
    model.trained = {"dataset": "shapes", "validation_accuracy": 0.5}
    return model.save_pretrained(tmp_path / "half", torch.float16)


def test_of_foreign_pictures_no_more_are_scaled_than_are_measured(folder, monkeypatch):
    seen = []

    def stopped(inputs, *_):
        seen.append(len(inputs.foreign))
        raise KeyboardInterrupt

    monkeypatch.setattr(measure, "measure", stopped)
    assert main(["report", str(folder), "--pictures", "3"]) == 130
    assert seen == [3 * measure.MORE]


@pytest.mark.slow
def test_a_report_writes_what_it_measured(folder, shapes, capsys):
    assert main(["report", str(folder), "--pictures", "10", "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)
    accuracy, card = parts["accuracy"]["accuracy"], (folder / "README.md").read_text()
    assert accuracy == sum(parts["accuracy"]["confusion"][i][i] for i in range(10)) / 100
    assert f"**{100 * accuracy:.2f}%** of 100 test images" in card
    assert "split: test" in card and "100 validation images" in card and "TFLOP/s" in card
    assert all(f"| {name} | " in card for name in (*CORRUPTIONS, *shapes.test.classes, *maps.MAPS, "random"))
    assert all(f" | {row.meaning} |" in card for row in TABLE) and "nan" not in card and "None" not in card
    right = round(100 * accuracy)
    assert parts["covering"]["n"] == min(100, right)
    assert parts["heads"]["n"] == 100 and parts["corruptions"]["n"] == 50
    assert all(part["seconds"] >= 0 for part in parts.values())
    assert parts["calibration"]["before"]["direction"] in card
    loaded = ViT.from_pretrained(folder)
    assert loaded.trained["test_accuracy"] == accuracy
    assert loaded.temperature == parts["calibration"]["temperature"] != 1
    assert (folder / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert parts["areas"]["n"] == 10 and set(parts["areas"]["fills"]) == set(FILLS)


def test_an_accuracy_is_said_of_the_dataset_that_it_was_measured_on(folder):
    figures = {"confidence": 0.5, "accuracy": 0.5, "direction": "too sure", "error": 0.1}
    both = {"temperature": 1.0, "fitted_on": "some", "scored_on": "others", "before": figures, "after": figures}
    foreign = {"name": "cats", "confidence": 0.5, "confident": 0.1, "confident_here": 0.2}
    speed = {"latency": 1.0, "latency_with_maps": None, "load": None, "device": "CPU", "tflops": 1.0, "torch": "2"}
    accuracy = {
        "accuracy": 0.25,
        "interval": [0.2, 0.3],
        "n": 100,
        "per_class": [None] * 10,
        "confusion": [[1] * 10] * 10,
    }
    named = zip(("accuracy", "calibration", "foreign", "speed"), (accuracy, both, foreign, speed), strict=True)
    parts = {name: {**part, "seconds": 1.0} for name, part in named}
    for dataset, said, more in (("my photos", " of my photos", " --dataset 'my photos'"), ("shapes", "", "")):
        model = ViT.from_pretrained(folder)
        write_card(model, parts, folder, 10, dataset)
        text = (folder / "README.md").read_text()
        assert f"**25.00%** of 100 test images{said} are recognized (95% interval 20.00% to\n30.00%)" in text
        assert f"\npython -m vit report {folder.as_posix()} --pictures 10{more}\n" in text
        assert "# ViT on shapes" in text and f"name: {dataset}\n" in text.split("---")[1]
        assert ViT.from_pretrained(folder).trained.get("test_dataset") == (dataset if more else None)


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
    command = ["report", str(folder), "--pictures", "10"]
    assert main(command) == 130
    card = (folder / "README.md").read_text()
    assert "Not measured yet: heads, corruptions, areas. The same command goes on" in card and "a fifth costs" in card
    assert ViT.from_pretrained(folder).temperature != 1 and "where it was stopped" in card
    assert main(command) == 0
    assert "Not measured yet" not in (folder / "README.md").read_text()
    assert [called.count(name) for name in parts] == [2 if name == "heads" else 1 for name in parts]
    model = ViT.from_pretrained(folder)
    model.head.weight.data += 1
    model.save_pretrained(folder)
    assert main(command) == 0
    assert called.count("accuracy") == 2
    assert main(["report", str(folder), "--pictures", "11"]) == 0
    assert called.count("accuracy") == 3


@pytest.mark.parametrize(
    ("trained", "kept"),
    [
        ({"dataset": "shapes", "validation_accuracy": None, "validation_size": None}, True),  # stopped before the first
        ({"dataset": "shapes", "validation_accuracy": None, "validation_size": 7}, True),
        ({"dataset": "shapes", "validation_accuracy": 0.5}, True),  # of an older version
        ({"dataset": "shapes", "validation_accuracy": None, "validation_size": 0}, False),
        ({"dataset": "shapes"}, False),  # of a model that was resized, of which nobody knows
        ({}, False),
    ],
)
def test_pictures_that_were_kept_from_training_are_fitted_on_whether_measured_or_not(trained, kept, shapes, small_vit):
    part = Splits(*(split.take(slice(20)) for split in shapes))
    small_vit.trained = trained
    inputs = measure.Inputs(small_vit, part, part.test, 2)
    inputs._logits.update(dict.fromkeys(("test", "held out"), torch.zeros(20, 10)))
    _, _, fitted_on, scored_on = measure._held_out(inputs, silent)
    halves, whole = ("10 test images, a random half", "the other 10"), ("20 validation images", "all 20 test images")
    expected = whole if kept else halves
    assert fitted_on.startswith(expected[0]) and scored_on == expected[1]


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
