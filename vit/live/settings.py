"""What a visitor may set of a run: read, checked before any time is spent, and said again as a command."""

import math
import shlex
from dataclasses import dataclass, field
from functools import lru_cache
from os import getenv

import torch
from torch.utils.flop_counter import FlopCounterMode

from vit import data
from vit.data import cifar10, shapes
from vit.data.registry import DATASETS
from vit.live.zerogpu import ON_ZERO
from vit.model import ViT
from vit.training.config import TrainConfig
from vit.variants import LARGE_IMAGES, MODELS, create_model

MAX_MINUTES = float(getenv("VIT_MAX_MINUTES", "1.5" if ON_ZERO else "10"))  # a lent GPU counts against a quota
MAX_PARAMETERS = float(getenv("VIT_MAX_PARAMETERS", "25e6"))
MAX_MEMORY = float(getenv("VIT_MAX_MEMORY", "8"))  # gigabytes that a step may need, about
MAX_MAPS = 2e7  # values in all maps of one picture
MAX_BATCH = 1024
MAX_LR = 1.0
MAX_DEPTH = 24

IMG_SIZE = 32
VARIANTS = tuple(name for name in MODELS if name not in LARGE_IMAGES)
PATCHES = (2, 4, 8, 16)
CLASSES = {"cifar10": cifar10.CLASSES, "shapes": shapes.CLASSES}
SHAPE = ("patch_size", "embed_dim", "depth", "num_heads", "stem")  # what of a variant may be changed
LEARNING = ("batch_size", "learning_rate", "weight_decay", "warmup", "crop", "flip", "seed")
DEFAULTS = TrainConfig(minutes=2)


class WrongSetting(ValueError):
    """A setting that cannot work; field names it, the message says what to do."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Settings:
    """A run before it starts. classes: those of the dataset it learns; shape: what differs from the variant."""

    dataset: str
    variant: str
    config: TrainConfig
    classes: tuple[str, ...]
    shape: dict = field(default_factory=dict)

    def build(self) -> ViT:
        """The model at its start, as the command line builds it: the same for the same seed."""
        generator = torch.Generator().manual_seed(self.config.seed)
        model = create_model(self.variant, generator, img_size=IMG_SIZE, num_classes=len(self.classes), **self.shape)
        model.classes, model.mean, model.std = self.classes, DATASETS[self.dataset].mean, DATASETS[self.dataset].std
        return model

    @property
    def title(self) -> str:
        """The variant's name, and what of it was changed."""
        words = {"patch_size": "patch", "embed_dim": "width", "depth": "depth", "num_heads": "heads", "stem": "stem"}
        changed = ", ".join(f"{words[name]} {value}" for name, value in self.shape.items())
        return self.variant.replace("_", "-") + (f" ({changed})" if changed else "")

    @property
    def command(self) -> str:
        """The command line that trains the same model for the same time."""
        config, default = self.config, DEFAULTS
        words = ["python", "-m", "vit", "train", "--dataset", self.dataset, "--model", self.variant]
        words += ["--minutes", f"{config.minutes:g}"]
        for name in ("batch_size", "lr", "weight_decay", "warmup", "crop", "seed"):
            if getattr(config, name) != getattr(default, name):
                words += [f"--{name.replace('_', '-')}", f"{getattr(config, name):g}"]
        words += [] if config.flip else ["--no-flip"]
        for name, value in self.shape.items():
            words += [f"--{name.replace('_', '-')}", str(value)]
        if self.classes != CLASSES[self.dataset]:
            words += ["--classes", *self.classes]
        return shlex.join(words)


@dataclass(frozen=True)
class Size:
    """What a model costs. flops: multiplications and additions of one image's way through it."""

    parameters: int
    tokens: int
    flops: int


