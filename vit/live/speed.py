"""What this machine will manage, found out by trying for a second."""

from dataclasses import replace
from functools import lru_cache

from vit.live import worker
from vit.live.datasets import SOURCES, usable
from vit.live.settings import DEFAULTS
from vit.live.space import ON_ZERO
from vit.precision import Precision
from vit.training import trial
from vit.training.config import TrainConfig
from vit.training.presets import Preset, fitting
from vit.training.spec import RunSpec
from vit.variants import create_model

found: list[Preset] = []  # what find_out found, once it has
precisions: list[Precision] = []


def images_per_second(spec: RunSpec) -> float | None:
    """Images trained a second, without loading and validation; the first call for a model takes a second or two.

    None where nothing can be tried, on ZeroGPU.
    """
    return None if ON_ZERO else _try(spec.model, tuple(spec.architecture.items()), spec.config.batch_size)


@lru_cache(maxsize=64)
def _try(variant: str, architecture: tuple[tuple[str, object], ...], batch_size: int) -> float:
    model = create_model(variant, **dict(architecture)).to(worker.device())
    return trial.images_per_second(model, TrainConfig(minutes=1, batch_size=batch_size))


def find_out() -> None:
    """Finds, in two to four seconds, which live preset, and how precise, learns most here in its time.

    Not on ZeroGPU, whose GPU is lent to runs alone: a step that is tried out would ask this process for it.
    """
    if ON_ZERO:
        found.append(Preset())
        return
    pictures = len(SOURCES[usable()].load().train)
    found.append(fitting("vit_live", DEFAULTS, worker.device(), pictures))
    model = create_model("vit_live", **found[-1].shape).to(worker.device())
    precisions.append(trial.training_precision(model, replace(DEFAULTS, batch_size=found[-1].batch_size)))
