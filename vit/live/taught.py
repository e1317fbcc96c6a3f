"""Models that visitors taught with pictures of their own: on disk beside the runs, and nowhere listed.

Who knows a model's unguessable key can use it; the oldest are deleted when there are more than KEEP, or MAX_BYTES.
"""

import re
import shutil
from pathlib import Path
from secrets import token_urlsafe

from vit.live import storage, stored
from vit.model import Classifier, ViT
from vit.weights.checkpoint import CONFIG, save_pretrained

KEEP, MAX_BYTES = 60, 2_000_000_000
KEY = re.compile(r"taught-[\w-]{16}")


def belongs(key: str) -> bool:
    """Whether a key is of such a model, be it here or not."""
    return bool(KEY.fullmatch(key))


def available(key: str) -> bool:
    return belongs(key) and _folder(key).is_dir() and stored.intact(_folder(key))


def save(model: ViT) -> str:
    """Writes a model and returns its key. Raises OSError where the disk is full or can't be written."""
    key = f"taught-{token_urlsafe(12)}"
    try:
        save_pretrained(model, _folder(key))
    except OSError:
        delete(key)
        raise
    for path in storage.surplus((storage.FOLDER / "taught").glob("taught-*"), CONFIG, KEEP, MAX_BYTES):
        delete(path.name)
    return key


def folder(key: str) -> Path:
    """Where its files lie. Raises ValueError where there is no such model any more."""
    if not available(key):
        raise ValueError("This model is not here any more; learn the pictures again, or choose another model.")
    return _folder(key)


def load(key: str) -> Classifier:
    """The model, on the CPU. Raises ValueError where there is none any more."""
    return stored.load(folder(key))


def archive(key: str) -> Path:
    """A zip of weights, config and card. Raises ValueError where there is no such model, OSError on a full disk."""
    return storage.archive(key, folder(key), "vit-own-pictures")


def delete(key: str) -> None:
    """The model and its zip, if there is one."""
    if belongs(key):
        shutil.rmtree(_folder(key), ignore_errors=True)
        storage.forget_archives(key)


def _folder(key: str) -> Path:
    return storage.FOLDER / "taught" / key
