"""The Train tab: choose, start, watch the curves, stop."""

import asyncio
from collections.abc import AsyncIterator
from html import escape
from typing import NamedTuple

import gradio as gr
import torch

from vit.model import create_model
from vit.training import TrainConfig
from vit.ui import curves, models, pictures, runs
from vit.ui.curves import clock
from vit.ui.datasets import LABELS, SOURCES
from vit.ui.errors import BadInput
from vit.ui.runs import Run

NAMES = {"vit_live": "Live", "vit_live_patch": "Live patch", "vit_tiny": "Tiny", "vit_small": "Small"}
SCROLL_TO_PROGRESS = "() => { if (innerWidth < 800) document.querySelector('#progress').scrollIntoView(); }"
DEFAULTS = TrainConfig(minutes=2)


class Tab(NamedTuple):
    settings: list[gr.components.Component]
    start: gr.Button
    stop: gr.Button
    progress: gr.HTML
    charts: gr.HTML
    samples: gr.HTML
    run_id: gr.State
    owner: gr.State


def start_training(
    dataset: str, model: str, minutes: float, batch_size: float, learning_rate: float, weight_decay: float, seed: float
) -> dict:
    """Queues a training run; returns its id, with which anyone can follow it, and the token with which to stop it."""
    if minutes is None or not 0 < minutes <= runs.MAX_MINUTES:
        raise BadInput(f"Choose more than 0 and at most {runs.MAX_MINUTES:g} minutes, got {minutes}.")
    given = {"batch size": batch_size, "learning rate": learning_rate, "weight decay": weight_decay, "seed": seed}
    if missing := [name for name, value in given.items() if value is None]:
        raise BadInput(f"The {missing[0]} is empty; enter a number.")
    try:
        config = TrainConfig(
            minutes=minutes, batch_size=int(batch_size), lr=learning_rate, weight_decay=weight_decay, seed=int(seed)
        )
        run = runs.start(dataset, model, config)
    except (ValueError, OverflowError) as error:
        raise BadInput(error) from error
    return {"run_id": run.id, "owner_token": run.owner}


def training_status(run_id: str) -> dict:
    """Where a run stands, and its curve so far; the id also names its model once it has ended."""
    run = _find(run_id)
    progress, history = run.progress, run.history
    n, m = len(history.seconds), len(history.validation_seconds)
    return {
        "run_id": run.id,
        "status": run.status,
        "message": run.message,
        "place_in_queue": run.place,
        "step": progress.step if progress else 0,
        "epoch": progress.epoch if progress else 0.0,
        "images_per_second": progress.images_per_second if progress else None,
        "seconds_left": progress.remaining if progress else None,
        "validation_accuracy": run.accuracy,
        "curve": {
            "seconds": curves.thin(history.seconds, n),
            "loss": curves.thin(history.loss, n),
            "accuracy": curves.thin(history.accuracy, n),
            "validation_seconds": curves.thin(history.validation_seconds, m),
            "validation_loss": curves.thin(history.validation_loss, m),
            "validation_accuracy": curves.thin(history.validation_accuracy, m),
        },
    }


def stop_training(run_id: str, owner_token: str) -> dict:
    """Ends a run after the step under way and keeps what it learned; takes the token that start returned."""
    _find(run_id)
    try:
        run = runs.stop(run_id, owner_token)
    except PermissionError as error:
        raise BadInput(error) from error
    return {"run_id": run.id, "stopping": True}


