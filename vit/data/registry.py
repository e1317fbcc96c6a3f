"""The datasets that have a name: one entry each, which everything else reads."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from vit.data import cifar10, shapes

HUB = "hub:"  # what the name of a dataset of the Hub begins with
GATED = (  # said of any repository of the Hub
    "is gated. Accept its terms on its page, then sign in with a token of yours: `hf auth login`, or the variable "
    "HF_TOKEN."
)

Progress = Callable[..., object]  # progress(fraction in [0, 1], desc="..."), the way gradio.Progress is called


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A dataset as everybody sees it before it is loaded. Raises ValueError, naming the dataset, on what can't be.

    name: for programs, flags and links. label: for people. size: pixels along a side. mean, std: a value a channel,
        of pixels in [0, 1].
    loader: called with a Progress; returns uint8 images (n, channels, size, size) and int64 labels (n,) under
        "train.images", "train.labels", "test.images" and "test.labels", and where the objects' places are known bool
        masks (n, size, size) under "train.masks" and "test.masks". Raises DatasetUnavailable where it is not to be had.
    description: one sentence for people and the model's card. built_in: needs no network and no file, ever.
    dealt: whether its training pictures lie in the order in which they are held out. left_out: a sentence on pictures
        that could not be used. train_images: pictures to train on, from which some are held out; None where that is
        not known beforehand. pictures: all there are, where those to test with are dealt out of them, and so are others
        where pictures come or go; None where it is fixed which they are.
    hub_name: its repository on the Hub. recipe: values of TrainConfig's fields that suit it better than the defaults.
    """

    name: str
    label: str
    classes: tuple[str, ...]
    size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    loader: Callable[[Progress], dict[str, Tensor]]
    description: str
    built_in: bool = False
    train_images: int | None = None
    pictures: int | None = None
    dealt: bool = False
    left_out: str = ""
    hub_name: str | None = None
    recipe: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self):
        if not (self.name and self.label and self.description):
            raise ValueError(f"Dataset {self.name!r}: expected a name like my_dataset, a label and a description.")
        if len(set(self.classes)) != len(self.classes) or len(self.classes) < 2:
            raise ValueError(f"Dataset {self.name!r}: expected two or more different classes, got {self.classes}.")
        if self.size < 1 or not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(
                f"Dataset {self.name!r}: expected a size of 1 or more and {self.channels} values of mean and std, one "
                f"a channel, got size={self.size}, mean={self.mean}, std={self.std}."
            )
        if not all(map(math.isfinite, (*self.mean, *self.std))) or min(self.std) <= 0:
            raise ValueError(
                f"Dataset {self.name!r}: expected finite mean and positive std, got {self.mean, self.std}."
            )


DATASETS: dict[str, Entry] = {}  # by name; where several would do, the first is preferred


def register(name: str, **about: Any) -> Entry:
    """Adds a dataset, about: Entry's fields. Raises ValueError where one is missing, unknown or wrong."""
    keys = {f.name: f.default is MISSING and f.default_factory is MISSING for f in fields(Entry)}
    missing = [key for key, needed in keys.items() if needed and key not in about and key != "name"]
    unknown = [key for key in about if key not in keys]
    if missing or unknown:
        wrong = f"lacks {', '.join(missing)}" if missing else f"has {', '.join(unknown)}, which no entry knows"
        raise ValueError(f"Dataset {name!r} {wrong}; the fields are {', '.join(keys)}.")
    if not name.isidentifier():
        raise ValueError(f"Dataset {name!r}: expected a name like my_dataset.")
    if name in DATASETS:
        raise ValueError(f"Dataset {name!r} is registered already; choose another name.")
    DATASETS[name] = Entry(name=name, **about)
    return DATASETS[name]


def entry(name: str, img_size: int | None = None, progress: Progress | None = None) -> Entry:
    """A registered dataset, or one of one's own: a folder of pictures, a zip of such, or hub:USER/NAME.

    img_size: to which pictures of one's own are scaled. progress: told of a download. Raises ValueError where there is
    none, and DatasetUnavailable where the Hub can't be reached.
    """
    if name in DATASETS:
        return DATASETS[name]
    from vit.data import own  # only now: pictures need Pillow

    if own.is_own(name):
        return own.entry(name, img_size, progress)
    raise ValueError(
        f"dataset must be one of {', '.join(DATASETS)}, or a folder with a folder of pictures for each class, a zip of "
        f"such, or hub:USER/NAME, got {name!r}."
    )


def preferred() -> Entry:
    """What is trained on where nobody chose and it can be had."""
    return next(iter(DATASETS.values()))


def fallback() -> Entry:
    """The built-in one, which can always be had."""
    return next(entry for entry in DATASETS.values() if entry.built_in)


def label(name: str) -> str:
    """What people call a dataset: of one's own pictures the folder's, the zip's or the repository's name."""
    return DATASETS[name].label if name in DATASETS else hub_name(name) or Path(name).stem


def hub_name(name: str) -> str | None:
    """The repository on the Hub that a dataset of that name is from, if it is from one."""
    if name in DATASETS:
        return DATASETS[name].hub_name
    return re.split("[:@]", name.removeprefix(HUB))[0] if name.startswith(HUB) else None


register(
    "cifar10",
    label="CIFAR-10",
    classes=cifar10.CLASSES,
    size=32,
    channels=3,
    mean=cifar10.MEAN,
    std=cifar10.STD,
    loader=cifar10.read,
    description="Photographs of animals and vehicles, ten classes, 32 x 32 pixels, from the Hub.",
    hub_name=cifar10.REPO,
)
register(
    "shapes",
    label="Shapes",
    classes=shapes.CLASSES,
    size=32,
    channels=3,
    mean=shapes.MEAN,
    std=shapes.STD,
    loader=shapes.read,
    description="Drawn shapes on textured ground, ten classes, 32 x 32 pixels, built in.",
    built_in=True,
)
