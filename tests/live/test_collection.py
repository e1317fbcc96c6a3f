"""A visitor's own pictures: taken in, refused by name, held out, and gone in time."""

import io
import time
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from vit.data.drawings import CLASSES, EACH, drawings
from vit.live import collection
from vit.live.collection import LEAST, MAX_CLASSES, ROUGH, SIDE
from vit.live.uploads import EVERY, KEPT


@pytest.fixture(autouse=True)
def sets(monkeypatch):
    monkeypatch.setattr(collection, "_sets", {})


@pytest.fixture
def files(tmp_path):
    """files(n, start=0): that many pictures that differ, as (name, path)."""

    def made(n: int, start: int = 0):
        found = []
        for i in range(start, start + n):
            path = tmp_path / f"{i}.png"
            Image.new("RGB", (30, 20), (i, 255 - i, 7 * i % 256)).save(path)
            found.append((path.name, path))
        return found

    return made


def collected(**counts: int) -> collection.Collection:
    """A set of so many plain pictures a class."""
    made, color = collection.create(), 0
    for name, n in counts.items():
        for _ in range(n):
            color += 1
            made.put(name, f"{color}.png", torch.full((3, SIDE, SIDE), color, dtype=torch.uint8))
    return made


def test_pictures_are_squares_on_disk_and_their_files_are_left_alone(files):
    own = collection.create()
    (name, path), *_ = files(1)
    kept = own.add("cup", [(name, path)]).pictures[0]
    assert kept.pixels().shape == (3, SIDE, SIDE) and kept.pixels()[:, 5, 5].tolist() == [0, 255, 0]
    assert kept.file.is_relative_to(own.folder) and path.exists()


def test_a_broken_file_among_good_ones_is_named_and_the_others_are_taken(files, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 50)
    (tmp_path / "run.eps").write_bytes(b"%!PS\n")
    broken = [(name, tmp_path / name) for name in ("torn.png", "run.eps")]
    added = collection.create().add("cup", [*files(2), *broken, *files(1, start=9)])
    assert len(added.pictures) == 3
    assert [said.split()[0] for said in added.refused] == ["torn.png", "run.eps"]
    assert "is an EPS file" in added.refused[1]


def test_a_zip_gives_what_is_in_it(files, tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as packed:
        for name, path in files(3):
            packed.write(path, f"some folder/{name}")
        packed.writestr("notes.txt", "no picture")
    (tmp_path / "all.zip").write_bytes(content.getvalue())
    added = collection.create().add("cup", [("all.zip", tmp_path / "all.zip")])
    assert len(added.pictures) == 3 and added.refused[0].startswith("notes.txt ")


def test_the_same_picture_is_kept_once_and_never_in_two_classes(files):
    own = collection.create()
    own.add("cup", files(1))
    assert "“cup” already: it is kept once" in own.add("cup", files(1)).refused[0]
    assert "0.png is in “cup” already: no picture can be of two classes" in own.add("pen", files(1)).refused[0]
    assert list(own.classes) == ["cup"]


def test_what_comes_after_the_limits_is_left_out_in_one_sentence(files, monkeypatch):
    monkeypatch.setattr(collection, "MAX_PICTURES", 3)
    added = collection.create().add("cup", files(9))
    assert len(added.pictures) == 3 and added.full and len(added.refused) == 1
    assert "3.png and all after it are left out: 3 pictures" in added.refused[0]
    monkeypatch.setattr(collection, "MAX_KEPT", 4)
    assert "full of others' pictures" in collection.create().add("cup", files(2)).refused[0]


def test_a_full_disk_and_too_many_sets_are_said_and_nothing_half_written_stays(files, monkeypatch):
    own = collection.create()

    def full(path, content):
        open(path, "wb").close()
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "write_bytes", full)
        added = own.add("cup", files(2))
    assert added.full and added.refused == [
        "0.png can't be saved on the server (No space left on device); try again later."
    ]
    assert not own.classes and not list(own.folder.iterdir())
    monkeypatch.setattr(collection, "MAX_SETS", 1)
    with pytest.raises(ValueError, match="full of others' pictures"):
        collection.create()


@pytest.mark.parametrize("name", ["чашка", "茶杯", "كوب", "का कप", "a cup with a handle", "☕️"])
def test_a_class_is_named_in_any_script(files, name):
    own = collection.create()
    own.add(f"  {name} ", files(1))
    assert list(own.classes) == [name]


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "needs a name"), ("a\0b", "needs a name"), ("x" * 300, "300 characters, 40 are the most"), ("CUP", "case")],
)
def test_a_name_that_cannot_be_is_refused_with_the_remedy(files, name, words):
    own = collection.create()
    own.add("cup", files(1))
    with pytest.raises(ValueError, match=words):
        own.add(name, files(1, start=5))
    with pytest.raises(ValueError, match="as many; remove one"):
        for i in range(1000):
            own.add(f"class {i}", files(1, start=i % 200 + 10))
    assert len(own.classes) == MAX_CLASSES