def build() -> Tab:
    """Lays out the tab, wires start, stop and the watching, and names the endpoints."""
    with gr.Row(elem_classes="v-split"):
        with gr.Column(scale=2, min_width=300, elem_classes="v-settings"):
            settings = _settings()
            start = gr.Button("Start training", variant="primary", size="lg")
            stop = gr.Button("Stop", variant="stop", size="lg", visible=False)
        with gr.Column(scale=5, min_width=300):
            progress, charts, samples = (pictures.html(name) for name in ("progress", "charts", "samples"))
    tab = Tab(settings, start, stop, progress, charts, samples, gr.State(""), gr.State(""))
    gr.on(
        [tab.settings[0].input, tab.settings[1].input, tab.settings[2].input],
        idle,
        [*tab.settings[:3], tab.run_id],
        [progress, charts, samples],
        show_progress="hidden",
        trigger_mode="always_last",
        api_visibility="private",
    )
    start.click(None, js=SCROLL_TO_PROGRESS)
    stop.click(stop_run, [tab.run_id, tab.owner], None, queue=False, api_visibility="private")
    gr.api(start_training, api_name="start", concurrency_limit=None)
    gr.api(training_status, api_name="status", concurrency_limit=None)
    gr.api(stop_training, api_name="stop", concurrency_limit=None)
    return tab


def _settings() -> list[gr.components.Component]:
    dataset = gr.Radio([(label, name) for name, label in LABELS.items()], value="shapes", label="Data")
    model = gr.Radio(
        [(f"{NAMES[name]} · {_parameters(name) / 1e6:.1f}M", name) for name in runs.VARIANTS],
        value="vit_live",
        label="Model",
        info="Live sees through small convolutions, Live patch through plain patches; both learn within minutes. "
        "Tiny and Small need hours. M: million parameters.",
    )
    minutes = gr.Slider(0.1, runs.MAX_MINUTES, value=min(2, runs.MAX_MINUTES), step=0.1, label="Minutes", buttons=[])
    with gr.Accordion("Advanced", open=False):
        batch = gr.Number(
            DEFAULTS.batch_size,
            label="Batch size, images",
            precision=0,
            info="More images a step make steadier but fewer steps.",
        )
        lr = gr.Number(
            DEFAULTS.lr,
            label="Learning rate",
            info="How far a step moves the weights: too low crawls, too high diverges.",
        )
        decay = gr.Number(
            DEFAULTS.weight_decay,
            label="Weight decay",
            info="Pulls weights towards zero, against learning by heart.",
        )
        seed = gr.Number(
            DEFAULTS.seed, label="Seed", precision=0, info="Another one gives another start and order of images."
        )
    return [dataset, model, minutes, batch, lr, decay, seed]


def start_run(*settings) -> tuple[str, str]:
    """The Start button: the run's id and its owner's token, for this page's state."""
    started = start_training(*settings)
    return started["run_id"], started["owner_token"]


def stop_run(run_id: str, owner: str) -> None:
    """The Stop button; what comes of it shows in the watched progress."""
    stop_training(run_id, owner)


async def watch(run_id: str) -> AsyncIterator[tuple]:
    """Progress, charts and buttons of a run whenever something changed, until it ends; it only reads."""
    seen = None
    while True:
        run = _find(run_id)
        source = SOURCES[run.dataset]
        live, now = run.live, (run.status, len(run.history.seconds), run.place, run.stopping, source.fraction)
        if now != seen:
            seen = now
            charts = curves.draw(run.history, 60 * run.config.minutes, 10)
            stop = gr.Button("Stopping …" if run.stopping else "Stop", visible=live, interactive=not run.stopping)
            yield panel(run), charts, gr.Button(visible=not live), stop
        if not live:
            return
        await asyncio.sleep(0.4)


def idle(dataset: str, model: str, minutes: float, run_id: str = "") -> tuple:
    """What the right side shows before a run: what would be trained on what, and the frame the curves will fill."""
    if run_id in runs.RUNS and runs.RUNS[run_id].live:
        return gr.skip(), gr.skip(), _samples(dataset)
    source = SOURCES[dataset]
    text = f"{_parameters(model):,} parameters start at random and learn from "
    text += f"{len(source.splits.train):,} pictures of {source.label}." if source.splits else f"{source.label}."
    if source.error:
        text = f"{source.label} {source.state}. Start tries once more; Shapes is built in."
    references = [_reference(key) for key in models.shipped() if models.dataset(models.find(key)) == dataset]
    charts = curves.draw(runs.History(), 60 * (minutes or 1), 10, next(iter(references), None))
    return _head("Ready to train", text), charts, _samples(dataset)


