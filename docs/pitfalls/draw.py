"""Draws a picture of each measured pitfall from measured.json: python docs/pitfalls/draw.py [FOLDER]."""

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
    """Accuracy over pictures a class: the median of the seeds, and from the lowest to the highest."""
    each = found["pictures a class"]
    for (way, shares), color in zip(found["accuracy"].items(), (WITH, WITHOUT)):
        axes.plot(each, [100 * statistics.median(s) for s in shares], "o-", color=color, label=way)
        axes.fill_between(
            each, [100 * min(s) for s in shares], [100 * max(s) for s in shares], color=color, alpha=0.15, linewidth=0
        )
    axes.axhline(100 / 3, color="gray", linestyle=":", label="guessing")
    axes.set(xscale="log", xticks=each, xticklabels=each, xlabel="training pictures of each of three classes")
    axes.minorticks_off()
    axes.set_ylabel("correct of the test pictures, %")


def instability(axes: Axes, found: dict) -> None:
    """The loss over the steps, a line a seed, each the mean of some steps."""
    for (way, runs), color in zip(found["losses"].items(), (WITH, WITHOUT)):
        for i, losses in enumerate(runs):
            means = [statistics.fmean(losses[at : at + SMOOTHED]) for at in range(0, len(losses), SMOOTHED)]
            steps = range(SMOOTHED, SMOOTHED * len(means) + 1, SMOOTHED)
            axes.plot(steps, means, color=color, label="" if i else way, linewidth=1.2)
    axes.axhline(math.log(10), color="gray", linestyle=":", label="guessing")
    axes.set(xlabel="step", ylabel="training loss, nats", ylim=(0, 4))


def stem(axes: Axes, found: dict) -> None:
    """Accuracy of each stem, a dot a seed."""
    for i, ((way, shares), color) in enumerate(zip(found["accuracy"].items(), (WITH, WITHOUT))):
        axes.plot([100 * share for share in shares], [i] * len(shares), "o", color=color, markersize=8, alpha=0.8)
        axes.annotate(
            f"{way}: {100 * statistics.median(shares):.2f}%",
            (100 * statistics.median(shares), i + 0.18),
            color=color,
            ha="center",
        )
    axes.set(xlabel="correct of CIFAR-10's 10,000 test images after two minutes, %", ylim=(-0.5, 1.6), yticks=[])
    axes.margins(x=0.2)


DRAWN = {"few": few, "instability": instability, "stem": stem}


def draw(folder: Path) -> None:
    """Writes NAME.png for each pitfall into a folder."""
    measured = json.loads((HERE / "measured.json").read_text(encoding="utf-8"))
    for name, found in measured.items():
        figure = Figure(figsize=(6, 3), dpi=120, layout="constrained")
        axes = figure.subplots()
        DRAWN[name](axes, found)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[1]:
            axes.legend(frameon=False, fontsize=9)
        figure.savefig(folder / f"{name}.png")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
