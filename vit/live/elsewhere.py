"""Models from elsewhere: repositories of the Hub that were fetched, and folders and zips of the visitors' own."""

import shutil
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache, lru_cache
from os import getenv
from pathlib import Path
from secrets import token_urlsafe

from vit.data import zips
from vit.live import bounds, fetched, stored, temporary, uploads
from vit.live.sizes import MAX_SIDE
from vit.model import Classifier, ViT
from vit.weights import fetch
from vit.weights.checkpoint import from_pretrained
from vit.weights.fetch import CONFIG, PREPROCESSOR, WEIGHTS, Progress
from vit.weights.resize import set_image_size

KEEP_MODELS = int(getenv("VIT_KEEP_MODELS", "3"))  # from elsewhere, in memory
MAX_FETCH = float(getenv("VIT_MAX_FETCH", "0.5"))  # gigabytes of one repository's weights
KEEP_ZIPS = 20  # that visitors sent, on disk; the oldest goes first
MAX_ZIP = 400_000_000  # bytes that come out of a zip
SIZE = 224  # to which pictures for more patches are made smaller

GIVEN: list[str] = []  # keys that the app was started with
_folders: OrderedDict[str, Path] = OrderedDict()  # by key, of models that are no repositories


@dataclass(frozen=True)
class Known:
    repository: str
    title: str
    sentence: str


KNOWN = (
    Known("timm/vit_small_patch16_224.dino", "DINO, ViT-S/16", "learned without labels; its heads outline objects"),
    Known("timm/vit_small_patch8_224.dino", "DINO, ViT-S/8", "the same with 28 × 28 patches: finer outlines, slower"),
    Known(
        "timm/vit_small_patch14_reg4_dinov2.lvd142m",
        "DINOv2, ViT-S/14",
        "has four registers, so that no patch is misused to keep notes",
    ),
    Known(
        "timm/deit_tiny_distilled_patch16_224.fb_in1k",
        "DeiT, Ti/16",
        "learned ImageNet from a teacher, through a second token",
    ),
    Known("timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k", "ViT-Ti/16", "the smallest that names ImageNet's classes"),
    Known("google/vit-base-patch16-224", "ViT-B/16", "the paper's own Base: 12 layers of 12 heads, ImageNet's classes"),
)


def lend_no_token() -> None:
    """From now on the Hub is asked as by anybody: the host's token would give visitors what is the host's alone."""
    from huggingface_hub import constants

    constants.HF_HUB_DISABLE_IMPLICIT_TOKEN = True


def belongs(key: str) -> bool:
    """Whether a key is of a model from elsewhere, be it here or not."""
    return key in _folders or fetch.on_hub(key)


def available(key: str) -> bool:
    """Whether it is here, and a visitor's to open: what else the host has in the Hub's cache may be private."""
    if key in _folders or not fetch.on_hub(key):
        return key in _folders
    known = key in GIVEN or any(key == one.repository for one in KNOWN)
    return fetch.cached(key) and (known or fetched.opened(key))


def folder(key: str) -> Path | None:
    """Where a model lies that was given as a folder or a zip."""
    return _folders.get(key)


def load(key: str) -> Classifier:
    """The model, on the CPU, for pictures of at most MAX_SIDE patches a side. Raises ValueError, naming the remedy."""
    if not available(key):
        raise ValueError(f"{key} is not on this server yet; fetch it under “Other models”.")
    return _load(key, hosts=key in GIVEN)


@lru_cache(maxsize=KEEP_MODELS)
def _load(key: str, hosts: bool) -> Classifier:
    """hosts: whose model may be of any size."""
    if not hosts:
        bounds.check("The model" if key in _folders else key, fetch.files(_folders.get(key, key), local=True))
    model = stored.check_channels(key, from_pretrained(_folders.get(key, key), local=True))
    if isinstance(model, ViT) and model.grid_size[0] > MAX_SIDE:
        before, patch = model.config["img_size"], model.config["patch_size"]
        set_image_size(model, min(SIZE, MAX_SIDE * patch) // patch * patch)
        model.trained["resized_from"] = before
    return model


def size(repository: str) -> tuple[int, bool]:
    """Bytes to fetch, and whether they are here already. Raises ValueError where it can't be had, or is too large."""
    if not fetch.on_hub(repository):
        raise ValueError(f"{repository!r:.80} is no repository of the Hub; give one as owner/name.")
    total, here = fetch.size(repository)
    if total > MAX_FETCH * 1e9:
        raise ValueError(
            f"{repository} has {total / 1e6:,.0f} MB of weights, here {MAX_FETCH * 1e3:,.0f} MB are the most; take a "
            "smaller one, or run the app on a machine of your own."
        )
    return total, here


def download(repository: str, progress: Progress) -> None:
    """Fetches a repository and tries that it is a model to look into. Raises ValueError, naming the remedy.

    What visitors had fetched before goes where the disk would hold too much of it.
    """
    from huggingface_hub import constants

    size(repository)
    if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN and not available(repository):
        fetch.check_handed_out(repository)
    fetched.mark(repository)
    try:
        fetch.files(repository, progress=progress)
    finally:
        fetched.delete_oldest({repository, *GIVEN})
    load(repository)


def give(source: str) -> str:
    """Puts a folder, or a repository, which is fetched, before all models of the app, and returns its key."""
    key = source if not Path(source).is_dir() and fetch.on_hub(source) else Path(source).resolve().name
    if key == source:
        fetch.files(source)
    else:
        _folders[key] = Path(source).resolve()
    _load(key, hosts=True)
    GIVEN.append(key)
    return key


def unpack(archive: str) -> str:
    """The key of a model folder that a visitor sent as a zip: one at a time. Raises ValueError, naming the remedy."""
    if shutil.disk_usage(_root()).free < uploads.LEAST_FREE:  # which is more than MAX_ZIP
        raise ValueError("The server's disk is full; try again later.")
    folder = Path(tempfile.mkdtemp(dir=_root()))
    key = f"own-{token_urlsafe(12)}"
    _folders[key] = folder
    try:
        _extract(Path(archive), folder)
        _load(key, hosts=False)
    except zips.UNPACKING as error:
        _forget(key)
        ours = isinstance(error, ValueError) and not isinstance(error, zips.UnreadableArchive)
        message = str(error).replace(str(folder), "The zip")
        raise ValueError(message if ours else f"This is no zip that can be read: {message}") from error
    sent = [key for key in list(_folders) if key.startswith("own-")]
    for oldest in sent[: max(0, len(sent) - KEEP_ZIPS)]:
        _forget(oldest)
    return key


def _extract(archive: Path, folder: Path) -> None:
    """Raises one of zips.UNPACKING."""
    left = MAX_ZIP
    with zips.open_archive(archive) as packed:
        for info in packed.infolist():
            name = Path(info.filename).name
            if name not in (CONFIG, WEIGHTS, PREPROCESSOR) or (folder / name).exists():
                continue
            left -= zips.write(packed, info, folder / name, left)
            if left < 0:
                raise ValueError(f"The zip holds more than {MAX_ZIP / 1e6:.0f} MB; send a smaller model.")


def _forget(key: str) -> None:
    if folder := _folders.pop(key, None):
        shutil.rmtree(folder, ignore_errors=True)


@cache
def _root() -> Path:
    """Where zips are unpacked."""
    return temporary.folder("vit-models")
