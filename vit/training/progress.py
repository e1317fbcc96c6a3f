"""Where a run stands after a step, how far that is, and what is said where it went astray."""

from dataclasses import dataclass

from torch import distributed

from vit.training.config import TrainConfig


class TrainingDiverged(RuntimeError):
    """The loss is no longer finite; the message says what to try."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step.

    done: share of the run, in [0, 1]. steps: of the whole run; an estimate where the run is bounded by minutes.
    epoch: passes over the training set so far, with fraction. loss, train_accuracy: of the last batch; on a GPU of one
    up to seven steps back, for which it need not wait, but at the end.
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


def diverged(loss: float, lr: float, step: int, config: TrainConfig) -> TrainingDiverged:
    return TrainingDiverged(
        f"The loss became {loss} at step {step} with a learning rate of {lr:.2g}. "
        f"Try a rate of {min(config.lr / 3, TrainConfig.lr):.1g}, "
        f"or a longer warm-up than {config.warmup:.0%} of the run."
    )


def extent(step: int, per_epoch: int, elapsed: float, config: TrainConfig) -> tuple[int, float]:
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