def test_a_class_is_renamed_in_its_place_but_not_to_another_ones_name():
    own = collected(cup=2, pen=3)
    assert own.rename("cup", "Cup ") == "Cup" and list(own.classes) == ["Cup", "pen"]
    with pytest.raises(ValueError, match="a class “pen” already"):
        own.rename("Cup", "pen")
    with pytest.raises(ValueError, match="but case"):
        own.rename("Cup", "PEN")


@pytest.mark.parametrize(
    ("counts", "names", "words"),
    [
        ({}, (), f"Collect {LEAST} pictures"),
        ({"cup": 9}, (), "nothing to tell apart"),
        ({"cup": 9}, ("cup", "pen"), "“pen” has no picture; add 5 more, or remove the class."),
        ({"cup": 9, "pen": 1}, (), "“pen” has 1 picture; add 4 more."),
        ({"cup": 9, "pen": 4}, (), "“pen” has 4 pictures; add 1 more."),
    ],
)
def test_too_little_is_said_with_the_remedy_and_not_trained_on(counts, names, words):
    own = collected(**counts)
    assert words in own.refusal(names)
    if not names:
        with pytest.raises(ValueError, match=words.partition("; add")[0]):
            own.splits(32, (0.5,) * 3, (0.5,) * 3)


def test_two_classes_of_five_are_enough_and_up_to_ten_the_page_says_why_it_is_rough():
    own = collected(cup=LEAST, pen=LEAST)
    assert own.refusal() == ""
    assert "tested on 2 in all, too few to tell luck from skill" in own.promise()
    assert "rough" in collected(cup=ROUGH, pen=50).promise()
    assert collected(cup=20, pen=20).promise() == "32 pictures to learn from, 8 held out to test on."


def test_a_fifth_of_each_class_is_held_out_the_same_each_time():
    own = collected(cup=20, pen=7)
    train, test, also = own.splits(32, (0.5,) * 3, (0.5,) * 3)
    assert train.images.shape == (22, 3, 32, 32) and also is test
    assert test.labels.bincount().tolist() == [4, 1] and train.labels.bincount().tolist() == [16, 6]
    seen = {int(image[0, 0, 0]) for part in (train, test) for image in part.images}
    assert len(seen) == 27
    assert torch.equal(own.splits(32, (0.5,) * 3, (0.5,) * 3).test.images, test.images)


def test_a_picture_is_removed_with_its_file_and_the_last_one_with_its_class():
    own = collected(cup=2)
    first, second = own.classes["cup"]
    own.remove([first.id, "no such picture"])
    assert not first.file.exists() and own.classes == {"cup": [second]}
    own.remove([second.id])
    assert own.classes == {}


def test_pictures_are_gone_when_deleted_and_at_most_seventy_minutes_after_they_came(monkeypatch):
    """Sweeps come every EVERY seconds: the unluckiest picture is a moment too young for one, and goes in the next."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    own, deleted = collected(cup=2), collected(pen=2)
    collection.delete(deleted.token)
    assert not deleted.folder.exists()
    files = [kept.file for kept in own.classes["cup"]]
    collection.sweep(now + KEPT - 1)
    assert all(file.exists() for file in files)
    collection.sweep(now + KEPT - 1 + EVERY)
    assert not any(file.exists() for file in files) and not own.folder.exists()
    assert KEPT + EVERY <= 70 * 60
    with pytest.raises(ValueError, match="not here any more: each is deleted within 70 minutes"):
        collection.find(own.token)


def test_the_drawings_are_two_dozen_always_the_same_and_all_different():
    first, again = drawings(), drawings()
    assert list(first) == list(CLASSES) and len(first) == 3
    assert all(len(images) == EACH and torch.equal(images, again[name]) for name, images in first.items())
    assert len({image.numpy().tobytes() for images in first.values() for image in images}) == 24


def test_no_call_has_more_than_so_many_files_looked_at_whatever_becomes_of_them(files, monkeypatch):
    monkeypatch.setattr(collection, "MAX_FILES", 3)
    read = []
    monkeypatch.setattr(collection, "read_picture", lambda *given: read.append(given) or torch.zeros(3, SIDE, SIDE))
    added = collection.create().add("cup", [*files(1) * 4, ("last.png", Path("nowhere"))])
    assert len(read) == 3 and len(added.pictures) == 1 and not added.full
    assert added.refused[-1] == "0.png and all after it are left out: at most 3 files at once."


def test_empty_sets_make_way_once_they_are_a_minute_old(monkeypatch):
    monkeypatch.setattr(collection, "MAX_SETS", 3)
    full = collected(cup=1)
    empty = [collection.create() for _ in range(2)]
    with pytest.raises(ValueError, match="full of others' pictures"):
        collection.create()
    for own in (full, empty[0]):
        own.latest -= collection.EMPTY + 1
    made = collection.create()
    assert set(collection._sets) == {full.token, empty[1].token, made.token} and not empty[0].folder.exists()
