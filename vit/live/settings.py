"""What a visitor may set of a run: the limits, and a RunSpec within them, checked before any time is spent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from os import getenv

import torch

from vit.data.registry import DATASETS
from vit.device import memory
from vit.live.space import ON_ZERO
from vit.training.config import SETTINGS, TrainConfig
from vit.training.presets import step_bytes
from vit.training.setting import Setting, WrongSetting
from vit.training.spec import SHAPE as MODEL_SHAPE
from vit.training.spec import RunSpec
from vit.variants import LARGE_IMAGES, VITS, create_model

MAX_MINUTES = float(getenv("VIT_MAX_MINUTES", "1.5" if ON_ZERO else "10"))  # a lent GPU counts against a quota
MAX_PARAMETERS = float(getenv("VIT_MAX_PARAMETERS", "25e6"))
CPU = torch.device("cpu")
MAX_MEMORY = float(getenv("VIT_MAX_MEMORY", min(8.0, memory(CPU) / 2e9)))  # gigabytes that a step may need, about
MAX_MAPS = 2e7  # values in all maps of one picture

VARIANTS = tuple(name for name in VITS if name not in LARGE_IMAGES)
DEFAULTS = TrainConfig(minutes=0.5 if ON_ZERO else 2)
FAST = 20 * DEFAULTS.lr  # a rate at which a young transformer stumbles, for experiments

CONFIG_NAMES = {"learning_rate": "lr"}  # where TrainConfig has another name

LIMITS: dict[str, Setting] = {  # of what a visitor may set, beside the dataset and its classes
    "model": Setting(str, "the variant", choices=VARIANTS),
    "minutes": replace(SETTINGS["minutes"], high=MAX_MINUTES, optional=False),
    "patch_size": replace(MODEL_SHAPE["patch_size"], choices=(2, 4, 8, 16)),
    "embed_dim": replace(MODEL_SHAPE["embed_dim"], high=10_000),
    "depth": replace(MODEL_SHAPE["depth"], high=24),
    "num_heads": replace(MODEL_SHAPE["num_heads"], high=1_000),
    "stem": MODEL_SHAPE["stem"],
    "batch_size": replace(SETTINGS["batch_size"], low=1, above=False, high=1024),
    "learning_rate": replace(
        SETTINGS["lr"], high=1.0, advice=f"{DEFAULTS.lr:g} works, and above 0.03 runs tend to diverge"
    ),
    "weight_decay": replace(SETTINGS["weight_decay"], high=10.0),
    "warmup": SETTINGS["warmup"],
    "crop": replace(SETTINGS["crop"], high=8),
    "flip": SETTINGS["flip"],
    "seed": SETTINGS["seed"],
}
SHAPE = tuple(name for name in LIMITS if name in MODEL_SHAPE)  # what of a variant may be changed
LEARNING = tuple(name for name in LIMITS if CONFIG_NAMES.get(name, name) in SETTINGS and name != "minutes")


@dataclass(frozen=True)
class Size:
    """What a model is made of. has_readout: whether one takes the class token's place."""

    parameters: int
    tokens: int
    has_readout: bool


def size(spec: RunSpec) -> Size:
    """Counted on a model without memory."""
    return _count(spec.model, tuple(spec.architecture.items()))


def flops(spec: RunSpec) -> int:
    """Multiplications and additions of one image's way through the model, which is run without arithmetic."""
    return _count_flops(spec.model, tuple(spec.architecture.items()))


@lru_cache(maxsize=64)
def _count(variant: str, architecture: tuple[tuple[str, object], ...]) -> Size:
    with torch.device("meta"):
        model = create_model(variant, **dict(architecture))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Size(parameters, model.num_tokens, model.has_readout)


@lru_cache(maxsize=64)
def _count_flops(variant: str, architecture: tuple[tuple[str, object], ...]) -> int:
    from torch.utils.flop_counter import FlopCounterMode  # when called: it brings a compiler along

    with torch.device("meta"):
        model = create_model(variant, **dict(architecture))
        images = torch.empty(1, model.config["in_chans"], model.config["img_size"], model.config["img_size"])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(images)
    return counter.get_total_flops()


