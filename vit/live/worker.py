"""A run's training as a generator of what pages need, all of it on the CPU and picklable.

What is above this seam, the registry and the pages, is the same wherever the generator runs: in a thread of this
process, or in the fork that ZeroGPU makes of it.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from vit.data import Splits, select_classes
from vit.device import choose_device
from vit.live.datasets import SOURCES
from vit.live.space import ON_ZERO
from vit.live.zerogpu import Letter, lend
from vit.model import ViT
from vit.precision import Precision
from vit.training import Progress, TrainingDiverged, earlier, finite, train
from vit.training.config import TrainConfig
from vit.training.moments import Camera, Snapshot, probe, take
from vit.training.spec import RunSpec
from vit.training.state import TrainState
from vit.training.trial import settle

STARTING = 30  # seconds that a lent GPU is asked for beyond the run's own
WEIGHTS_EVERY = 5.0  # seconds; what a diverged run falls back to


@dataclass(frozen=True)
class Frame:
    """After a step, or before the first, where progress is None, and that alone says what it computes in.

    weights: a finite state dict, now and then. milestone: whether they are to be kept as they are.
    """

    progress: Progress | None
    snapshot: Snapshot | None = None
    weights: dict[str, Tensor] | None = None
    milestone: bool = False
    drawing: float = 0.0  # seconds spent on snapshots so far
    precision: Precision | None = None
    failure: str = ""  # why the run can't go on, where it could not raise TrainingDiverged


class Steering(Protocol):
    letter: Letter | None  # where the run trains in another process

    def steer(self, config: TrainConfig) -> bool:
        """Called between two steps: may wait, may change config.lr; False ends the run."""


def begin(model: ViT, settings: RunSpec, splits: Splits, steering: Steering) -> Iterator[Frame]:
    """Trains a copy of a new model: in this thread, or in the fork that has the lent GPU where the run has a letter."""
    if steering.letter is None:
        yield from learn(copy.deepcopy(model), settings, splits, steering, device())
        return
    for frame in learn_on_lent_gpu(model, settings, steering.letter.path):
        if frame.failure:
            raise TrainingDiverged(frame.failure)
        yield frame


def learn(model: ViT, settings: RunSpec, splits: Splits, steering: Steering, device: torch.device) -> Iterator[Frame]:
    """Trains the model in place and yields a Frame after every step; the last one has the weights."""
    model = model.to(device)
    pictures = probe(splits.validation)
    config = replace(settings.config)  # its own: the rate may be changed
    state = TrainState(model, config)
    yield Frame(None, take(model, pictures), precision=settle(state, config, len(splits.validation)))
    camera, kept_at, passed = Camera(model, pictures), 0.0, _milestones(0.0, 0.0)
    for progress in train(model, splits.train, config, splits.validation, state):
        going = steering.steer(config) and progress.done < 1
        snapshot, weights = camera.look(progress), None
        milestone = going and _milestones(progress.done, progress.epoch) > passed
        if (not going or milestone or progress.elapsed - kept_at >= WEIGHTS_EVERY) and finite(state.best):
            weights = {name: value.cpu().clone() for name, value in state.best.state_dict().items()}
            kept_at, passed = progress.elapsed, _milestones(progress.done, progress.epoch)
        yield Frame(progress, snapshot, weights, milestone and weights is not None, camera.seconds)
        if not going:
            return


def _milestones(done: float, epoch: float) -> int:
    """How many a run is past: the shares at which a model is kept, and the first epoch."""
    return earlier.reached(done) + (epoch >= 1)


def _learn_in_fork(model: ViT, settings: RunSpec, letter: Path) -> Iterator[Frame]:
    source = SOURCES[settings.dataset]  # the fork has the datasets, too large to be pickled, from its parent
    splits = select_classes(source.splits or source.load(), settings.classes)
    try:
        yield from learn(model, settings, splits, Letter(letter), choose_device())
    except TrainingDiverged as error:
        yield Frame(None, failure=str(error))


def asked(settings: RunSpec) -> int:
    """Seconds that a GPU is asked for where it is lent; what a run doesn't need of them goes back."""
    assert settings.config.minutes is not None, "a visitor's run has minutes"
    return round(60 * settings.config.minutes) + STARTING


learn_on_lent_gpu = lend(_learn_in_fork, lambda model, settings, letter: asked(settings))


def device() -> torch.device:
    """Where this process computes. ZeroGPU tells everyone that there is a GPU, and lends it to decorated functions."""
    return torch.device("cpu") if ON_ZERO else choose_device()
