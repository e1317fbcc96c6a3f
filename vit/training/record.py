"""The record of a run beside its weights: metrics.jsonl, a line a measurement, and the curve drawn from it."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from vit.figures import curve_figure
from vit.training.progress import Progress

METRICS, CURVE = "metrics.jsonl", "curve.png"
LINES = 1_000  # of a whole run, about; every validation has one besides


def record(steps: Iterable[Progress], folder: Path, done_before: int = 0) -> Iterator[Progress]:
    """Passes a run's Progress on and writes it to metrics.jsonl.

    done_before: steps of a resumed run that are behind; what the interrupted one wrote beyond them is dropped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept = [line for line in read_metrics(folder) if line["step"] <= done_before]
    new = folder / f".{METRICS}"
    new.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
    os.replace(new, folder / METRICS)  # a crash leaves the old lines or the kept ones
    with open(folder / METRICS, "a", encoding="utf-8", buffering=1) as file:
        for progress in steps:
            every = max(1, progress.steps // LINES)
            if progress.step % every == 0 or progress.validation_accuracy is not None or progress.done >= 1:
                file.write(json.dumps(asdict(progress)) + "\n")
            yield progress


def read_metrics(folder: Path) -> list[dict]:
    """The lines of metrics.jsonl; none where there is no such file. A last line cut short by a crash is left out."""
    if not (folder / METRICS).exists():
        return []
    lines = (folder / METRICS).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def draw_curve(folder: Path) -> None:
    """Draws curve.png from metrics.jsonl."""
    if lines := read_metrics(folder):
        curve_figure(lines).savefig(folder / CURVE)
