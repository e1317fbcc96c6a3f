"""Runs on disk: weights, config and card as save_pretrained writes them, and beside them what the page shows of a run.

Only folders in FOLDER that bear a run's unguessable id are read, written or, when there are more than VIT_KEEP_ON_DISK
or they take more than VIT_MAX_DISK, deleted, the oldest first.
"""

import contextlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from vit.environment import ROOT
from vit.live import space, stored
from vit.live.record import Record, parse
from vit.live.temporary import folder as temporary_folder
from vit.model import ViT
from vit.training import earlier
from vit.training.moments import MOMENTS, Album
from vit.weights.checkpoint import CARD, CONFIG, WEIGHTS, save_pretrained

FOLDER = space.runs_folder(ROOT / "runs" / "page")
KEEP_ON_DISK = int(os.getenv("VIT_KEEP_ON_DISK", "40"))
MAX_DISK = float(os.getenv("VIT_MAX_DISK", "4"))  # gigabytes that all runs there may take
RECORD = "run.json"
ID = re.compile(r"[\w-]{16}")


class DamagedRun(ValueError):
    """A run that is on disk and can't be read; the message is for visitors, the log has the reason."""


def exists(run_id: str) -> bool:
    """Whether there is anything of a run, in whatever state."""
    return bool(ID.fullmatch(run_id)) and (FOLDER / run_id).is_dir()


def folder(run_id: str) -> Path | None:
    """Where a run's model lies, or None where there is none, or none that can be read."""
    path = FOLDER / run_id
    return path if exists(run_id) and (path / RECORD).is_file() and stored.intact(path) else None


def save(run_id: str, model: ViT, record: dict, album: Album, moments: Iterable[ViT] = ()) -> Path:
    """Replaces what was saved of this run before; moments, which are what the model was earlier, are added to it.

    Raises OSError where the disk is full or can't be written.
    """
    path = FOLDER / run_id
    temporary = path / f".{RECORD}"
    try:
        save_pretrained(model, path)
        album.save(path / MOMENTS)
        for moment in moments:
            earlier.keep(moment, path, moment.trained["steps"])
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(path / RECORD)
    except OSError:
        temporary.unlink(missing_ok=True)
        if not (path / RECORD).exists():  # nobody would find what there is
            shutil.rmtree(path, ignore_errors=True)
        raise
    _delete_oldest()
    return path


def delete(run_id: str) -> None:
    """All that is on disk of a run."""
    if exists(run_id):
        shutil.rmtree(FOLDER / run_id, ignore_errors=True)
        forget_archives(run_id)


def forget_archives(key: str) -> None:
    """Deletes the zips that archive made of a model."""
    shutil.rmtree(_archives() / Path(key).name, ignore_errors=True)


def record(run_id: str) -> Record | None:
    """What was saved beside the weights, or None where nothing was. Raises DamagedRun."""
    if not exists(run_id):
        return None
    file = FOLDER / run_id / RECORD
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        stored.log_once(f"Left out, as it can't be read: {file}: {error}")
        raise DamagedRun("What the server had saved of this run is damaged; start a new one.") from error


def album(run_id: str) -> Album:
    """The moments that were saved with it; empty where there are none, or none that can be read."""
    return stored.album(FOLDER / run_id)


def archive(run_id: str, source: Path, name: str) -> Path:
    """A zip of the weights, config and card in source, named for people, in a folder that is this process's alone.

    Raises OSError where it can't be written.
    """
    path = _archives() / run_id / f"{name}.zip"
    if path.exists() and path.stat().st_mtime_ns >= (source / WEIGHTS).stat().st_mtime_ns:
        return path
    path.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        new = Path(temporary) / path.name
        with zipfile.ZipFile(new, "w") as file:
            for part in (WEIGHTS, CONFIG, CARD):
                file.write(source / part, f"{name}/{part}")
        new.replace(path)
    return path


def temporary(key: str, name: str, content: bytes) -> Path:
    """A file to hand out, beside a run's zips, which ends with this process. Raises OSError."""
    path = _archives() / Path(key).name / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


@cache
def _archives() -> Path:
    return temporary_folder("vit")


def size() -> int:
    """Bytes that all runs on disk take."""
    return sum(map(_size, _folders()))


def _folders() -> list[Path]:
    return [path for path in FOLDER.iterdir() if exists(path.name)] if FOLDER.is_dir() else []


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):  # it went this moment
            total += file.lstat().st_size
    return total


def surplus(folders: Iterable[Path], dated: str, most: float, size: float) -> list[Path]:
    """Those beyond the latest `most` folders, or beyond `size` bytes of them; the latest stays whatever it takes.

    dated: the file whose change counts, the folder's own where there is none.
    """

    def changed_at(path: Path) -> float:
        return (path / dated if (path / dated).exists() else path).stat().st_mtime

    beyond, taken = [], 0
    for place, path in enumerate(sorted(folders, key=changed_at, reverse=True)):
        taken += _size(path)
        if place and (place >= most or taken > size):
            beyond.append(path)
    return beyond


def _delete_oldest() -> None:
    for path in surplus(_folders(), RECORD, KEEP_ON_DISK, MAX_DISK * 1e9):
        delete(path.name)
