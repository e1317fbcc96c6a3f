"""One training loop for the command line, the page, the tests and the benchmark: a generator of Progress.

It prints nothing, writes nothing and starts no thread; whoever iterates decides what to do with each Progress, and
stops the run by not asking for the next.
"""

import contextlib
import math
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from vit.data import Dataset, batches
from vit.device import keeping_memory
from vit.evaluation import check_fit, evaluate
from vit.model import Classifier
from vit.training.config import TrainConfig
from vit.training.distill import Teacher
from vit.training.head import HeadTraining
from vit.training.optim import schedule
from vit.training.progress import Progress, diverged, extent, processes
from vit.training.reading import Clock, Numbers, steps_between
from vit.training.state import TrainState
from vit.training.step import step
from vit.training.trial import settle

VALIDATIONS = 20  # in a run, evenly spread over it; fewer where they would take more than their share of its time
VALIDATION_SHARE = 0.1
PREPARED = 5_120_000  # pixels of the training images that a model is prepared with
QUICK_VALIDATION = 1_000  # images of the validation set used on the way; at the end it is the whole set


def finite(model: nn.Module) -> bool:
    """Whether all weights are still numbers; where one is not, the next loss will tell."""
    return all(parameter.isfinite().all() for parameter in model.parameters())


def train(
    model: Classifier,
    train_set: Dataset,
    config: TrainConfig,
    validation_set: Dataset | None = None,
    state: TrainState | None = None,
    teacher: Classifier | None = None,
    answers: Path | None = None,
    progress: Callable[..., object] | None = None,
) -> Generator[Progress, None, None]:
    """Trains the model in place and yields Progress after every step, on the device the model's weights are on.

    AdamW or Muon, label smoothing, gradient clipping. Same seed, same device, precision and epochs: the same losses, to
    the last bit on a CPU with the same number of threads.
    Where torch.distributed is initialized, all processes train one model together, each on its part of a batch.
    A model that was trained before keeps the mean and std that it was trained with, and what it was prepared with;
    another takes the training set's.
    state: TrainState(model, config), to be saved between steps; a restored one goes on where it was. A precision that
    nobody has decided is found by a trial first, which takes a second or two and leaves no trace.
    teacher: what the model, or a distilled model's second head, learns from, as config.distill says. answers: a folder
    to keep what it says. progress: called as progress(fraction, desc=...) before the first step of a head alone, while
    the features of all pictures are computed; what it raises ends the run.
    Raises TrainingDiverged when the loss is no longer finite, ValueError where model, teacher and data do not fit.
    """
    check_fit(model, train_set)
    distilled = model.config.get("distilled", False) and not model.trained
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
        network.classes = train_set.classes
        if not model.trained:
            network.mean, network.std = train_set.mean, train_set.std
    held_out = validation_set if validation_set is not None and len(validation_set) else None
    settle(state, config, len(held_out or ()), len(train_set))
    if config.train == "head":
        with state.total, state.updating:
            head = HeadTraining(state, config, train_set, held_out, progress)
        measure = head.measure if held_out is not None else None
        yield from _steps(model, len(train_set), config, state, head.epoch, head.step, measure)
        return
    device = next(model.parameters()).device
    train_set, held_out = train_set.to(device), held_out and held_out.to(device)
    if not state.step and not model.trained:
        first = model.normalize(train_set.images[: PREPARED // train_set.images[0, 0].numel()])
        for network in (model, state.best):
            network.prepare(first)
    with keeping_memory(), contextlib.ExitStack() as stack:
        if teacher is not None:
            state.teacher = stack.enter_context(contextlib.closing(Teacher(teacher, model, train_set, config, answers)))
        yield from _steps(
            model,
            len(train_set),
            config,
            state,
            partial(_epoch, train_set, config),
            partial(step, state, config),
            None if held_out is None else partial(_measured, state, held_out),
        )


def _steps(
    model: Classifier,
    images: int,
    config: TrainConfig,
    state: TrainState,
    epoch: Callable[[int], Iterator[tuple[Tensor, Tensor]]],
    update: Callable[[Tensor, Tensor, float], Tensor],
    measure: Callable[[int | None], tuple[float, float]] | None,
) -> Iterator[Progress]:
    """images: to learn from. epoch: batches left after so many steps. update: a step. measure: of so many held out."""
    per_epoch = images // (config.batch_size * processes())
    every = steps_between(next(model.parameters()).device)
    numbers, clock = Numbers(every), Clock(state.total, config, every)
    model.train()
    state.total.start()
    while state.done < 1:
        for batch, labels in epoch(state.step):
            lr = config.lr * schedule(state.done, config.warmup, config.schedule)
            state.updating.start()
            of_step = update(batch, labels, lr)
            loss, accuracy = numbers.read(of_step)
            state.updating.stop()
            steps, state.done = extent(state.step, per_epoch, clock.read(), config)
            if state.done >= 1:
                loss, accuracy = of_step.tolist()
            if not math.isfinite(loss):
                raise diverged(loss, lr, state.step, config)
            measured = _validate(state, measure) if measure else {}
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


def _validate(state: TrainState, measure: Callable[[int | None], tuple[float, float]]) -> dict[str, float]:
    """Loss and accuracy if they are due and within their share of the run's time; at the end, always."""
    affordable = state.validating.seconds <= VALIDATION_SHARE * state.total.elapsed
    if state.done < 1 and not (affordable and int(state.done * VALIDATIONS) > state.validations):
        return {}
    state.validations = int(state.done * VALIDATIONS)
    with state.validating:
        loss, accuracy = measure(None if state.done >= 1 else QUICK_VALIDATION)
    state.model.train()
    return {"validation_loss": loss, "validation_accuracy": accuracy}


def _measured(state: TrainState, held_out: Dataset, most: int | None) -> tuple[float, float]:
    evaluation = evaluate(state.best, held_out.take(slice(most)), precision=state.validated_in)
    return evaluation.loss, evaluation.accuracy
