"""Pictures in a folder of folders, or a ZIP archive of such, a folder a class: what there is, before any is decoded.

As torchvision's ImageFolder reads them, with `train/`, `val/` and `test/` around the classes where they exist.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from zipfile import ZipInfo

from vit.data.zips import UnreadableArchive, extract, is_archive, listed, open_archive

SPLITS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}
MOST_CLASSES, MOST_LETTERS, MOST_FILES = 1_000, 100, 2_000_000
SIDE_FILES = ("thumbs.db", "desktop.ini")  # what systems leave in folders


@dataclass(frozen=True)
class Item:
    """A picture to be: where it belongs, "" where nobody has said; its class's number; what it is called."""

    split: str
    label: int
    name: str


class Reading(Protocol):
    def fetch(self, number: int) -> Path:
        """A file with the item's picture. Raises ValueError, the rest of the sentence after its name, without one."""
        ...


class Source(Protocol):
    """Pictures that can be had one by one. fingerprint: another where any of them is another.

    unique: whether a picture that is there twice is a mistake, and not how the data was published.
    """

    classes: tuple[str, ...]
    items: list[Item]
    unique: bool

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    def reading(self, folder: Path) -> AbstractContextManager[Reading]:
        """Within it pictures are fetched, perhaps into that folder."""
        ...


@dataclass
class _Files:
    """Where they lie, and what is found there."""

    path: Path
    classes: tuple[str, ...] = ()
    items: list[Item] = field(default_factory=list)
    fingerprint: str = ""
    unique = True

    @property
    def name(self) -> str:
        return str(self.path)


@dataclass
class Folder(_Files):
    """Raises ValueError where there are no classes to tell apart, naming what came and what was expected."""

    def __post_init__(self):
        found = []
        for root, folders, files in os.walk(self.path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            inside = Path(root).relative_to(self.path).as_posix()
            found += [(inside, "")] if not files and not folders else []
            found += [(inside, name) for name in sorted(files)]
            if len(found) > MOST_FILES:
                raise ValueError(
                    f"{self.path} holds more than {MOST_FILES:,} files: expected fewer; take a part of it."
                )
        self.classes, self.items = _sorted_out(self.name, found)
        about = hashlib.sha256()
        for item in self.items:
            state = (self.path / item.name).stat()
            about.update(f"{item.name}\0{state.st_size}\0{state.st_mtime_ns}\0".encode(errors="surrogateescape"))
        self.fingerprint = about.hexdigest()

    @contextmanager
    def reading(self, folder: Path) -> Iterator[Reading]:
        yield self

    def fetch(self, number: int) -> Path:
        return self.path / self.items[number].name


@dataclass
class Archive(_Files):
    """The same in a ZIP. Raises ValueError, and UnreadableArchive, which is one."""

    def __post_init__(self):
        about, self._infos = hashlib.sha256(), {}
        with open_archive(self.path) as opened:
            entries = [(name, info, reason) for name, info, reason in listed(opened)]
        paths = _without_common_folder([name for name, _, _ in entries])
        for path, (_, info, reason) in zip(paths, entries, strict=True):
            self._infos[path] = (info, reason)
            about.update(f"{path}\0{info.CRC}\0{info.file_size}\0".encode(errors="replace"))
        found = [(path.rpartition("/")[0], path.rpartition("/")[2]) for path in sorted(self._infos)]
        self.classes, self.items = _sorted_out(self.name, found)
        self.fingerprint = about.hexdigest()

    @contextmanager
    def reading(self, folder: Path) -> Iterator[Reading]:
        with open_archive(self.path) as opened:
            yield _Unpacking(opened, [self._infos[item.name] for item in self.items], folder)


class _Unpacking:
    def __init__(self, opened, infos: list[tuple[ZipInfo, str]], folder: Path):
        self.opened, self.infos, self.folder = opened, infos, folder

    def fetch(self, number: int) -> Path:
        (info, reason), target = self.infos[number], self.folder / f"{number}"
        if reason := reason or extract(self.opened, info, target)[1]:
            raise ValueError(reason)
        return target


def opened(path: Path) -> Folder | Archive:
    """Raises ValueError where it is neither a folder nor a ZIP archive, or there is nothing to tell apart in it."""
    if path.is_dir():
        return Folder(path)
    if is_archive(path):
        return Archive(path)
    raise UnreadableArchive(
        f"{path} is neither a folder nor a ZIP archive: expected a folder a class, or a zip of such."
    )


def _sorted_out(name: str, found: Iterable[tuple[str, str]]) -> tuple[tuple[str, ...], list[Item]]:
    """Classes and items of files, (folder, file's name or "" for an empty folder), in the order of their names."""
    placed: list[tuple[str, str, str]] = []  # split, class, path
    loose, tops = 0, set()
    rows = list(found)
    for folder, _ in rows:
        tops.add(folder.split("/")[0] if folder not in ("", ".") else "")
    split_by_folder = "train" in tops and tops - {""} <= SPLITS.keys()
    for folder, file in rows:
        parts = [] if folder in ("", ".") else folder.split("/")
        split = SPLITS[parts.pop(0)] if split_by_folder and parts else ""
        if file.startswith(".") or file.lower() in SIDE_FILES:
            continue
        if parts:
            placed.append((split, parts[0], f"{folder}/{file}" if file else ""))
        else:
            loose += bool(file)
    classes = tuple(sorted({kind for _, kind, _ in placed}))
    _check_classes(name, classes, loose)
    numbers = {kind: number for number, kind in enumerate(classes)}
    items = [Item(split, numbers[kind], path) for split, kind, path in placed if path]
    learned = "train" if split_by_folder else ""
    counts = Counter(item.label for item in items if item.split == learned)
    if empty := [kind for kind in classes if not counts[numbers[kind]]]:
        where = " to train on" if split_by_folder else ""
        raise ValueError(f"Class {empty[0]!r} of {name} has no picture{where}; add some, or remove its folder.")
    return classes, items


def _check_classes(name: str, classes: tuple[str, ...], loose: int) -> None:
    if not classes:
        what = f"{loose:,} files and no folder" if loose else "nothing"
        raise ValueError(f"{name} holds {what}: expected a folder a class, named as the class; sort the pictures so.")
    if len(classes) == 1:
        raise ValueError(
            f"{name} has one class, {classes[0]!r}: with one there is nothing to tell apart; add a folder of pictures "
            "of something else."
        )
    if len(classes) > MOST_CLASSES:
        raise ValueError(
            f"{name} has {len(classes):,} classes, and {MOST_CLASSES:,} are the most; take a part of them."
        )
    check_names(name, classes)


def check_names(name: str, classes: Iterable[str]) -> None:
    """Raises ValueError for names that can't be told apart or read: differing in case only, or too long."""
    seen: dict[str, str] = {}
    for kind in classes:
        if len(kind) > MOST_LETTERS:
            raise ValueError(
                f"A class of {name} has a name of {len(kind)} letters, {kind[:20]!r}...; {MOST_LETTERS} are the most; "
                "shorten it."
            )
        if other := seen.get(kind.casefold()):
            raise ValueError(f"Classes {other!r} and {kind!r} of {name} differ in case only; put them together.")
        seen[kind.casefold()] = kind


def _without_common_folder(names: list[str]) -> list[str]:
    """What archives of a folder have around everything is left out; two files never come to have one name."""
    parts = [name.split("/") for name in names]
    while parts and all(len(path) > 2 for path in parts) and len({path[0] for path in parts}) == 1:
        parts = [path[1:] for path in parts]
    return ["/".join(path) for path in parts]
