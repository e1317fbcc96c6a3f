"""Datasets that nobody registered: a folder of pictures, a zip of such, or one of the Hub, as an entry like any."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor

from vit.data import folder
from vit.data.folder import Source
from vit.data.hubset import HubSet, download
from vit.data.packed import pack, tested
from vit.data.registry import HUB, Entry, Progress, hub_name, label

MOST_A_STEP = 128  # pictures; of few a quarter of them
SIZE = 32  # pixels of pictures where nobody chose

_downloaded: dict[str, HubSet] = {}  # by name
_opened: dict[tuple[str, int], Entry] = {}  # by name and size


def is_own(name: str) -> bool:
    """Whether it has the form of one: the path of something that is there, or hub:USER/NAME."""
    return name.startswith(HUB) or Path(name).exists()


def entry(name: str, img_size: int | None = None, progress: Progress | None = None) -> Entry:
    """What is to be known before a picture is decoded; mean, std and channels are those of the pictures once loaded.

    img_size: pixels along a side, to which pictures are cut and scaled. progress: told of a download. The entry of a
    dataset of the Hub is called after the revision that was found. Raises ValueError where it can't be a dataset.
    """
    key = name, img_size or SIZE
    if key not in _opened:
        source = _source(name, progress)
        learned = sum(item.split in ("train", "") for item in source.items)
        given = any(item.split == "test" for item in source.items)
        images = learned if given else learned - tested(learned, len(source.classes))
        about = Entry(
            name=source.name,
            label=label(name),
            classes=source.classes,
            size=key[1],
            channels=3,
            mean=(0.5,) * 3,
            std=(0.25,) * 3,
            loader=partial(_load, key),
            description=f"Pictures of {len(source.classes)} classes in {source.name}.",
            hub_name=hub_name(name),
            train_images=images,
            pictures=None if given else learned,
            dealt=True,
            recipe={"batch_size": min(MOST_A_STEP, max(1, images // 4))},
        )
        _opened[key] = _opened[about.name, key[1]] = about
    return _opened[key]


def _source(name: str, progress: Progress | None) -> Source:
    if not name.startswith(HUB):
        return folder.opened(Path(name))
    if name not in _downloaded:
        source = download(name, progress or (lambda fraction, desc: None))
        _downloaded[name] = _downloaded[source.name] = source
    return _downloaded[name]


def _load(key: tuple[str, int], progress: Progress) -> dict[str, Tensor]:
    source = _source(key[0], progress)  # anew: pictures may have been added
    packed = pack(source, key[1], progress)
    given = any(item.split == "test" for item in source.items)
    _opened[key] = _opened[source.name, key[1]] = replace(
        _opened[key],
        classes=source.classes,
        channels=packed.images["train"].shape[1],
        mean=packed.mean,
        std=packed.std,
        train_images=len(packed.labels["train"]),
        pictures=None if given else len(packed.labels["train"]) + len(packed.labels["test"]),
        left_out=packed.left_out,
    )
    images = {f"{split}.images": images for split, images in packed.images.items()}
    return images | {f"{split}.labels": labels for split, labels in packed.labels.items()}