@lru_cache(maxsize=64)
def size(variant: str, classes: int, shape: tuple[tuple[str, object], ...] = ()) -> Size:
    """Counted on a model without memory, by running it without arithmetic."""
    with torch.device("meta"):
        model = create_model(variant, img_size=IMG_SIZE, num_classes=classes, **dict(shape))
        images = torch.empty(1, 3, IMG_SIZE, IMG_SIZE)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(images)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Size(parameters, model.pos_embed.shape[1], counter.get_total_flops())


def read(values: dict) -> Settings:
    """Checks what a visitor or a program gave. Raises WrongSetting, naming the field and the remedy.

    dataset, model and minutes are needed; of SHAPE, LEARNING and classes, what is missing is the default.
    """
    dataset, variant, minutes = values.get("dataset"), values.get("model"), values.get("minutes")
    unknown = sorted(set(values) - {"dataset", "model", "minutes", "classes", *SHAPE, *LEARNING})
    if unknown:
        raise WrongSetting(unknown[0], f"There is no setting {unknown[0]!r}; there are {', '.join(SHAPE + LEARNING)}.")
    if dataset not in data.DATASETS:
        raise WrongSetting("dataset", f"No dataset is called {dataset!r}; choose {' or '.join(data.DATASETS)}.")
    if variant not in VARIANTS:
        message = f"No model for 32 px images is called {variant!r}; choose one of {', '.join(VARIANTS)}."
        raise WrongSetting("model", message)
    if minutes is None or not 0 < minutes <= MAX_MINUTES:
        raise WrongSetting("minutes", f"Choose more than 0 and at most {MAX_MINUTES:g} minutes, got {minutes}.")
    for name in (*SHAPE, *LEARNING):
        if name in values and values[name] is None:
            raise WrongSetting(name, f"The {name.replace('_', ' ')} is empty; enter a value.")
    classes = _classes(dataset, values.get("classes"))
    chosen = Settings(dataset, variant, _config(minutes, values), classes, _shape(variant, len(classes), values))
    _check_memory(chosen)
    return chosen


def _classes(dataset: str, chosen) -> tuple[str, ...]:
    there = CLASSES[dataset]
    if chosen is None:
        return there
    wrong = [name for name in chosen if name not in there]
    if wrong:
        raise WrongSetting("classes", f"{dataset} has no class {wrong[0]!r}; choose of {', '.join(there)}.")
    if len(set(chosen)) < 2:
        raise WrongSetting("classes", f"With {len(chosen)} classes there is nothing to tell apart; choose at least 2.")
    return tuple(name for name in there if name in chosen)


def _config(minutes: float, values: dict) -> TrainConfig:
    for name in ("batch_size", "seed", "crop"):
        if name in values and not float(values[name]).is_integer():
            raise WrongSetting(name, f"The {name.replace('_', ' ')} must be a whole number, got {values[name]:g}.")
    if values.get("batch_size", 1) > MAX_BATCH:
        raise WrongSetting("batch_size", f"The batch size may be at most {MAX_BATCH}, got {values['batch_size']:g}.")
    if not 0 <= values.get("crop", 0) <= 8:
        raise WrongSetting("crop", f"The random shift may be 0 to 8 pixels, got {values['crop']:g}.")
    if not 0 <= values.get("seed", 0) < 2**63:
        raise WrongSetting("seed", "The seed must be at least 0 and below 2^63; choose another number.")
    if "learning_rate" in values:
        check_lr(values["learning_rate"])
    names = {"learning_rate": "lr"}
    given = {names.get(name, name): values[name] for name in LEARNING if name in values}
    given |= {name: int(given[name]) for name in ("batch_size", "seed", "crop") if name in given}
    try:
        return TrainConfig(minutes=minutes, **given)
    except ValueError as error:
        field = next((name for name in LEARNING if names.get(name, name) in str(error).split(" must")[0]), "batch_size")
        raise WrongSetting(field, str(error)) from error


