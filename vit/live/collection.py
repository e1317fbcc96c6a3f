"""The pictures that visitors collect by class to teach a model: kept for a while, in a folder of this process alone.

A set is known by its unguessable token. Of each picture only the central square stays, SIDE pixels wide, as bytes that
nobody decodes again; each is deleted at most uploads.MINUTES after it came.
"""

import contextlib
import hashlib
import shutil
import tempfile
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from secrets import token_urlsafe

import torch
from torch import Tensor

from vit.data.dataset import Dataset, Splits, hold_out
from vit.data.pictures import UnreadablePicture, fit, read_picture
from vit.data.zips import UnreadableArchive, is_archive, unpack
from vit.live import temporary, uploads
from vit.live.uploads import KEPT, MINUTES

NAME = "your pictures"  # what a dataset of them is called
SIDE = 224  # pixels
LEAST, ROUGH = 5, 10  # pictures a class: with fewer there is no training, up to there its result is rough
HELD_OUT = 5  # of so many pictures of a class one is held out
MAX_CLASSES, MAX_PICTURES = 20, 400  # of a set
MAX_FILES = 2 * MAX_PICTURES  # that are looked at in one call, most of which may be refused
MAX_SETS, MAX_KEPT = 500, 5_000  # at once, and pictures of all of them: 0.8 GB
EMPTY = 60.0  # seconds after which a set without a picture makes way where there are too many
LONGEST = 40  # characters of a class's name

_sets: dict[str, "Collection"] = {}
_lock = threading.RLock()  # of all sets; nobody decodes while holding it


@dataclass(frozen=True)
class Kept:
    """A picture on disk. since: by time.time()."""

    id: str
    file: Path
    digest: str
    since: float

    def pixels(self) -> Tensor:
        """(3, SIDE, SIDE) uint8. Raises FileNotFoundError once it is deleted."""
        return torch.frombuffer(bytearray(self.file.read_bytes()), dtype=torch.uint8).view(3, SIDE, SIDE)


@dataclass
class Added:
    """What came of some files. refused: a sentence for each that is left out. full: no more can be added."""

    pictures: list[Kept] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    full: bool = False


class Refused(ValueError):
    """Why a picture is left out, though it can be read."""


class Full(Refused):
    """Why that and all further ones are."""


