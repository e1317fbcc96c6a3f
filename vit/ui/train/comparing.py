"""This browser's runs beside each other: what each was given and came to, their curves, and their moments in time."""

from pathlib import Path

import gradio as gr

from vit.data.registry import label
from vit.figures import DIVERGING
from vit.live import runs
from vit.live.datasets import SOURCES
from vit.live.run import LiveRun
from vit.ui import pictures, theme
from vit.ui.charts import clock
from vit.ui.theme import class_colors
from vit.ui.train import curves
from vit.ui.train import view as train_view

HERE = Path(__file__).parent
COLUMNS = ("Run", "Data", "Model", "Rate", "Batch", "Decay", "Time, min", "Validation", "Test")


def build() -> gr.HTML:
    """A table with a box to tick for each run; those that are ticked are drawn on top of and beside each other."""
    constants = {"columns": COLUMNS, "colors": theme.color_map(DIVERGING)}
    return pictures.html("runs", HERE / "runs", constants, server_functions=[train_view.fetch])


def comparison(owned: list[str]) -> dict | None:
    """What the page draws of this browser's runs; None while none has learned anything.

    owned: may name runs that are not kept here any more, or never were.
    """
    found = [(run_id, run) for run_id in owned if (run := _found(run_id))]
    kept = [(run_id, run) for run_id, run in found if run.history.validation_accuracy]
    if not kept:
        return None
    colors = class_colors(len(kept))
    compared = [(f"Run {i + 1}", color, run) for i, (color, (_, run)) in enumerate(zip(colors, kept, strict=True))]
    return {
        "runs": [_told(run_id, *row) for (run_id, _), row in zip(kept, compared, strict=True)],
        "curves": curves.overlaid(compared) if len(kept) > 1 else "",
        "gone": len(owned) - len(found),
    }


def _found(run_id: str) -> LiveRun | None:
    try:
        return runs.find(run_id)
    except ValueError:
        return None


def _told(run_id: str, name: str, color: str, run: LiveRun) -> dict:
    """A run's row of the table, and what its moments are drawn with, which it has once its pictures are loaded."""
    config, history = run.settings.config, run.history
    cells = [
        label(run.settings.dataset),
        run.settings.title,
        " → ".join(f"{lr:g}" for lr in [config.lr, *(lr for _, lr in history.changes)]),
        f"{config.batch_size}",
        f"{config.weight_decay:g}",
        clock(history.seconds[-1]),
        f"{run.accuracy:.1%}",
        f"{run.evaluation.accuracy:.1%}" if run.evaluation else "–",
    ]
    row = {"id": run_id, "name": name, "color": color, "cells": cells, "moments": []}
    if SOURCES[run.settings.dataset].splits is None:
        return row
    moments = [{"id": moment.id, **moment.figures} for moment in run.album.moments]
    return {**row, **train_view.frame(run.settings), "moments": moments}
