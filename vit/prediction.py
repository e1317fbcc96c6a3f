"""What a model says of many picture files, in batches: a broken one is one line, and the others are answered."""

import csv
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor

from vit.data.pictures import UnreadablePicture, read_picture
from vit.data.zips import UnreadableArchive, is_archive, unpack
from vit.interpret.trace import evaluating
from vit.model import Classifier

BATCH = 32  # pictures


@dataclass
class Answer:
    """name: the file's. archive: the ZIP that it lies in, "" for none. pixels: (C, H, W) uint8, as the model sees it,
    and probabilities: (classes,); or the reason, a sentence without its subject, why there are none."""

    name: str
    pixels: Tensor | None = None
    probabilities: Tensor | None = None
    reason: str = ""
    archive: str = ""


def answer_files(model: Classifier, paths: Iterable[Path], batch: int = BATCH) -> Iterator[Answer]:
    """Of pictures, of all in folders, and of all in ZIP archives, in that order; holds no more than a batch of them."""
    waiting: list[Answer] = []
    for found in _read(paths, model.config["img_size"], model.config["in_chans"]):
        waiting.append(found)
        if len(waiting) == batch:
            yield from _answered(model, waiting)
            waiting = []
    yield from _answered(model, waiting)


def _answered(model: Classifier, waiting: list[Answer]) -> list[Answer]:
    device = next(model.parameters()).device
    readable = [(found, found.pixels) for found in waiting if found.pixels is not None]
    if readable:
        pixels = torch.stack([pixels for _, pixels in readable]).to(device)
        with torch.inference_mode(), evaluating(model):
            probabilities = model.probabilities(model(model.normalize(pixels)).float()).cpu()
        for (found, _), row in zip(readable, probabilities, strict=True):
            found.probabilities = row
    return waiting


def _read(paths: Iterable[Path], img_size: int, channels: int) -> Iterator[Answer]:
    for path in paths:
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file() and not _hidden(file, path))
            yield from (_picture(str(file), file, img_size, channels) for file in files)
            if not files:
                yield Answer(str(path), reason="is an empty folder: expected pictures in it; choose another")
        elif is_archive(path):
            yield from _unpacked(path, img_size, channels)
        else:
            yield _picture(str(path), path, img_size, channels)


def _unpacked(archive: Path, img_size: int, channels: int) -> Iterator[Answer]:
    empty = True
    with tempfile.TemporaryDirectory(prefix="vit-zip-") as folder:
        try:
            for name, file, reason in unpack(archive, Path(folder)):
                empty = False
                found = _picture(name, file, img_size, channels) if file else Answer(name, reason=reason)
                found.archive = str(archive)
                yield found
        except UnreadableArchive as error:
            yield Answer(archive.name, reason=str(error).removeprefix(f"{archive.name} "))
            return
    if empty:
        yield Answer(archive.name, reason="holds no file: expected pictures in it; pack some")


def _picture(name: str, file: Path, img_size: int, channels: int) -> Answer:
    try:
        return Answer(name, read_picture(file, img_size, channels=channels))
    except UnreadablePicture as error:
        return Answer(name, reason=error.reason)


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


class Table:
    """A CSV of answers: the file's name, the likeliest class, its probability, each class's, and what was wrong."""

    def __init__(self, file: TextIO, classes: tuple[str, ...]):
        self._rows, self._classes = csv.writer(file), classes
        self._rows.writerow(["file", "answer", "confidence", *classes, "error"])

    def add(self, found: Answer) -> None:
        if found.probabilities is None:
            self._rows.writerow([found.name, "", "", *[""] * len(self._classes), found.reason])
            return
        sure, best = found.probabilities.max(0)
        shares = [f"{share:.6f}" for share in found.probabilities.tolist()]
        self._rows.writerow([found.name, self._classes[best], f"{sure:.6f}", *shares, ""])
