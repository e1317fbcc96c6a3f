"""Models that visitors taught with pictures of their own: on disk beside the runs, and nowhere listed.

Who knows a model's unguessable key can use it; who has the secret of the run, of which the key is made, can delete it.
The oldest are deleted when there are more than KEEP, or MAX_BYTES.
"""

import base64
import hashlib
import re
import shutil
from pathlib import Path

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


def key_of(secret: str, way: str) -> str:
    """The key of the model that a run learned in a way: it tells nothing of the run's secret, and follows from it."""
    digest = hashlib.sha256(f"{secret} {way}".encode()).digest()
    return f"taught-{base64.urlsafe_b64encode(digest[:12]).decode()}"


def save(key: str, model: ViT) -> None:
    """Writes a model. Raises OSError where the disk is full or can't be written."""
    try:
        save_pretrained(model, _folder(key))
    except OSError:
        delete(key)
        raise
    for path in storage.surplus((storage.FOLDER / "taught").glob("taught-*"), CONFIG, KEEP, MAX_BYTES):
        delete(path.name)


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
