"""What a run has to remember to go on, after an interruption, as if there had been none."""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from vit.model import Classifier
from vit.training.config import TrainConfig
from vit.training.optim import AveragedWeights, Muon, optimizers


class Stopwatch:
    """Seconds between start and stop, summed up; the time in between belongs to whoever consumes the generator."""

    def __init__(self):
        self.seconds = 0.0
        self.since: float | None = None

    def start(self):
        self.since = time.perf_counter()

    def stop(self):
        self.seconds, self.since = self.elapsed, None

    @property
    def elapsed(self) -> float:
        return self.seconds + (0.0 if self.since is None else time.perf_counter() - self.since)


class TrainState:
    """Model, average, optimizer, clocks and the number of steps behind: all of a run but its settings and data.

    Everything random in a step is drawn from (seed, step), so the step is all there is to remember of generators and
    of the position in the epoch. Save tensors() and numbers() between two steps; restore() takes them back.
    forward is the model as a step calls it: for all processes together where torch.distributed is initialized, and
    compiled where the settings say so.
    """

    def __init__(self, model: Classifier, config: TrainConfig):
        self.model = model
        self.forward: Callable[..., Tensor] = DistributedDataParallel(model) if distributed.is_initialized() else model
        if config.compile:
            self.forward = torch.compile(self.forward)
        self.average = AveragedWeights(model, config.ema) if config.ema else None
        self.optimizers = optimizers(model, config.optimizer, config.lr, config.weight_decay, config.autocast)
        self.total, self.updating, self.validating = Stopwatch(), Stopwatch(), Stopwatch()
        self.step, self.validations, self.done = 0, 0, 0.0

    @property
    def best(self) -> Classifier:
        """The weights to use: their average where one is kept."""
        return self.model if self.average is None else self.average.model

    def tensors(self) -> dict[str, Tensor]:
        """All tensors under names that tell where they belong; not copies."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        if self.average:
            tensors |= {f"average.{name}": value for name, value in self.average.model.state_dict().items()}
        return tensors | self._optimizer_tensors()

    def _optimizer_tensors(self) -> dict[str, Tensor]:
        """What the optimizers remember of each parameter; zeros before the first step."""
        tensors: dict[str, Tensor] = {}
        names = {parameter: name for name, parameter in self.model.named_parameters()}
        for optimizer in self.optimizers:
            for parameter in (p for group in optimizer.param_groups for p in group["params"]):
                slots = optimizer.state[parameter]
                if not slots:
                    like = torch.zeros_like(parameter)
                    adamw = {"step": parameter.new_zeros(()), "exp_avg": like.clone(), "exp_avg_sq": like.clone()}
                    slots.update({"momentum": like} if isinstance(optimizer, Muon) else adamw)
                tensors |= {f"optimizer.{names[parameter]}.{key}": value for key, value in slots.items()}
        return tensors

    def numbers(self) -> dict[str, Any]:
        """All that is no tensor, for JSON."""
        return {
            "step": self.step,
            "validations": self.validations,
            "done": self.done,
            "total_seconds": self.total.seconds,
            "updating_seconds": self.updating.seconds,
            "validating_seconds": self.validating.seconds,
            "average_updates": self.average.updates if self.average else 0,
        }

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Takes back what tensors() and numbers() gave. Raises ValueError where it is of another model or settings."""
        parts = {"model": self.model} | ({"average": self.average.model} if self.average else {})
        mine = {
            f"{part}.{name}": value for part, module in parts.items() for name, value in module.state_dict().items()
        }
        mine |= self._optimizer_tensors()
        if odd := sorted(mine.keys() ^ tensors.keys()):
            raise ValueError(
                f"The saved state is of another run: {odd[0]} is in only one of the two ({len(odd)} such)."
            )
        for name, value in mine.items():
            if value.shape != tensors[name].shape:
                was, here = tuple(tensors[name].shape), tuple(value.shape)
                raise ValueError(f"The saved state is of another model: {name} was {was} and is {here} here.")
            value.copy_(tensors[name])
        self.step, self.validations, self.done = (numbers[key] for key in ("step", "validations", "done"))
        self.total.seconds, self.updating.seconds = numbers["total_seconds"], numbers["updating_seconds"]
        self.validating.seconds = numbers["validating_seconds"]
        if self.average:
            self.average.updates = numbers["average_updates"]
