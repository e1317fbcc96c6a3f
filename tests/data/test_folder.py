"""Pictures of one's own in folders and zips: what is read, how it is split, and what is refused in a sentence."""

import os
import statistics
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from vit import ViT, data
from vit.data import folder, own, packed
from vit.data.registry import entry
from vit.training import TrainConfig, train

COLORS = {"dark": (20, 30, 40), "light": (220, 210, 200), "red": (200, 20, 10)}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    assets = tmp_path_factory.mktemp("assets")
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(assets))
    monkeypatch.setattr(own, "_opened", {})
    return assets / "vit" / "pictures"


def draw(path: Path, color: tuple, number: int) -> None:
    """A picture of that color, and different from all others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (24, 20), color)
    image.putpixel((3 + number % 18, 2 + number // 18), (0, 0, 0))
    image.save(path)


def photos(root: Path, count: int = 10, colors: dict = COLORS) -> Path:
    for number, (name, color) in enumerate(colors.items()):
        for i in range(count):
            draw(root / name / f"{i}.png", color, 40 * number + i)
    return root


def shown(dataset: data.Dataset) -> set[tuple[str, str]]:
    """(class, color) of every picture, as it lies in the tensors."""
    names = {tuple(color): name for name, color in COLORS.items()}
    middle = dataset.images[:, :, -3, -3].tolist()
    return {(dataset.classes[label], names[tuple(color)]) for label, color in zip(dataset.labels.tolist(), middle)}


def test_a_folder_of_folders_is_split_by_class_the_same_for_everybody(tmp_path, monkeypatch):
    splits = data.load(str(photos(tmp_path / "one")), img_size=16)
    assert splits.train.classes == ("dark", "light", "red")
    assert [len(split) for split in splits] == [21, 3, 6]
    assert all(set(split.labels.bincount().tolist()) == {len(split) // 3} for split in splits)
    assert all({a for a, _ in shown(s)} == set(COLORS) and all(a == b for a, b in shown(s)) for s in splits)
    everything = torch.cat([split.images.flatten(1) for split in splits])
    assert len(everything.unique(dim=0)) == 30, "no picture is in two splits"
    again = data.load(str(photos(tmp_path / "another place")), img_size=16)
    assert all(torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) for a, b in zip(splits, again))
    more = data.load(str(tmp_path / "one"), img_size=16, validation_size=6)
    assert torch.equal(more.validation.images[:3], splits.validation.images)
    pixels = splits.train.images.double() / 255
    assert splits.train.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-4)
    assert entry(str(tmp_path / "one"), 16).std == splits.train.std


def test_folders_of_splits_are_taken_as_they_are(tmp_path):
    for split, count in (("train", 8), ("val", 3), ("test", 4)):
        photos(tmp_path / split, count, {name: tuple(c + count for c in color) for name, color in COLORS.items()})
    splits = data.load(str(tmp_path), img_size=16)
    assert [len(split) for split in splits] == [24, 9, 12]
    assert [split.split for split in splits] == ["train", "validation", "test"]
    assert [split.images[:, 1, -3, -3].min().item() for split in splits] == [28, 23, 24]
    with pytest.raises(ValueError, match="leave out --validation-size"):
        data.load(str(tmp_path), img_size=16, validation_size=3)


def test_a_zip_gives_what_its_folder_gives(tmp_path):
    root = photos(tmp_path / "photos")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for file in sorted(root.rglob("*.png")):
            archive.write(file, file.relative_to(tmp_path))
        archive.writestr("__MACOSX/photos/dark/._1.png", b"x")
    ours, packed_ones = (data.load(str(tmp_path / name), img_size=16) for name in ("photos", "photos.zip"))
    assert all(torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) for a, b in zip(ours, packed_ones))


def test_gray_pictures_have_one_channel_and_one_in_color_makes_three(tmp_path):
    root = photos(tmp_path, 10, {"dark": (20,) * 3, "light": (200,) * 3})
    assert data.load(str(root), img_size=8).train.images.shape == (14, 1, 8, 8)
    about = entry(str(root), 8)
    assert (about.channels, len(about.mean)) == (1, 1)
    draw(root / "dark" / "a.png", (1, 2, 3), 0)
    assert data.load(str(root), img_size=8).train.images.shape[1:] == (3, 8, 8)


def test_a_broken_file_is_left_out_named_and_counted(tmp_path):
    root = photos(tmp_path)
    (root / "dark" / "bad.png").write_bytes(b"no picture")
    (root / "dark" / "Thumbs.db").write_bytes(b"x")
    (root / "red" / "again.png").write_bytes((root / "red" / "1.png").read_bytes())
    for _ in ("decoded", "found again"):
        splits = data.load(str(root), img_size=16)
        assert sum(map(len, splits)) == 30 and entry(str(root), 16).left_out.startswith("2 files were left out: ")
    assert "dark/bad.png is a text" in entry(str(root), 16).left_out
    assert "is the same picture as red/" in entry(str(root), 16).left_out


def nothing(root):
    root.mkdir()


def loose(root):
    draw(root / "1.png", (1, 2, 3), 0)


def one_class(root):
    photos(root, 3, {"star": (9, 9, 9)})


def empty_class(root):
    photos(root, 5)
    (root / "blue").mkdir()


def one_picture(root):
    photos(root, 5)
    draw(root / "blue" / "1.png", (0, 0, 250), 0)


def all_broken(root):
    photos(root, 5)
    (root / "blue").mkdir()
    for i in range(4):
        (root / "blue" / f"{i}.png").write_bytes(b"%PDF")


def twice(root):
    photos(root, 5)
    (root / "red" / "same.png").write_bytes((root / "dark" / "2.png").read_bytes())


def case_only(root):
    photos(root, 3, {"Cat": (9, 9, 9), "cat": (99, 99, 99)})


def long_name(root):
    photos(root, 3, {"a": (9, 9, 9), "b" * 120: (99, 99, 99)})


def too_many(root):
    for i in range(1001):
        (root / f"{i}").mkdir(parents=True)


def no_training(root):
    photos(root / "train", 3, {"a": (9, 9, 9), "b": (99, 99, 99)})
    photos(root / "test", 3, {"c": (9, 9, 9)})


def no_validation(root):
    photos(root / "train", 3)
    photos(root / "val", 3, {"dark": (9, 9, 9), "red": (99, 9, 9)})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (nothing, "holds nothing: expected a folder a class"),
        (loose, "holds 1 files and no folder: expected a folder a class"),
        (one_class, "has one class, 'star': with one there is nothing to tell apart"),
        (empty_class, "Class 'blue' of .* has no picture; add some, or remove its folder"),
        (one_picture, "Class 'blue' of .* has 1 usable picture, and at least 3 are needed"),
        (all_broken, r"Class 'blue' of .* has 0 usable pictures \(blue/\d.png is a PDF document.*at least 3"),
        (twice, "The same picture lies in two classes, as .*2.png|same.png"),
        (case_only, "Classes 'Cat' and 'cat' of .* differ in case only"),
        (long_name, "a name of 120 letters, 'bbbbbbbbbbbbbbbbbbbb'...; 100 are the most"),
        (too_many, "has 1,001 classes, and 1,000 are the most"),
        (no_validation, "Class 'light' of .* has no usable picture to validate with"),
        (no_training, "Class 'c' of .* has no picture to train on"),
    ],
)
def test_what_can_not_be_learned_from_is_refused_and_leaves_nothing(make, words, tmp_path, cache):
    root = tmp_path / "photos"
    make(root)
    with pytest.raises(ValueError, match=words):
        data.load(str(root), img_size=16)
    assert not cache.exists() or not any(cache.iterdir())


def test_names_of_classes_may_be_of_any_script_and_there_may_be_a_thousand(tmp_path):
    names = ("кошка", "狗", "قطة", "été", "a b & c")
    photos(tmp_path / "scripts", 3, dict.fromkeys(names, (9, 9, 9)))
    assert set(data.load(str(tmp_path / "scripts"), img_size=8).train.classes) == set(names)
    found = [(f"{i:04}", f"{n}.png") for i in range(1000) for n in range(10)]
    classes, items = folder._sorted_out("many", found)
    assert (len(classes), len(items)) == (1000, 10_000)


def test_decoding_that_broke_off_goes_on_where_it_stopped_and_ends_the_same(tmp_path, monkeypatch, cache):
    root, decoded, read = photos(tmp_path / "photos"), [], packed.read_picture
    monkeypatch.setattr(packed, "SAVED_EVERY", 5)

    def counted(path, size):
        decoded.append(path)
        if len(decoded) == 18:
            raise KeyboardInterrupt
        return read(path, size)

    monkeypatch.setattr(packed, "read_picture", counted)
    told = []
    with pytest.raises(KeyboardInterrupt):
        data.load(str(root), img_size=16, progress=lambda done, desc: told.append((done, desc)))
    assert told[0] == (0, f"Decoding 30 pictures at 16 px into 0.0 MB in {cache}") and told[-1][0] == 0.5
    decoded.clear()
    monkeypatch.setattr(packed, "read_picture", lambda path, size: decoded.append(path) or read(path, size))
    splits = data.load(str(root), img_size=16, progress=lambda done, desc: told.append((done, desc)))
    assert len(decoded) == 15 and told[-1][0] == 1
    again = data.load(str(root), img_size=16)
    assert len(decoded) == 15, "decoded once"
    assert all(torch.equal(a.images, b.images) for a, b in zip(splits, again))
    draw(root / "dark" / "new.png", (20, 30, 40), 19)
    assert sum(map(len, data.load(str(root), img_size=16))) == 31, "another picture, another file"


def test_the_cache_is_bounded_and_what_was_used_longest_ago_goes_first(tmp_path, monkeypatch, cache):
    one = 30 * 3 * 16 * 16
    monkeypatch.setattr(packed, "KEPT", 2 * one + 20_000)  # their indices take a few kilobytes
    cache.mkdir(parents=True)
    (cache / ".DS_Store").write_bytes(b"of a system")
    roots = [
        photos(tmp_path / name, 10, {"x": (k, 9, 9), "y": (9, 9, k), "z": (9, k, 9)}) for k, name in enumerate("abc")
    ]
    for moment, root in enumerate(roots):
        before = set(cache.iterdir()) if cache.exists() else set()
        data.load(str(root), img_size=16)
        (new,) = set(cache.iterdir()) - before
        os.utime(new, (moment, moment))
    assert sum(path.is_dir() for path in cache.iterdir()) == 2
    monkeypatch.setattr(packed, "KEPT", one // 2)
    with pytest.raises(ValueError, match=r"need 0.0 GB, and .* has room for 0.0 GB; choose a smaller --img-size"):
        data.load(str(roots[0]), img_size=16)


def test_a_cache_that_can_only_be_read_is_read(tmp_path, monkeypatch, cache):
    def refuse(*_):
        raise OSError("Read-only file system")

    before = data.load(str(photos(tmp_path)), img_size=16)
    monkeypatch.setattr(packed.os, "utime", refuse)
    assert torch.equal(data.load(str(tmp_path), img_size=16).train.images, before.train.images)


def test_the_splits_are_views_of_the_file_and_take_no_memory_of_their_own(tmp_path):
    splits = data.load(str(photos(tmp_path)), img_size=16)
    first = splits.test.images.untyped_storage().data_ptr()
    assert all(split.images.untyped_storage().data_ptr() == first for split in splits)


def test_an_unknown_name_is_answered_with_what_there_is():
    with pytest.raises(ValueError, match=r"one of cifar10, shapes, or a folder .* got 'mnist'"):
        data.load("mnist")


@pytest.mark.benchmark
def test_pictures_mapped_from_the_file_train_as_fast_as_the_same_in_memory(tmp_path, judge):
    for label in range(2):
        (tmp_path / f"{label}").mkdir()
        for i in range(600):
            noise = torch.randint(256, (96, 96, 3), generator=torch.Generator().manual_seed(2 * i + label))
            Image.fromarray(noise.byte().numpy()).save(tmp_path / f"{label}" / f"{i}.png", compress_level=1)
    mapped = data.load(str(tmp_path), img_size=96).train
    sets = {"mapped": mapped, "memory": mapped.take(torch.arange(len(mapped)))}
    rates: dict[str, list[float]] = {name: [] for name in sets}
    config = TrainConfig(epochs=1, batch_size=64, precision="fp32", optimizer="adamw")
    for _ in range(5):
        for name, dataset in sets.items():
            model = ViT(img_size=96, patch_size=16, embed_dim=64, depth=2, num_heads=2, num_classes=2)
            *_, last = train(model, dataset, config)
            rates[name].append(last.images_per_second)
    median = {name: statistics.median(found) for name, found in rates.items()}
    judge(median["mapped"] >= 0.9 * median["memory"], f"images/s: {median}")
