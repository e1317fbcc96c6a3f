"""The endpoints of training: what a visitor can do, a program can do."""

from collections.abc import Callable

import gradio as gr

from vit.live import runs, settings
from vit.live.datasets import SOURCES
from vit.live.run import LiveRun
from vit.live.visitors import Visitor, address_of
from vit.ui.checks import checked
from vit.ui.errors import BadInput, as_bad_input
from vit.ui.train import view as train_view

POINTS = 300  # of a curve at most


def build() -> None:
    """Names the endpoints."""
    endpoints = {
        "start": start_training,
        "status": training_status,
        "stop": stop_training,
        "pause": pause_training,
        "resume": resume_training,
        "set_learning_rate": set_learning_rate,
        "snapshot": snapshot,
    }
    for name, endpoint in endpoints.items():
        gr.api(endpoint, api_name=name, concurrency_limit=None)


def start_training(
    dataset: str,
    model: str,
    minutes: float,
    batch_size: float,
    learning_rate: float,
    weight_decay: float,
    seed: float,
    advanced: dict | None = None,
    request: gr.Request | None = None,
) -> dict:
    """Queues a training run; returns its id, with which anyone can follow it, and the token with which to steer it.

    advanced: any of classes (list of names), patch_size, embed_dim, depth, num_heads, stem ('patch' or 'conv'),
    warmup (share of the run), crop (pixels), flip.
    """
    chosen = {"dataset": dataset, "model": model, "minutes": minutes, "batch_size": batch_size}
    chosen |= {"learning_rate": learning_rate, "weight_decay": weight_decay, "seed": seed}
    with as_bad_input():
        run = runs.start(settings.read(chosen, advanced), visitor(request))
    return {"run_id": run.id, "owner_token": run.owner, "command": run.settings.command}


def visitor(request: gr.Request | None, owned: dict[str, str] | None = None) -> Visitor:
    """Who asks, as far as a request tells. owned: the browser's runs, id -> owner's token."""
    client = request and request.client
    return Visitor(owned or {}, address_of(client.host, request.headers) if client else None)


@checked
def training_status(run_id: str) -> dict:
    """Where a run stands, and its curve so far; the id also names its model once it has ended."""
    run = find_run(run_id, watching=True)
    progress = run.progress
    return {
        "run_id": run.id,
        "status": run.status,
        "message": run.message,
        "warning": run.warning,
        "place_in_queue": runs.place(run),
        "step": progress.step if progress else 0,
        "epoch": progress.epoch if progress else 0.0,
        "images_per_second": progress.images_per_second if progress else None,
        "seconds_left": progress.remaining if progress else None,
        "validation_accuracy": run.accuracy,
        "test_accuracy": run.evaluation and run.evaluation.accuracy,
        "seconds_drawing": run.drawing,
        "snapshots": [moment.figures["step"] for moment in run.album.moments],
        "curve": run.history.thinned(POINTS),
    }


@checked
def stop_training(run_id: str, owner_token: str) -> dict:
    """Ends a run after the step under way, or its test, and keeps what it learned; takes the token that start gave."""
    return {"run_id": steered(runs.stop, run_id, owner_token).id, "stopping": True}


@checked
def pause_training(run_id: str, owner_token: str) -> dict:
    """Halts a run after the step under way; takes the token that start returned."""
    return {"run_id": steered(runs.pause, run_id, owner_token).id, "paused": True}


@checked
def resume_training(run_id: str, owner_token: str) -> dict:
    """Lets a paused run go on; takes the token that start returned."""
    return {"run_id": steered(runs.resume, run_id, owner_token).id, "paused": False}


@checked
def set_learning_rate(run_id: str, owner_token: str, learning_rate: float) -> dict:
    """Changes the peak learning rate from the next step on; takes the token that start returned."""
    return {"run_id": steered(runs.set_lr, run_id, owner_token, learning_rate).id, "learning_rate": learning_rate}


@checked
def snapshot(run_id: str, step: float) -> dict:
    """The fixed pictures at the last snapshot up to a step: probabilities, and the class token's or read-out's map.

    attention: picture, layer, head, row, column; in multiples of 1 in (rows * columns), up to 6.
    """
    run = find_run(run_id, watching=True)
    moments = [moment for moment in run.album.moments if moment.figures["step"] <= step]
    if SOURCES[run.settings.dataset].splits is None:
        raise BadInput("The pictures of this run are not loaded yet; ask again in a minute.")
    if not moments:
        raise BadInput("There is no snapshot of this run yet, or none so early; ask for a later step.")
    return train_view.readable(run, moments[-1])


def steered(act: Callable[..., LiveRun], run_id: str, owner: str, *values) -> LiveRun:
    """Raises BadInput where there is no such run, it isn't one's own, or the value can't work."""
    find_run(run_id)
    try:
        return act(run_id, owner, *values)
    except (PermissionError, ValueError) as error:
        raise BadInput(error) from error


def find_run(run_id: str, watching: bool = False) -> LiveRun:
    """Raises BadInput where there is no such run."""
    with as_bad_input():
        return runs.watch(run_id) if watching else runs.find(run_id)
