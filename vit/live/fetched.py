"""Repositories of the Hub that visitors had fetched, and what they may take on disk. What the host had stays.

Each bears a mark in its folder of the Hub's cache, so that it is known after a restart, too; so does what the host had
and a visitor asked for: what else lies there is the host's alone.
"""

import math
import shutil
from os import getenv
from pathlib import Path

from vit.live.storage import surplus

MAX_GIGABYTES = float(getenv("VIT_MAX_FETCHED", "4"))  # that all of them may take; the oldest go first
MARK, OPENED = ".fetched-by-a-visitor", ".opened-by-a-visitor"


def mark(repository: str) -> None:
    """Before a download that a visitor asked for."""
    folder = _folder(repository)
    if not folder.exists() or (folder / MARK).exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MARK).touch()  # anew: it is the latest now
    else:
        (folder / OPENED).touch()


def opened(repository: str) -> bool:
    """Whether a visitor asked for it."""
    return any((_folder(repository) / name).exists() for name in (MARK, OPENED))


def delete_oldest(kept: set[str]) -> None:
    """As many as take more than MAX_GIGABYTES together, but none of those whose names are kept."""
    stay = {_folder(repository) for repository in kept}
    marked = (mark.parent for mark in _cache().glob(f"models--*/{MARK}"))
    for folder in surplus(marked, MARK, math.inf, MAX_GIGABYTES * 1e9):
        if folder not in stay:
            shutil.rmtree(folder, ignore_errors=True)


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _folder(repository: str) -> Path:
    from huggingface_hub.file_download import repo_folder_name

    return _cache() / repo_folder_name(repo_id=repository, repo_type="model")
