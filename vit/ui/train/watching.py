"""The view-only page of a run, for a class with phones: the maps, the curve and the accuracy as they come."""

import asyncio
import time
from collections.abc import AsyncIterator

import gradio as gr

from vit.live import runs
from vit.live.datasets import SOURCES
from vit.ui import guard, pictures
from vit.ui.train import tab as train
from vit.ui.train import view as train_view

PATH = "watch"
EVERY = 1.0  # seconds between two looks: thirty phones share the cores with the run that they watch


def build(demo: gr.Blocks) -> None:
    """Adds the page to those of the app, at PATH?run=ID."""
    with demo.route("Watch a run", PATH, show_in_navbar=False):
        pictures.html("title", value="<h1>Vision Transformer, live</h1>")
        with gr.Column(elem_classes="t-watched"):
            progress = pictures.html("progress")
            with gr.Row(elem_classes="t-run"):
                forming, charts = train.forming_view(), pictures.html("charts")
        views = [progress, charts, forming]
        quiet = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "undocumented"}
        demo.load(follow, None, views, api_name="follow", **quiet)


async def follow(request: gr.Request) -> AsyncIterator[tuple[str, str, dict] | dict]:
    """The run that the address names: headline, curves and moments, anew whenever they change, until it ends."""
    seen, heard = None, 0.0
    while True:
        try:
            run = runs.watch(request.query_params.get("run", ""))
        except ValueError as error:
            yield train_view.head("No such run", str(error), kind="error"), "", {"run": "", "moments": []}
            return
        source = SOURCES[run.settings.dataset]
        waits = (runs.place(run), source.fraction, source.splits is None, run.tested)
        now = (run.status, len(run.history.seconds), run.warning, waits)
        if now != seen:
            seen, heard = now, time.monotonic()
            yield train_view.panel(run), train_view.charts(run), train_view.forming(run)
        elif time.monotonic() - heard > guard.HEARD:
            heard = time.monotonic()
            yield gr.skip()
        if not run.live and (source.settled or not run.album.moments):
            return
        await asyncio.sleep(EVERY)