def check_lr(lr: float) -> float:
    """Raises WrongSetting for a rate that no run survives."""
    if lr is None or not math.isfinite(lr) or not 0 < lr <= MAX_LR:
        raise WrongSetting(
            "learning_rate",
            f"lr must be a positive number, at most {MAX_LR:g}, got {lr}; {DEFAULTS.lr:g} works, "
            "and above 0.03 runs tend to diverge.",
        )
    return float(lr)


def _shape(variant: str, classes: int, values: dict) -> dict:
    """What differs from the variant. Raises WrongSetting where such a model can't be built or is too large here."""
    own = variant_shape(variant)
    given = {name: values[name] if name == "stem" else int(values[name]) for name in SHAPE if name in values}
    shape = {name: value for name, value in given.items() if value != own[name]}
    full = own | shape
    width, heads, patch, depth = full["embed_dim"], full["num_heads"], full["patch_size"], full["depth"]
    if patch not in PATCHES:
        raise WrongSetting("patch_size", f"A patch of {patch} doesn't fit 32 pixels here; choose 2, 4, 8 or 16.")
    if full["stem"] not in ("patch", "conv"):
        raise WrongSetting("stem", f"The stem is 'patch' or 'conv', got {full['stem']!r}.")
    if heads < 1 or width < heads or width % heads:
        below, above = width // max(heads, 1) * heads, (width // max(heads, 1) + 1) * heads
        fitting = f"choose a width of {f'{below} or ' if below > 0 else ''}{above}" if heads > 0 else "choose 1 or more"
        raise WrongSetting("embed_dim", f"A width of {width} can't be shared out among {heads} heads; {fitting}.")
    if not 1 <= depth <= MAX_DEPTH:
        raise WrongSetting("depth", f"The depth may be 1 to {MAX_DEPTH} layers, got {depth}.")
    if 4 * depth * width**2 > MAX_PARAMETERS * 4:  # before a model of any size is built, even without memory
        raise WrongSetting("embed_dim", _too_large(4 * depth * width**2))
    try:
        counted = size(variant, classes, tuple(shape.items())).parameters
    except ValueError as error:
        raise WrongSetting("patch_size", str(error)) from error
    if counted > MAX_PARAMETERS:
        raise WrongSetting("embed_dim", _too_large(counted))
    return shape


def _check_memory(chosen: Settings) -> None:
    """Raises WrongSetting where maps or a training step would need too much: the system would end the whole server."""
    full = variant_shape(chosen.variant) | chosen.shape
    tokens, depth, heads = (IMG_SIZE // full["patch_size"]) ** 2 + 1, full["depth"], full["num_heads"]
    if depth * heads * tokens**2 > MAX_MAPS:
        message = f"{depth} layers of {heads} heads on {tokens} tokens have too many maps to show; "
        raise WrongSetting("num_heads", message + "choose fewer heads or layers, or larger patches.")
    # A block keeps of an image, for its backward pass, some 16 values a token and channel and 3 copies of the maps.
    image = 4 * depth * (16 * full["embed_dim"] * tokens + 3 * heads * tokens**2) / 1e9
    needed, most = chosen.config.batch_size * image, int(MAX_MEMORY / image)
    if needed > MAX_MEMORY:
        remedy = f"a batch of at most {most}" if most else "larger patches or a smaller width"
        raise WrongSetting(
            "batch_size", f"A step needs about {needed:.0f} GB, here {MAX_MEMORY:g} are the most; choose {remedy}."
        )


def _too_large(parameters: float) -> str:
    return (
        f"This model has {parameters / 1e6:,.0f} million parameters, here {MAX_PARAMETERS / 1e6:g} million are "
        "the most; choose a smaller width or depth."
    )


@lru_cache(maxsize=8)
def variant_shape(variant: str) -> dict:
    """A variant's own patch size, width, depth, heads and stem."""
    with torch.device("meta"):
        return {name: value for name, value in create_model(variant).config.items() if name in SHAPE}