def settle(dataset: str, model: str, minutes: float, run_id: str) -> tuple:
    """Once CIFAR-10 is there or out of reach: its pictures, or Shapes in its place, as the line on top says."""
    dataset = "shapes" if SOURCES[dataset].error else dataset
    return dataset, *idle(dataset, model, minutes, run_id)


def _reference(key: str) -> tuple[str, float] | None:
    """A checkpoint's accuracy, to compare with."""
    accuracy = models.accuracy(models.find(key))
    return None if accuracy is None else ("shipped model", accuracy)


def panel(run: Run) -> str:
    """Headline, bar and figures of a run."""
    what = f"{run.variant.replace('_', '-')} on {LABELS[run.dataset]}"
    progress, source = run.progress, SOURCES[run.dataset]
    if run.status == "queued":
        ahead = f"{run.place - 1} before it" if run.place > 1 else "next"
        return _head(f"Waiting for its turn: {what}", f"Place {run.place} in the queue, {ahead}.")
    if run.status == "loading":
        text, done = ("Warming up: the first step is the slowest.", 0.0)
        if source.splits is None:
            text, done = f"{source.doing}: {source.fraction:.0%}", source.fraction
        return _head(f"Preparing {what}", text, done)
    if run.status == "failed":
        return _head(f"{what} ended early", run.message, kind="error") + _figures(run)
    if run.status == "running":
        return _head(f"Training {what}", "", progress.done) + _figures(run)
    if run.model is None:
        return _head(f"{what} stopped", "It was stopped before its first step; there is no model of it.")
    verb = "Stopped" if run.status == "stopped" else "Done"
    return _head(f"{verb}: {what}", "The model is chosen in Classify and Attention now.", 1.0, "done") + _figures(run)


def _head(title: str, text: str, done: float | None = None, kind: str = "") -> str:
    bar = (
        ""
        if done is None
        else (
            f'<div class="v-progress" role="progressbar" aria-label="Training" aria-valuenow="{100 * done:.0f}">'
            f'<i style="width:{100 * done:.1f}%"></i></div>'
        )
    )
    words = f"<p>{escape(text)}</p>" if text else ""
    return f'<div class="v-head {kind}"><h2>{escape(title)}</h2>{words}{bar}</div>'


def _figures(run: Run) -> str:
    progress = run.progress
    if progress is None:
        return ""
    accuracy = "–" if run.accuracy is None else f"{run.accuracy:.1%}"
    time = ("Time left", clock(progress.remaining)) if run.live else ("Time", clock(progress.elapsed))
    of = f" of ~{progress.steps:,}" if run.live else ""
    figures = [
        ("Validation accuracy", accuracy),
        ("Step", f"{progress.step:,}<small>{of}</small>"),
        ("Epoch", f"{progress.epoch:.2f}"),
        ("Speed", f"{progress.images_per_second:,.0f}<small> images/s</small>"),
        (time[0], f"{time[1]}<small> min</small>"),
    ]
    return '<dl class="v-figures">' + "".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in figures) + "</dl>"


def _samples(dataset: str) -> str:
    if SOURCES[dataset].splits is None:
        return ""
    cells = "".join(
        f'<figure><img src="{uri}" alt=""><figcaption>{escape(name)}</figcaption></figure>'
        for name, uri in pictures.examples(SOURCES[dataset].splits.train)
    )
    return f'<p class="v-label">One training picture of each class</p><div class="v-samples">{cells}</div>'


def _parameters(name: str) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in create_model(name).parameters())


def _find(run_id: str) -> Run:
    try:
        return runs.find(run_id)
    except ValueError as error:
        raise BadInput(error) from error
