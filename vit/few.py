"""What a trained parent is worth with few pictures: a model of them learned in three ways, over some seeds.

The parent learns the other classes of the same dataset. Every result is kept as it comes, in a folder in which a
measurement that was stopped goes on.
"""

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from vit.data import Dataset, Splits, select_classes
from vit.data.turns import turns
from vit.evaluation import evaluate
from vit.model import ViT
from vit.training import TrainConfig, train
from vit.training.finetune import WAYS, begin, seen_by
from vit.training.run import Run, unfinished
from vit.training.spec import RunSpec
from vit.weights.checkpoint import CONFIG, STATE, write_text

RESULTS = "results.json"
PARENT = "parent"  # its folder
SAVE_EVERY = 20.0  # seconds of the parent's run


@dataclass(frozen=True)
class Plan:
    """What is measured. classes: of the dataset, of which there are few pictures. each: so many a class. seeds: from 0.
    minutes: that the parent learns all other classes."""

    dataset: str
    classes: tuple[str, ...]
    each: int
    seeds: int
    minutes: float
    model: str = "vit_live"


@dataclass(frozen=True)
class Result:
    """way: of finetune.WAYS. accuracy: on all test images of the classes. seconds: that learning took."""

    way: str
    seed: int
    accuracy: float
    seconds: float


@dataclass
class Measured:
    """What is known by now. parent: its accuracy on the test images of the classes that it learned, once measured."""

    plan: Plan
    parent: float | None
    results: list[Result]

    @property
    def table(self) -> str:
        """The ways as rows of a Markdown table: medians, with the least and the most."""
        n = max((sum(result.way == way for result in self.results) for way in WAYS), default=0)
        rows = [
            f"| way | test accuracy, median of {n} seed{'s' * (n != 1)} (least to most) | seconds to learn, median |",
            "| --- " * 3 + "|",
        ]
        for way, title in WAYS.items():
            if found := [result for result in self.results if result.way == way]:
                accuracies = [result.accuracy for result in found]
                median, low, high = statistics.median(accuracies), min(accuracies), max(accuracies)
                seconds = statistics.median(result.seconds for result in found)
                rows.append(f"| {title.lower()} | {median:.1%} ({low:.1%} to {high:.1%}) | {seconds:.1f} |")
        return "\n".join(rows)


def check(plan: Plan, splits: Splits) -> None:
    """Raises ValueError, naming the remedy, for what can't be measured."""
    chosen = select_classes(splits, plan.classes).train
    if len(set(plan.classes)) < 2:
        raise ValueError("With one class there is nothing to tell apart; name at least 2.")
    if len(splits.train.classes) - len(chosen.classes) < 2:
        raise ValueError(
            f"The parent learns the other classes, and of {splits.train.name}'s {len(splits.train.classes)} there are "
            f"{len(splits.train.classes) - len(chosen.classes)} left; name fewer, so that 2 or more are."
        )
    fewest = int(chosen.labels.bincount().min())
    if not 2 <= plan.each <= fewest:
        raise ValueError(f"each must be 2 to {fewest}, so many training images a class there are, got {plan.each}.")
    if plan.seeds < 1:
        raise ValueError(f"seeds must be 1 or more, got {plan.seeds}.")


def measure(
    plan: Plan, splits: Splits, folder: Path, device: torch.device, show: Callable[[float, str], object]
) -> Iterator[Measured]:
    """What is known after each result, the first time at once; writes it into the folder, from which it goes on.

    show: called as show(fraction of the parent's run, what is done). Raises ValueError where the plan can't be
    measured, or the folder holds another one's results.
    """
    check(plan, splits)
    measured = _kept(folder) or Measured(plan, None, [])
    if measured.plan != plan:
        raise ValueError(f"{folder} holds the results of another measurement, {measured.plan}; choose another --out.")
    yield measured
    _keep(measured, folder)  # before the parent learns: what is unfinished there is this plan's alone
    others = select_classes(splits, [name for name in splits.train.classes if name not in plan.classes])
    parent = _parent(plan, others, folder / PARENT, device, show)
    if measured.parent is None:
        measured.parent = evaluate(parent, others.test).accuracy
        _keep(measured, folder)
        yield measured
    few = select_classes(splits, plan.classes)
    known = {(result.way, result.seed) for result in measured.results}
    for seed in range(plan.seeds):
        chosen = Splits(pick(few.train, plan.each, seed), few.validation, few.test)
        for way in WAYS:
            if (way, seed) not in known:
                show(1.0, f"{WAYS[way]}, seed {seed}")
                measured.results.append(learn(way, seed, parent, chosen))
                _keep(measured, folder)
                yield measured


def pick(train_set: Dataset, each: int, seed: int) -> Dataset:
    """So many of each class, the same for the same seed."""
    mixed = torch.randperm(len(train_set), generator=torch.Generator().manual_seed(seed))
    return train_set.take(mixed[turns(train_set.labels[mixed]) <= each])


def learn(way: str, seed: int, parent: ViT, splits: Splits) -> Result:
    """One of finetune.WAYS, in float32, tested once at its end; nothing is held out to choose by."""
    generator = torch.Generator().manual_seed(seed)
    model, settings = begin(way, parent, splits.train.classes, len(splits.train), generator)
    model.to(next(parent.parameters()).device)
    seen = splits if way == "scratch" else seen_by(model, splits)
    *_, last = train(model, seen.train, TrainConfig(**settings, seed=seed, precision="fp32"))
    return Result(way, seed, evaluate(model, seen.test).accuracy, last.elapsed)


def _parent(
    plan: Plan, others: Splits, folder: Path, device: torch.device, show: Callable[[float, str], object]
) -> ViT:
    """From its folder, once it is trained."""
    if not (folder / CONFIG).exists():
        spec = RunSpec(plan.dataset, plan.model, TrainConfig(minutes=plan.minutes), others.train.classes)
        tensors = numbers = None
        if (folder / STATE).exists():
            spec, tensors, numbers = unfinished(folder)
        run = Run(folder, spec, others, device)
        if tensors and numbers:
            run.restore(tensors, numbers)
        run.settle()
        for progress in run.steps(SAVE_EVERY):
            show(progress.done, "The parent learns the other classes")
        run.finish()
    return ViT.from_pretrained(folder).to(device)


def _kept(folder: Path) -> Measured | None:
    """What the folder holds. Raises ValueError where that is damaged."""
    if not (folder / RESULTS).exists():
        return None
    try:
        saved = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        plan = Plan(**{**saved["plan"], "classes": tuple(saved["plan"]["classes"])})
        return Measured(plan, saved["parent"], [Result(**result) for result in saved["results"]])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{folder / RESULTS} can't be read ({error}); delete it, or choose another --out.") from error


def _keep(measured: Measured, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(asdict(measured), indent=1) + "\n", folder / RESULTS)
