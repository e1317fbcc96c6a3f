"""How fast, and how well within minutes, this package trains, side by side with others on the same machine.

Everybody trains the same ViT-Tiny/4 on the same images in batches of the same size, with the same number of threads.
Each rate is measured several times after a warm-up that is left out.
"""

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from vit.baselines import CONTENDERS, Contender, UsualLoop, usual_batches
from vit.data import Dataset, Splits, batches, normalize
from vit.device import now
from vit.evaluation import evaluate
from vit.model import Classifier
from vit.precision import contenders as worth_trying
from vit.training import train
from vit.training.config import TrainConfig
from vit.training.presets import fitting
from vit.variants import LARGE_IMAGES, MODELS, create_model

BATCH = 128
WARMUP = 2  # steps
BATCHES_A_STEP = 16  # measured of batches alone, which come so much faster, and in bursts from a loader's workers
PRECISIONS = ("float32", "bfloat16")
ROWS = ("data", "compute", "usual loop", "our loop")
RECIPE = "our recipe"
PRESET = "preset"  # vit_live in the size and batch that suit this machine


@dataclass(frozen=True)
class Rate:
    """Images a second of one contender in one row, once for each repeat; none, and a note, where not measured.

    row: "data", batches without a model; "compute", the model and AdamW on one batch that lies ready; "usual loop",
    both, with PIL and a DataLoader; "our loop", both, in vit.training.train with AdamW and all patches; "our recipe",
    of this package's model alone: the same with the settings that TrainConfig has by itself.
    """

    contender: str
    row: str
    precision: str
    rates: tuple[float, ...] = ()
    note: str = ""

    @property
    def median(self) -> float | None:
        return statistics.median(self.rates) if self.rates else None


@dataclass(frozen=True)
class TimedAccuracy:
    """Test accuracies, in [0, 1], after so many minutes in the loop, one for each seed."""

    contender: str
    minutes: float
    accuracies: tuple[float, ...]
    images_per_second: float


def check(repeats: int, steps: int, minutes: list[float], trained: list[str], seeds: int) -> None:
    """Raises ValueError on a choice that cannot be measured."""
    for name in trained:
        if name not in (there := (PRESET, *CONTENDERS, *MODELS)):
            raise ValueError(f"Nothing to measure is called {name!r}; there are {', '.join(there)}.")
        if name in LARGE_IMAGES:
            raise ValueError(
                f"{name} is for large pictures, and what is trained here learns CIFAR-10's of 32 px; leave it out of "
                "--accuracy-of."
            )
        try:
            CONTENDERS.get(name, lambda: None)()  # a model of this package needs no library
        except ImportError as error:
            raise ValueError(f"{name} is not installed ({error.name}); leave it out of --accuracy-of.") from error
    if min(repeats, steps, seeds) < 1:
        raise ValueError(f"--repeats, --steps and --seeds must be at least 1, got {repeats}, {steps} and {seeds}.")
    if any(length <= 0 for length in minutes):
        raise ValueError(f"--minutes must be positive, got {min(minutes):g}.")


def rates(splits: Splits, device: torch.device, contenders: list[str], repeats: int, steps: int) -> Iterator[Rate]:
    """Yields every Rate of the contenders, in each row and in both precisions; steps: of one repeat."""
    if not contenders:
        return
    data = {
        "usual loop": usual_batches(splits.train, BATCH).__next__,
        "our loop": _our_batches(splits.train, device).__next__,
    }
    for loop, batch in data.items():
        measured = _race({loop: batch}, device, repeats, steps * BATCHES_A_STEP)
        yield Rate(loop, "data", "float32", measured[loop])
    for row in (*ROWS[1:], RECIPE):
        ready, notes = _ready(row, contenders, splits.train, device)
        measured = _race(ready, device, repeats, steps)
        for name, precision in itertools.product(contenders, PRECISIONS):
            key = name, precision
            if row != RECIPE or name == "ours":
                yield Rate(name, row, precision, measured.get(key, ()), notes.get(key, ""))


