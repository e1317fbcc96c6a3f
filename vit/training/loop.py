"""One training loop for the command line, the page, the tests and the benchmark: a generator of Progress.

It prints nothing, writes nothing and starts no thread; whoever iterates decides what to do with each Progress, and
stops the run by not asking for the next.
"""

import contextlib
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from vit.data import Dataset, batches
from vit.device import keeping_memory
from vit.evaluation import check_fit, evaluate
from vit.model import Classifier
from vit.training.config import TrainConfig
from vit.training.distill import Teacher
from vit.training.optim import schedule
from vit.training.state import TrainState
from vit.training.step import step
from vit.training.trial import settle

VALIDATIONS = 20  # in a run, evenly spread over it; fewer where they would take more than their share of its time
VALIDATION_SHARE = 0.1
PREPARED = 5_000  # training images that a model is prepared with
QUICK_VALIDATION = 1_000  # images of the validation set used on the way; at the end it is the whole set


class TrainingDiverged(RuntimeError):
    """The loss is no longer finite; the message says what to try."""


def finite(model: nn.Module) -> bool:
    """Whether all weights are still numbers; where one is not, the next loss will tell."""
    return all(parameter.isfinite().all() for parameter in model.parameters())


class Numbers:
    """A step's, read without making a GPU wait for its host: there they are those of the step before."""

    def __init__(self):
        self.sent: tuple[Tensor, torch.cuda.Event] | None = None

    def read(self, measured: Tensor) -> list[float]:
        if measured.device.type != "cuda":
            return measured.tolist()
        copied = torch.cuda.Event()
        sent = torch.empty(measured.shape, pin_memory=True).copy_(measured, non_blocking=True), copied
        copied.record()
        (values, arrived), self.sent = self.sent or sent, sent
        arrived.synchronize()
        return values.tolist()


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step.

    done: share of the run, in [0, 1]. steps: of the whole run; an estimate where the run is bounded by minutes.
    epoch: passes over the training set so far, with fraction. loss, train_accuracy: of the last batch; on a GPU of the
    one before, for which it need not wait.
    validation_loss, validation_accuracy: None where nothing new was measured at this step; the last Progress of a
    run has them for the whole validation set. elapsed, remaining: seconds in the loop. images_per_second: trained
    images over the time since the start, without validation.
    """

    step: int
    steps: int
    epoch: float
    done: float
    loss: float
    train_accuracy: float
    lr: float
    images_per_second: float
    elapsed: float
    remaining: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None


def train(
    model: Classifier,
    train_set: Dataset,
    config: TrainConfig,
    validation_set: Dataset | None = None,
    state: TrainState | None = None,
    teacher: Classifier | None = None,
    answers: Path | None = None,
) -> Generator[Progress, None, None]:
    """Trains the model in place and yields Progress after every step, on the device the model's weights are on.

    AdamW or Muon, label smoothing, gradient clipping. Same seed, same device, precision and epochs: the same losses, to
    the last bit on a CPU with the same number of threads.
    Where torch.distributed is initialized, all processes train one model together, each on its part of a batch.
    state: TrainState(model, config), to be saved between steps; a restored one goes on where it was. A precision that
    nobody has decided is found by a trial first, which takes a second or two and leaves no trace.
    teacher: what the model, or a distilled model's second head, learns from, as config.distill says. answers: a folder
    to keep what it says.
    Raises TrainingDiverged when the loss is no longer finite, ValueError where model, teacher and data do not fit.
    """
    check_fit(model, train_set)
    distilled = model.config.get("distilled", False)
    if bool(config.distill) != (teacher is not None) or (distilled and teacher is None):
        raise ValueError(
            "To learn from a teacher takes TrainConfig(distill='hard' or 'soft') and train(teacher=...) together, and "
            f"a distilled model needs one; got distilled={distilled}, distill={config.distill!r} and "
            f"{'a' if teacher else 'no'} teacher."
        )
    if config.crop >= train_set.images.shape[-1]:
        raise ValueError(f"crop must be below the images' {train_set.images.shape[-1]} pixels, got {config.crop}.")
    state = state or TrainState(model, config)
    for network in (model, state.best):
        network.classes, network.mean, network.std = train_set.classes, train_set.mean, train_set.std
    settle(state, config, len(validation_set or ()))
    train_set = train_set.to(next(model.parameters()).device)
    if not state.step:
        first = model.normalize(train_set.images[:PREPARED])
        for network in (model, state.best):
            network.prepare(first)
    with keeping_memory(), contextlib.ExitStack() as stack:
        if teacher is not None:
            state.teacher = stack.enter_context(contextlib.closing(Teacher(teacher, model, train_set, config, answers)))
        yield from _steps(model, train_set, config, validation_set, state)


def _steps(
    model: Classifier, train_set: Dataset, config: TrainConfig, validation_set: Dataset | None, state: TrainState
) -> Iterator[Progress]:
    per_epoch = len(train_set) // (config.batch_size * processes())
    numbers = Numbers()
    model.train()
    state.total.start()
    while state.done < 1:
        for images, labels in _epoch(train_set, config, state.step):
            lr = config.lr * schedule(state.done, config.warmup, config.schedule)
            state.updating.start()
            loss, accuracy = numbers.read(step(state, config, images, labels, lr))
            state.updating.stop()
            if not math.isfinite(loss):
                raise _diverged(loss, lr, state.step, config)
            steps, state.done = _extent(state.step, per_epoch, _agreed(state.total.elapsed), config)
            measured = _validate(state, validation_set) if validation_set else {}
            if state.done >= 1:
                model.load_state_dict(state.best.state_dict())
                model.eval()
            state.total.stop()
            yield Progress(
                step=state.step,
                steps=steps,
                epoch=state.step / per_epoch,
                done=state.done,
                loss=loss,
                train_accuracy=accuracy,
                lr=lr,
                images_per_second=state.step * config.batch_size * processes() / state.updating.seconds,
                elapsed=state.total.seconds,
                remaining=state.total.seconds * (1 - state.done) / state.done,
                **measured,
            )
            if state.done >= 1:
                return
            state.total.start()


def _epoch(train_set: Dataset, config: TrainConfig, step: int) -> Iterator[tuple[Tensor, Tensor]]:
    """What is left, after that many steps, of the epoch that the next step belongs to; batches of all processes."""
    batch_size = config.batch_size * processes()
    epoch, start = divmod(step, max(1, len(train_set) // batch_size))  # a batch too large is batches()'s to refuse
    return batches(
        train_set, batch_size, seed=config.seed, epoch=epoch, crop=config.crop, flip=config.flip, start=start
    )


def _validate(state: TrainState, validation_set: Dataset) -> dict[str, float]:
    """Loss and accuracy if they are due and within their share of the run's time; at the end, always."""
    affordable = state.validating.seconds <= VALIDATION_SHARE * state.total.elapsed
    if state.done < 1 and not (affordable and int(state.done * VALIDATIONS) > state.validations):
        return {}
    state.validations = int(state.done * VALIDATIONS)
    state.validating.start()
    part = validation_set if state.done >= 1 else validation_set.take(slice(QUICK_VALIDATION))
    evaluation = evaluate(state.best, part, precision=state.validated_in)
    state.validating.stop()
    state.model.train()
    return {"validation_loss": evaluation.loss, "validation_accuracy": evaluation.accuracy}


def _diverged(loss: float, lr: float, step: int, config: TrainConfig) -> TrainingDiverged:
    return TrainingDiverged(
        f"The loss became {loss} at step {step} with a learning rate of {lr:.2g}. "
        f"Try a rate of {min(config.lr / 3, TrainConfig.lr):.1g}, "
        f"or a longer warm-up than {config.warmup:.0%} of the run."
    )


def _extent(step: int, per_epoch: int, elapsed: float, config: TrainConfig) -> tuple[int, float]:
    """Steps of the whole run and the share done, in (0, 1]."""
    if config.epochs is not None:
        steps = max(1, round(config.epochs * per_epoch))
        return steps, min(1.0, step / steps)
    assert config.minutes is not None, "TrainConfig has epochs or minutes"
    done = min(1.0, elapsed / (60 * config.minutes))
    return max(step, round(step / done)), done


def processes() -> int:
    """That train this model together: 1 where torch.distributed is not initialized."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def _agreed(seconds: float) -> float:
    """The first process's clock, so that all of them stop at the same step."""
    if not distributed.is_initialized():
        return seconds
    clock = [seconds]
    distributed.broadcast_object_list(clock)
    return clock[0]
