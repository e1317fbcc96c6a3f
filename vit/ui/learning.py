"""A run's training as a generator of what pages need, all of it on the CPU and picklable.

What is above this seam, the registry and the pages, is the same wherever the generator runs: in a thread of this
process, or in the fork that ZeroGPU makes of it.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from vit.config import TrainConfig
from vit.data import Splits
from vit.device import choose_device
from vit.training import Progress, train
from vit.ui.settings import Settings
from vit.ui.snapshots import Camera, Snapshot, probe, take

ON_ZERO = os.getenv("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
WEIGHTS_EVERY = 5.0  # seconds; what a diverged run falls back to


@dataclass(frozen=True)
class Frame:
    """After a step, or before the first, where progress is None. weights: a finite state dict, now and then."""

    progress: Progress | None
    snapshot: Snapshot | None = None
    weights: dict[str, Tensor] | None = None
    drawing: float = 0.0  # seconds spent on snapshots so far


class Steering(Protocol):
    def steer(self, config: TrainConfig) -> bool:
        """Called between two steps: may wait, may change config.lr; False ends the run."""


def learn(settings: Settings, splits: Splits, steering: Steering, device: torch.device) -> Iterator[Frame]:
    """Trains a new model and yields a Frame after every step; the last one has the weights."""
    model = settings.build().to(device)
    model.classes, model.mean, model.std = splits.train.classes, splits.train.mean, splits.train.std
    pictures = probe(splits.validation)
    yield Frame(None, take(model, pictures))
    camera, kept_at = Camera(model, pictures), 0.0
    config = replace(settings.config)  # its own: the rate may be changed
    for progress in train(model, splits.train, config, splits.validation):
        going = steering.steer(config) and progress.done < 1
        snapshot, weights = camera.look(progress), None
        if (not going or progress.elapsed - kept_at >= WEIGHTS_EVERY) and _finite(model):
            weights, kept_at = (
                {name: value.cpu().clone() for name, value in model.state_dict().items()},
                progress.elapsed,
            )
        yield Frame(progress, snapshot, weights, camera.seconds)
        if not going:
            return


def device() -> torch.device:
    """Where this process computes. ZeroGPU tells everyone that there is a GPU, and lends it to decorated functions."""
    return torch.device("cpu") if ON_ZERO else choose_device()


def _finite(model: torch.nn.Module) -> bool:
    return all(parameter.isfinite().all() for parameter in model.parameters())