def read(values: Mapping[str, object], advanced: object = None) -> RunSpec:
    """The run that a visitor or a program asks for. Raises WrongSetting, naming the field, what came and what may.

    dataset, model and minutes are needed; of SHAPE, LEARNING and classes, what is missing is the default. advanced: a
    dict of more of them.
    """
    if not isinstance(advanced, dict | None):
        raise WrongSetting("advanced", f"The advanced settings must be an object by name, got {advanced!r:.100}.")
    values = {**values, **(advanced or {})}
    names = ("dataset", *LIMITS, "classes")
    if unknown := [name for name in values if name not in names]:
        raise WrongSetting("advanced", f"There is no setting {unknown[0]!r:.100}; there are {', '.join(names)}.")
    for name in ("model", "minutes"):
        values.setdefault(name, None)
    if values.get("classes", ()) is None:
        del values["classes"]
    elif "classes" in values and values["classes"] in ([], ()):
        raise WrongSetting("classes", "With no classes there is nothing to tell apart; choose at least 2.")
    within = {name: LIMITS[name].check(name, values[name], label(name)) for name in LIMITS if name in values}
    within = {CONFIG_NAMES.get(name, name): value for name, value in within.items()}
    own = variant_shape(within["model"])
    chosen = {name: value for name, value in within.items() if name not in own or value != own[name]}
    Setting(str, "", choices=tuple(DATASETS)).check("dataset", values.get("dataset"))  # no path of the server's
    others = {name: values[name] for name in ("dataset", "classes") if name in values}
    spec = RunSpec.make({**others, **chosen})
    _check_shape(spec, own)
    _check_memory(spec)
    return spec


def label(name: str) -> str:
    """What people call a setting, at the start of a sentence."""
    return name.replace("_", " ").capitalize()


def check_lr(lr: object) -> float:
    """Raises WrongSetting for a rate that no run survives."""
    return float(LIMITS["learning_rate"].check("learning_rate", lr, label("learning_rate")))


def _check_shape(spec: RunSpec, own: Mapping[str, object]) -> None:
    """Raises WrongSetting where such a model can't be built or is too large here."""
    full = {**own, **spec.shape}
    width, heads, depth = full["embed_dim"], full["num_heads"], full["depth"]
    if width % heads:
        below, above = width // heads * heads, (width // heads + 1) * heads
        fitting = f"{f'{below} or ' if below else ''}{above}"
        message = f"A width of {width} can't be shared out among {heads} heads; choose a width of {fitting}."
        raise WrongSetting("embed_dim", message)
    if depth * width**2 > MAX_PARAMETERS:  # before a model of any size is built, even without memory
        raise WrongSetting("embed_dim", _too_large(4 * depth * width**2))
    try:
        counted = size(spec).parameters
    except ValueError as error:  # all else has been checked: the patch doesn't fit the dataset's pictures
        raise WrongSetting("patch_size", str(error)) from error
    if counted > MAX_PARAMETERS:
        raise WrongSetting("embed_dim", _too_large(counted))


def _check_memory(spec: RunSpec) -> None:
    """Raises WrongSetting where maps or a training step would need too much: the system would end the whole server."""
    full = {**variant_shape(spec.model), **spec.shape}
    tokens, depth, heads = size(spec).tokens, full["depth"], full["num_heads"]
    if depth * heads * tokens**2 > MAX_MAPS:
        message = f"{depth} layers of {heads} heads on {tokens} tokens have too many maps to show; "
        raise WrongSetting("num_heads", message + "choose fewer heads or layers, or larger patches.")
    image = step_bytes(tokens, full["embed_dim"], depth, heads) / 1e9
    needed, most = spec.config.batch_size * image, int(MAX_MEMORY / image)
    if needed > MAX_MEMORY:
        remedy = f"a batch of at most {most}" if most else "larger patches or a smaller width"
        raise WrongSetting(
            "batch_size", f"A step needs about {needed:.2g} GB, here {MAX_MEMORY:.2g} are the most; choose {remedy}."
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
