"""Draws each pitfall that was measured: python docs/pitfalls/draw.py [FOLDER]. NAME.json becomes NAME.png.

few.json is the results.json of `python -m vit few`, instability.json comes from instability.py, and stem.json has the
figures of `python -m vit benchmark`.
"""

import json
import math
import statistics
import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
WITH, WITHOUT = "#4f46e5", "#b45309"  # the switch on, and off
SMOOTHED = 10  # steps


def few(axes: Axes, found: dict) -> None:
    """What a trained parent is worth: its head alone learned, all of it, and a model from scratch."""
    shares: dict[str, list[float]] = {"scratch": [], "all": [], "head": []}
    for result in found["results"]:
        shares[result["way"]].append(result["accuracy"])
    titles = {"scratch": "from scratch", "all": "the whole parent", "head": "the parent's head alone"}
    _dots(axes, {titles[way]: of_way for way, of_way in shares.items()}, ["from scratch"])
    plan = found["plan"]
    axes.set_xlabel(f"correct after {plan['each']} pictures of each of {len(plan['classes'])} classes, %")


def instability(axes: Axes, found: dict) -> None:
    """The loss over the steps, a line a seed, each the mean of some steps."""
    for (way, runs), color in zip(found["losses"].items(), (WITH, WITHOUT)):
        for i, losses in enumerate(runs):
            means = [statistics.fmean(losses[at : at + SMOOTHED]) for at in range(0, len(losses), SMOOTHED)]
            steps = range(SMOOTHED, SMOOTHED * len(means) + 1, SMOOTHED)
            axes.plot(steps, means, color=color, label="" if i else way, linewidth=1.2)
    axes.axhline(math.log(10), color="gray", linestyle=":", label="guessing")
    axes.set(xlabel="step", ylabel="training loss, nats", ylim=(0, 4))
    axes.legend(frameon=False, fontsize=9)


def stem(axes: Axes, found: dict) -> None:
    """What a stem of convolutions is worth."""
    _dots(axes, found["accuracy"], ["patches"])
    axes.set_xlabel("correct of CIFAR-10's 10,000 test images after two minutes, %")


def _dots(axes: Axes, accuracies: dict[str, list[float]], without: list[str]) -> None:
    """A dot a seed, a row a way; the median in words."""
    for row, (way, shares) in enumerate(accuracies.items()):
        color, median = WITHOUT if way in without else WITH, 100 * statistics.median(shares)
        axes.plot([100 * share for share in shares], [row] * len(shares), "o", color=color, markersize=8, alpha=0.8)
        axes.annotate(f"{way}: {median:.2f}%", (median, row + 0.2), color=color, ha="center")
    axes.set(ylim=(-0.5, len(accuracies) - 0.4), yticks=[])
    axes.margins(x=0.2)


def draw(folder: Path) -> None:
    """Writes the pictures of what was measured into a folder."""
    for drawing in (few, instability, stem):
        kept = HERE / f"{drawing.__name__}.json"
        if not kept.exists():
            continue
        figure = Figure(figsize=(6, 3), dpi=120, layout="constrained")
        axes = figure.subplots()
        drawing(axes, json.loads(kept.read_text(encoding="utf-8")))
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(folder / f"{drawing.__name__}.png")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
