"""Models from disk, each read once: one that can't be read is named in the log, once, and left out by whoever asks."""

import contextlib
import logging
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field

from vit.model import Classifier
from vit.training.moments import MOMENTS, Album
from vit.weights.checkpoint import CONFIG, PICTURES, WEIGHTS, CheckpointError

CHANNELS = 3  # of the pictures that the page shows

log = logging.getLogger(__name__)


def load(folder: Path) -> Classifier:
    """The model as it is on disk now, on the CPU. Raises CheckpointError, whose words are for the server's log."""
    return _load(folder, _versions(folder))


def check_channels(source: object, model: Classifier) -> Classifier:
    """The model. Raises CheckpointError for one that takes other pictures than those that the page shows."""
    if model.config["in_chans"] != CHANNELS:
        raise CheckpointError(
            f"{source} takes images of {model.config['in_chans']} channels; expected {CHANNELS}, as the pictures here "
            "have; choose another, or move it elsewhere."
        )
    return model


def intact(folder: Path) -> bool:
    """Whether load gives a model."""
    return _intact(folder, _versions(folder))


def album(folder: Path) -> Album:
    """The moments beside a model; empty, and named in the log, where they can't be read or are another model's."""
    return _album(folder, _versions(folder, (CONFIG, WEIGHTS, MOMENTS)))


def curated(folder: Path) -> "Curated | None":
    """The pictures that were chosen for a model; None, and named in the log, where they can't be read or are none."""
    return _curated(folder, _versions(folder, (PICTURES,)))


class Worth(BaseModel):
    """A test picture by its index, and why it is worth looking at."""

    index: Annotated[int, Field(ge=0)]
    why: str


class Curated(BaseModel):
    """What `vit pictures` writes, as far as the page reads it."""

    dataset: str
    pictures: list[Worth]


@lru_cache(maxsize=1000)
def log_once(sentence: str) -> None:
    """A line in the log, however often what it speaks of is met."""
    log.warning("%s", " ".join(sentence.split()))


@lru_cache(maxsize=4)
def _album(folder: Path, versions: tuple) -> Album:
    file = folder / MOMENTS
    try:
        return Album.load(file, load(folder) if file.exists() and intact(folder) else None)
    except (OSError, ValueError) as error:
        log_once(f"Left out, as they can't be read: {file}: {error}")
        return Album()


@lru_cache(maxsize=16)
def _curated(folder: Path, versions: tuple) -> Curated | None:
    file = folder / PICTURES
    try:
        return Curated.model_validate_json(file.read_text(encoding="utf-8")) if file.exists() else None
    except (OSError, ValueError) as error:
        log_once(f"Left out, as it can't be read: {file}: {error}")
        return None


def _versions(folder: Path, files: tuple[str, ...] = (CONFIG, WEIGHTS)) -> tuple:
    """Other values once one of the files is another."""
    versions = []
    for name in files:
        with contextlib.suppress(OSError):
            status = (folder / name).stat()
            versions.append((name, status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(versions)


@lru_cache(maxsize=8)  # what the page lists, and moments that are compared with it
def _load(folder: Path, versions: tuple) -> Classifier:
    return check_channels(folder, Classifier.from_pretrained(folder))


@lru_cache(maxsize=1000)
def _intact(folder: Path, versions: tuple) -> bool:
    try:
        _load(folder, versions)
    except CheckpointError as error:
        log_once(f"Left out, as it can't be read: {error}")
        return False
    return True
