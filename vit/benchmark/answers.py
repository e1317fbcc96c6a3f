"""How fast answers come: one image with all of its maps, and a whole data set, each beside a bare forward pass."""

import statistics
from collections.abc import Callable
from dataclasses import dataclass

import torch

from vit.baselines import CONTENDERS, Contender
from vit.data import Dataset
from vit.device import images_at_once, keeping_memory, now
from vit.evaluation import evaluate

PASSES = 50  # over one image, in one repeat
WARMUP = 5  # passes
FORWARD = "timm's forward"  # what the others are set beside
BARE = "forward in batches that lie ready"


@dataclass(frozen=True)
class Answers:
    """What ViT-Tiny/4 takes in float32, once for each repeat: milliseconds of one image, images a second of a data set.

    In each repeat all take turns. n: images of the data set.
    """

    image: dict[str, tuple[float, ...]]
    dataset: dict[str, tuple[float, ...]]
    n: int

    def __str__(self) -> str:
        """Medians as Markdown, each as a multiple of the first of its table."""
        tables = {"one image, ms": (self.image, ".2f"), f"{self.n:,} images, images/s": (self.dataset, ".0f")}
        return "\n\n".join(_table(title, rows, digits) for title, (rows, digits) in tables.items())


def _table(title: str, rows: dict[str, tuple[float, ...]], digits: str) -> str:
    first = statistics.median(next(iter(rows.values())))
    lines = [f"| {title} | median (range) | times the first |", "| --- | --- | --- |"]
    for name, values in rows.items():
        median, low, high = statistics.median(values), min(values), max(values)
        lines.append(f"| {name} | {median:{digits}} ({low:{digits}}-{high:{digits}}) | {median / first:.2f} |")
    return "\n".join(lines)


@torch.no_grad()
def answers(test: Dataset, device: torch.device, repeats: int) -> Answers:
    """test: 32 x 32 pictures of ten classes. Raises ValueError where timm is not installed."""
    try:
        theirs = CONTENDERS["timm"]().to(device).eval()
    except ImportError as error:
        raise ValueError(f"--answers sets this package beside timm, which is not installed ({error.name}).") from error
    ours = CONTENDERS["ours"]().to(device).eval()
    ours.mean, ours.std = test.mean, test.std
    return Answers(_one_image(theirs, ours, device, repeats), _all_images(ours, test, device, repeats), len(test))


def _one_image(theirs: Contender, ours: Contender, device: torch.device, repeats: int) -> dict[str, tuple[float, ...]]:
    """Milliseconds, the median of each repeat's passes."""
    image = torch.zeros(1, 3, 32, 32, device=device)
    ways: dict[str, Callable[[], object]] = {
        FORWARD: lambda: theirs(image),
        "ours": lambda: ours(image),
        "ours with all maps": lambda: ours.network(image, return_attention=True),
    }
    for work in ways.values():
        _seconds(work, device, WARMUP)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        passes = [[_seconds(work, device) for work in ways.values()] for _ in range(PASSES)]
        for name, seconds in zip(ways, zip(*passes), strict=True):
            taken[name].append(1000 * statistics.median(seconds))
    return {name: tuple(medians) for name, medians in taken.items()}


def _all_images(ours: Contender, test: Dataset, device: torch.device, repeats: int) -> dict[str, tuple[float, ...]]:
    """Images a second, test by test."""
    ready = [ours.normalize(part) for part in test.to(device).images.split(images_at_once(device))]
    ways: dict[str, Callable[[], object]] = {
        BARE: lambda: _forward(ours, ready),
        "vit.evaluation.evaluate": lambda: evaluate(ours, test, precision="fp32"),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, work in ways.items():
            rates[name].append(len(test) / _seconds(work, device))
    return {name: tuple(found) for name, found in rates.items()}


def _forward(model: Contender, ready: list[torch.Tensor]) -> None:
    with keeping_memory():  # as evaluate does
        for images in ready:
            model(images)


def _seconds(work: Callable[[], object], device: torch.device, times: int = 1) -> float:
    before = now(device)
    for _ in range(times):
        work()
    return now(device) - before
