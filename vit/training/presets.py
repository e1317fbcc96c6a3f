"""Which live preset this machine trains best in so many minutes: one rule, from one core to a large GPU.

A model of more parameters learns more from an image, and sees fewer. It pays where the images that the run will see are
at least IMAGES_A_PARAMETER times its parameters: both grow in step, as Hoffmann et al. 2022 (arXiv:2203.15556) found of
language models. Images seen again count for less the more often they were seen (see `worth`), so that few pictures
keep the model small whatever the machine. How many it will see is found by trial of the run's own step.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any

import torch

from vit.device import memory
from vit.model import ViT
from vit.training.config import TrainConfig
from vit.training.trial import images_per_second
from vit.variants import create_model

SIZED = ("embed_dim", "depth", "num_heads")  # what of the model is chosen
WIDTHS = (64, 96, 128, 192, 256, 384)
USUAL = 128  # the width that is tried first, vit_live's own
# Measured with CIFAR-10's 45,000 pictures: after one pass width 128 (500,906 parameters) is as good as narrower ones.
IMAGES_A_PARAMETER = 0.09
REPEATS = 15.4  # passes after the first, of which a picture gives most of what it has to give
MEMORY_SHARE = 0.25  # of all memory that a step may take: data, validation and the page need theirs

SMALLEST_BATCH, LARGEST_BATCH = 16, 512  # images
FEWEST_BATCHES = 4  # of all pictures: of few the batch is not doubled
FEWEST_STEPS, MANY_STEPS = 100, 1_000  # fewer: the batch is halved; as many are left: it may be doubled
SHORT_STEP = 0.05  # seconds; where a step is shorter, a good part of it may be what each step costs, however large
GAIN = 1.25  # times as many images a second, for which the batch is doubled


@dataclass(frozen=True)
class Preset:
    """shape: SIZED, arguments of the model. batch_size: images a step."""

    shape: Mapping[str, int] = field(default_factory=lambda: shape_of(USUAL))
    batch_size: int = TrainConfig.batch_size


def shape_of(width: int) -> dict[str, int]:
    """The live preset at another width; beyond its own, depth and heads grow in step."""
    return dict(zip(SIZED, (width, max(3, width // 32 - 1), max(4, width // 32)), strict=True))


def worth(seen: float, pictures: int) -> float:
    """Images that see each picture once and would teach as much as so many, `seen`, that repeat them.

    After Muennighoff et al. 2023 (arXiv:2305.16264), Eq. 5: u + u r (1 - exp(-(n / u - 1) / r)).
    """
    once = min(seen, pictures)
    repeated = max(0.0, seen / pictures - 1)
    return once + once * REPEATS * (1 - math.exp(-repeated / REPEATS))


def step_bytes(tokens: int, width: int, depth: int, heads: int) -> int:
    """That a training step keeps of an image in float32, about: what its backward pass needs of each block.

    Some 16 values a token and channel, and 3 copies of the maps.
    """
    return 4 * depth * (16 * width * tokens + 3 * heads * tokens**2)


def fitting(
    name: str, config: TrainConfig, device: torch.device, pictures: int, resize: bool = True, **shape
) -> Preset:
    """The shape of vit_live or vit_live_patch that learns most in config.minutes here, and its batch.

    pictures: to learn from. resize: whether another batch than config's may be chosen. shape: of the model otherwise.
    Takes a second or two for each size that is tried; one that doesn't fit into memory is not tried.
    """
    assert config.minutes is not None, "a run of epochs takes as long as it takes"
    trial = _Trial(name, config, device, shape)
    seconds, batch = 60 * config.minutes, config.batch_size
    while resize and batch > SMALLEST_BATCH and not trial.fits(WIDTHS[0], batch):
        batch //= 2
    if resize and trial.fits(USUAL, batch):
        batch = _doubled(trial, seconds, batch, min(LARGEST_BATCH, pictures // FEWEST_BATCHES))
    fit = [width for width in WIDTHS if trial.fits(width, batch)] or WIDTHS[:1]

    @cache
    def seen(width: int) -> float:
        return seconds * trial.rate(width, batch)

    def pays(width: int) -> bool:
        return worth(seen(width), pictures) >= trial.needs(width)

    at = fit.index(USUAL) if USUAL in fit else len(fit) - 1
    if pays(fit[at]):  # a larger model sees no more images: often that alone rules it out
        reached = worth(seen(fit[at]), pictures)
        while at + 1 < len(fit) and reached >= trial.needs(fit[at + 1]) and pays(fit[at + 1]):
            at += 1
    else:
        while at > 0 and not pays(fit[at]):
            at -= 1
    steps = seen(fit[at]) / batch
    while resize and batch > SMALLEST_BATCH and steps < FEWEST_STEPS:
        batch, steps = batch // 2, 2 * steps
    return Preset(shape_of(fit[at]), batch)


def _doubled(trial: "_Trial", seconds: float, batch: int, most: int) -> int:
    """The batch, or a larger one up to most, where a step is short and larger ones train more images a second."""
    rate = trial.rate(USUAL, batch)
    while (
        2 * batch <= most
        and batch < SHORT_STEP * rate
        and seconds * rate >= MANY_STEPS * 2 * batch
        and trial.fits(USUAL, 2 * batch)
        and (larger := trial.rate(USUAL, 2 * batch)) >= GAIN * rate
    ):
        batch, rate = 2 * batch, larger
    return batch


@dataclass(frozen=True)
class _Trial:
    """What is known of the preset at a width, by trying or by counting."""

    name: str
    config: TrainConfig
    device: torch.device
    shape: Mapping[str, Any]

    def rate(self, width: int, batch: int) -> float:
        """Images a second; 0 where a step can't be tried."""
        model = create_model(self.name, **{**self.shape, **shape_of(width)}).to(self.device)
        try:
            return images_per_second(model, replace(self.config, batch_size=batch))
        except RuntimeError:
            return 0.0

    def needs(self, width: int) -> float:
        """Images, each seen once, from which it pays."""
        return IMAGES_A_PARAMETER * _counted(self.name, width, tuple(self.shape.items()))[0]

    def fits(self, width: int, batch: int) -> bool:
        tokens = _counted(self.name, width, tuple(self.shape.items()))[1]
        images = batch // self.config.accumulate
        return images * step_bytes(tokens, *shape_of(width).values()) <= MEMORY_SHARE * memory(self.device)


@lru_cache(maxsize=64)
def _counted(name: str, width: int, shape: tuple) -> tuple[int, int]:
    """Parameters and tokens, of a model without memory."""
    with torch.device("meta"):
        model = create_model(name, **{**dict(shape), **shape_of(width)})
    assert isinstance(model, ViT), "the live presets are"
    return sum(parameter.numel() for parameter in model.parameters()), model.num_tokens