def accuracy_after(
    name: str, minutes: float, seeds: int, splits: Splits, device: torch.device, precision: str = "auto"
) -> TimedAccuracy:
    """Trains a contender in the usual loop, or a model of this package in its own, and tests it at the end.

    name: of CONTENDERS, of MODELS, or PRESET. precision: of this package's own loop.
    """
    config = TrainConfig(minutes=minutes, batch_size=BATCH, precision=precision)
    title, variant, shape = name, name, dict[str, Any]()
    if name == PRESET:
        found = fitting("vit_live", config, device, len(splits.train))
        variant, shape, config = "vit_live", dict(found.shape), replace(config, batch_size=found.batch_size)
        title = f"vit_live of width {shape['embed_dim']} in batches of {found.batch_size}"
    accuracies, done = [], []
    for seed in range(seeds):
        torch.manual_seed(seed)
        if name in CONTENDERS:
            model: Classifier = CONTENDERS[name]()
            done.append(_train_usually(model, minutes, splits.train, device))
        else:
            model = create_model(variant, **shape).to(device)
            *_, last = train(model, splits.train, replace(config, seed=seed))
            done.append(last.images_per_second)
        model.mean, model.std = splits.train.mean, splits.train.std
        accuracies.append(evaluate(model, splits.test).accuracy)
    return TimedAccuracy(title, minutes, tuple(accuracies), statistics.median(done))


def _our_batches(train_set: Dataset, device: torch.device) -> Iterator[torch.Tensor]:
    """What the loop of this package does before a step: augmented, normalized images, epoch after epoch."""
    train_set = train_set.to(device)
    for epoch in itertools.count():
        for images, _ in batches(train_set, BATCH, seed=0, epoch=epoch):
            yield normalize(images, train_set.mean, train_set.std)


def _ready(
    row: str, contenders: list[str], train_set: Dataset, device: torch.device
) -> tuple[dict[tuple[str, str], Callable[[], object]], dict[tuple[str, str], str]]:
    """A training step of each contender in each precision, to be called again and again; a note where there is none."""
    ready, notes = {}, {}
    source = usual_batches(train_set, BATCH) if row == "usual loop" else None  # all take from one loader, in turn
    for name, precision in itertools.product(contenders, PRECISIONS):
        key, bfloat16 = (name, precision), precision == "bfloat16"
        if row == RECIPE and name != "ours":
            continue
        if bfloat16 and "bf16" not in worth_trying(device)[0]:
            notes[key] = "no fast bfloat16 here"
            continue
        try:
            ready[key] = _step(row, CONTENDERS[name](), bfloat16, train_set, source, device)
        except ImportError as error:
            notes[key] = f"{error.name} is not installed"
    return ready, notes


def _step(
    row: str, model: Contender, bfloat16: bool, train_set: Dataset, source: Iterator | None, device: torch.device
) -> Callable[[], object]:
    if row == "our loop":
        name = "bf16" if bfloat16 else "fp32"
        config = TrainConfig(epochs=100, batch_size=BATCH, optimizer="adamw", lr=3e-4, patch_dropout=0, precision=name)
        return train(model.to(device), train_set, config).__next__
    if row == RECIPE:
        config = TrainConfig(epochs=100, batch_size=BATCH, precision="bf16" if bfloat16 else "fp32")
        assert isinstance(model.network, Classifier), "it is of this package's model alone"
        return train(model.network.to(device), train_set, config).__next__
    loop = UsualLoop(model, device, bfloat16)
    if source:
        return lambda: loop.step(*next(source))
    images, labels = next(_our_batches(train_set, device)), train_set.labels[:BATCH].to(device)
    return lambda: loop.step(images, labels)


def _race(steps: dict, device: torch.device, repeats: int, count: int) -> dict:
    """Images a second of each step, repeat by repeat, each time of so many calls.

    All take turns in every repeat: where the machine slows down or speeds up over the minutes, it does so for all.
    """
    for step in steps.values():
        for _ in range(WARMUP):
            step()
    measured: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            started = now(device)
            for _ in range(count):
                step()
            measured[name].append(count * BATCH / (now(device) - started))
    return {name: tuple(rates) for name, rates in measured.items()}


def _train_usually(model: Classifier, minutes: float, train_set: Dataset, device: torch.device) -> float:
    """The usual loop until the time is over; returns images a second."""
    loop, started = UsualLoop(model, device, bfloat16=False), time.perf_counter()
    for steps, (images, labels) in enumerate(usual_batches(train_set, BATCH), start=1):
        loop.step(images, labels)
        seconds = time.perf_counter() - started
        if seconds >= 60 * minutes:
            return steps * BATCH / seconds
    raise AssertionError("usual_batches never ends")
