"""What a run has to remember to go on, after an interruption, as if there had been none."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from vit.model import Classifier
from vit.precision import DTYPES, Precision, check
from vit.training.config import TrainConfig
from vit.training.optim import AveragedWeights, Muon, optimizers

if TYPE_CHECKING:
    from vit.training.distill import Teacher


class Stopwatch:
    """Seconds between start and stop, summed up; the time in between belongs to whoever consumes the generator."""

    def __init__(self):
        self.seconds = 0.0
        self.since: float | None = None

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self.stop()

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
    forward is the model as a step calls it: for all processes together where torch.distributed is initialized, unless
    it is alone, and compiled where the settings say so. precision: what it computes in; None while nobody has decided.
    validated_in: what it is validated in, a name of precision.DTYPES. teacher: of a distilled model, while it trains.
    """

    def __init__(self, model: Classifier, config: TrainConfig, alone: bool = False):
        self.model = model
        together = distributed.is_initialized() and not alone
        self.processes, self.rank = (distributed.get_world_size(), distributed.get_rank()) if together else (1, 0)
        self.forward: Callable[..., Tensor] = DistributedDataParallel(model) if together else model
        if config.compile:
            self.forward = _compiled(self.forward)
        self.average = AveragedWeights(model, config.ema) if config.ema else None
        self.optimizers = optimizers(
            model, config.optimizer, config.lr, config.weight_decay, config.layer_decay, config.train == "head"
        )
        self.total, self.updating, self.validating = Stopwatch(), Stopwatch(), Stopwatch()
        self.step, self.validations, self.done = 0, 0, 0.0
        self.precision: Precision | None = None
        self.scaler = torch.amp.GradScaler(enabled=False)
        self.validated_in = "fp32"
        self.teacher: Teacher | None = None
        if config.precision != "auto":
            self.compute_in(Precision(config.precision))

    def compute_in(self, precision: Precision) -> None:
        """Decides it. Raises ValueError for one that is none of this device's."""
        device = next(self.model.parameters()).device
        check(device, precision.name)
        self.precision = precision
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision.name == "fp16")
        for optimizer in self.optimizers:
            if isinstance(optimizer, Muon):  # float16 has too few small numbers for it
                optimizer.dtype = DTYPES["bf16" if precision.name == "bf16" else "fp32"]

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
            "precision": self.precision and asdict(self.precision),
            "scaler": self.scaler.state_dict(),
        }

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Takes back what tensors() and numbers() gave, the precision only where none was chosen for this state.

        Raises ValueError where they are of another model or settings.
        """
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
        if self.precision is None and numbers.get("precision"):
            self.compute_in(Precision(**numbers["precision"]))
        if self.scaler.is_enabled() and numbers.get("scaler"):
            self.scaler.load_state_dict(numbers["scaler"])


def _compiled(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """By torch.compile, at its first call. That raises ValueError, naming the remedy, where no compiler works."""
    faster = torch.compile(forward)

    def call(*arguments, **named) -> Tensor:
        try:
            return faster(*arguments, **named)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"torch.compile can't compile the model here ({reason}). Leave out --compile or install g++."
            ) from error

    return call