class Collection:
    """One visitor's pictures by class, in the order in which the classes came."""

    def __init__(self):
        self.token = token_urlsafe(18)
        self.folder = Path(tempfile.mkdtemp(dir=_root()))
        self.classes: dict[str, list[Kept]] = {}
        self.latest = time.time()  # when a picture came, or the set was made

    def __len__(self) -> int:
        return sum(map(len, self.classes.values()))

    @property
    def oldest(self) -> float:
        """When the first of its pictures came; of one without any, when it was made."""
        return min((kept.since for pictures in self.classes.values() for kept in pictures), default=self.latest)

    def add(self, name: str, files: Iterable[tuple[str, Path]]) -> Added:
        """Takes in the pictures in files, each with what it is called, and those in zips; the files may go then.

        Raises ValueError where the class can't have that name.
        """
        name, added, looked = self._name(name), Added(), 0
        for called, path in files:
            for inside, file, reason in _files(called, path):
                if added.full:
                    return added
                if looked == MAX_FILES:
                    added.refused.append(f"{inside} and all after it are left out: at most {MAX_FILES} files at once.")
                    return added
                looked += 1
                self._take(name, inside, lambda file=file: read_picture(file, SIDE), reason, added)
        return added

    def _take(self, name: str, called: str, read: Callable[[], Tensor], reason: str, added: Added) -> None:
        try:
            if reason:
                raise Refused(f"{called} {reason}.")
            added.pictures.append(self.put(name, called, read()))
        except UnreadablePicture as error:
            added.refused.append(f"{called} {error.reason}.")
        except Refused as error:
            added.refused.append(str(error))
            added.full = isinstance(error, Full)

    def put(self, name: str, called: str, pixels: Tensor) -> Kept:
        """Keeps (3, SIDE, SIDE) uint8 in a class. Raises Refused for one that is there already, Full at the limits."""
        content = pixels.contiguous().numpy().tobytes()
        digest = hashlib.sha256(content).hexdigest()
        with _lock:
            for other, pictures in self.classes.items():
                if any(kept.digest == digest for kept in pictures):
                    remedy = "it is kept once" if other == name else "no picture can be of two classes; remove it there"
                    raise Refused(f"{called} is in “{other}” already: {remedy}.")
            if len(self) >= MAX_PICTURES:
                raise Full(f"{called} and all after it are left out: {MAX_PICTURES} pictures are the most at once.")
            if sum(map(len, _sets.values())) >= MAX_KEPT:
                raise Full(f"{called} is left out: the server is full of others' pictures; try again in an hour.")
            self.latest = time.time()
            kept = Kept(token_urlsafe(12), self.folder / token_urlsafe(12), digest, self.latest)
            try:
                kept.file.write_bytes(content)
            except OSError as error:
                kept.file.unlink(missing_ok=True)
                raise Full(f"{called} can't be saved on the server ({error.strerror}); try again later.") from error
            self.classes.setdefault(name, []).append(kept)
        return kept

    def _name(self, wanted: str, but: str | None = None) -> str:
        """The class's name, tidied; but: one that it may be like. Raises ValueError."""
        name = " ".join(unicodedata.normalize("NFC", wanted).split())
        if not name or any(unicodedata.category(char) in ("Cc", "Cs") for char in name):
            raise ValueError("A class needs a name of letters that can be seen; type one.")
        if len(name) > LONGEST:
            raise ValueError(f"“{name[:LONGEST]} …” has {len(name)} characters, {LONGEST} are the most; shorten it.")
        alike = [other for other in self.classes if other.casefold() == name.casefold() and other not in (name, but)]
        if alike:
            raise ValueError(f"“{name}” and “{alike[0]}” differ in nothing but case; give it another name.")
        if name not in self.classes and but is None and len(self.classes) >= MAX_CLASSES:
            raise ValueError(f"{MAX_CLASSES} classes are the most, and there are as many; remove one first.")
        return name

    def rename(self, name: str, new: str) -> str:
        """Gives a class another name, and returns it tidied. Raises ValueError."""
        with _lock:
            new = self._name(new, but=name)
            if new != name and new in self.classes:
                raise ValueError(f"There is a class “{new}” already; give it another name.")
            self.classes = {new if other == name else other: kept for other, kept in self.classes.items()}
        return new

    def remove(self, wanted: Iterable[str]) -> None:
        """Deletes pictures by their ids, and classes of which none is left."""
        gone = set(wanted)
        with _lock:
            for kept in [kept for pictures in self.classes.values() for kept in pictures if kept.id in gone]:
                kept.file.unlink(missing_ok=True)
            left = {name: [k for k in pictures if k.id not in gone] for name, pictures in self.classes.items()}
            self.classes = {name: pictures for name, pictures in left.items() if pictures}

    def refusal(self, names: Iterable[str] = ()) -> str:
        """Why it can't be trained on yet, with the remedy; "" where it can. names: of classes that may be empty."""
        counts = dict.fromkeys(names, 0) | {name: len(pictures) for name, pictures in self.classes.items()}
        if not any(counts.values()):
            return f"Collect {LEAST} pictures or more of each of two things."
        if len(self.classes) < 2 and len(counts) < 2:
            return "With one class there is nothing to tell apart; add a second one."
        name, n = min(counts.items(), key=lambda item: item[1])
        if n < LEAST:
            has = f"{n} picture{'s' * (n > 1)}" if n else "no picture"
            return f"“{name}” has {has}; add {LEAST - n} more{'' if n else ', or remove the class'}."
        return ""

    def promise(self) -> str:
        """What its test will be worth; where there are few pictures, that the result will be rough, and why."""
        held = {name: held_out(len(pictures)) for name, pictures in self.classes.items()}
        fewest, tested = min(map(len, self.classes.values())), sum(held.values())
        if fewest > ROUGH:
            return f"{len(self) - tested} pictures to learn from, {tested} held out to test on."
        return (
            f"With {fewest} pictures of a class the result will be rough: it is tested on {tested} in all, too few to "
            "tell luck from skill, and what so few have in common by chance, such as the background, is learned, too."
        )

    def splits(self, img_size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Splits:
        """All pictures in memory, of each class every fifth held out, the same each time; its test is that part, too.

        Raises ValueError where there are too few.
        """
        with _lock:
            if refusal := self.refusal():
                raise ValueError(refusal)
            classes = {name: torch.stack([kept.pixels() for kept in k]) for name, k in self.classes.items()}
        labels = torch.cat([torch.full((len(images),), i) for i, images in enumerate(classes.values())])
        images, _ = fit(torch.cat(list(classes.values())), None, img_size)
        whole = Dataset(NAME, "train", images, labels, tuple(classes), mean, std)
        held, kept = zip(*(_dealt((labels == label).nonzero()[:, 0]) for label in range(len(classes))), strict=True)
        test = Dataset(NAME, "test", images[torch.cat(held)], labels[torch.cat(held)], whole.classes, mean, std)
        return Splits(whole.take(torch.cat(kept)), test, test)


@contextlib.contextmanager
def as_file(content: bytes) -> Iterator[Path]:
    """What was sent, as a file among the pictures, for as long as it is looked at. Raises ValueError on a full disk."""
    with tempfile.TemporaryDirectory(dir=_root()) as folder:
        path = Path(folder) / "sent"
        try:
            path.write_bytes(content)
        except OSError as error:
            raise ValueError(f"The server can't keep it for a moment ({error.strerror}); try again later.") from error
        yield path


def held_out(n: int) -> int:
    """How many of so many pictures of a class are not learned from."""
    return max(1, round(n / HELD_OUT))


def _dealt(indices: Tensor) -> tuple[Tensor, Tensor]:
    held, kept = hold_out(torch.zeros(len(indices), dtype=torch.long), held_out(len(indices)))
    return indices[held], indices[kept]


def create() -> Collection:
    """An empty one. Raises ValueError where there are too many."""
    with _lock:
        if len(_sets) >= MAX_SETS:
            old = time.time() - EMPTY
            for token in [token for token, own in _sets.items() if not len(own) and own.latest < old]:
                delete(token)
        if len(_sets) >= MAX_SETS:
            raise ValueError("The server is full of others' pictures; try again in an hour.")
        collection = Collection()
        _sets[collection.token] = collection
    return collection


def find(token: str) -> Collection:
    """Raises ValueError where there is none, or none any more."""
    with _lock:
        collection = _sets.get(token)
    if collection is None:
        raise ValueError(
            f"These pictures are not here any more: each is deleted within {MINUTES} minutes of being sent. "
            "Collect them again."
        )
    return collection


def delete(token: str) -> None:
    """All pictures of a set, if there is one."""
    with _lock:
        collection = _sets.pop(token, None)
        if collection is not None:  # an empty one is false
            shutil.rmtree(collection.folder, ignore_errors=True)


def sweep(now: float) -> None:
    """Deletes all pictures that are KEPT seconds old, and sets that nothing came into for as long."""
    with _lock:
        for token, collection in list(_sets.items()):
            old = [k.id for pictures in collection.classes.values() for k in pictures if now - k.since >= KEPT]
            collection.remove(old)
            if now - collection.latest >= KEPT:
                delete(token)


@cache
def _root() -> Path:
    """From its first use on, old pictures are deleted."""
    uploads.look(sweep)
    return temporary.folder("vit-own")


def _files(called: str, path: Path) -> Iterator[tuple[str, Path, str]]:
    """What a file is called, where it lies, and why it can't be had; of an archive, of each in it."""
    if not is_archive(path):
        yield called, path, ""
        return
    try:
        with tempfile.TemporaryDirectory(dir=_root()) as folder:
            for name, file, reason in unpack(path, Path(folder)):
                yield name, file or path, reason
    except UnreadableArchive as error:
        yield called, path, f"is no ZIP archive that can be read ({error})"
