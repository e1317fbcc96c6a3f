"""The datasets that have a name: one entry each, which everything else reads."""

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from torch import Tensor

from vit.data import cifar10, shapes

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
    train_images: pictures to train on, some of which are then held out, where that is known beforehand.
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
    hub_name: str | None = None
    recipe: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self):
        if not (self.name.isidentifier() and self.label and self.description):
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
    if name in DATASETS:
        raise ValueError(f"Dataset {name!r} is registered already; choose another name.")
    DATASETS[name] = Entry(name=name, **about)
    return DATASETS[name]


def preferred() -> Entry:
    """What is trained on where nobody chose and it can be had."""
    return next(iter(DATASETS.values()))


def fallback() -> Entry:
    """The built-in one, which can always be had."""
    return next(entry for entry in DATASETS.values() if entry.built_in)


def label(name: str) -> str:
    """What people call a dataset; the name itself where it is not registered here."""
    return DATASETS[name].label if name in DATASETS else name


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
