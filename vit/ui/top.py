"""The line on top: where one is, on what it computes, and how the data stands."""

import asyncio
import time
from collections.abc import AsyncIterator
from html import escape

import gradio as gr
import torch

from vit.data.registry import fallback, preferred
from vit.device import gpu_name
from vit.live import datasets, models, speed, worker
from vit.live.models import RunNames
from vit.precision import Precision
from vit.ui import guard


async def watch_data(chosen: str | None) -> AsyncIterator[str | dict]:
    """What there is to say about the preferred dataset, until it is loaded or known to be out of reach.

    chosen: the data that the page opened with, and stays on.
    """
    said, heard = None, 0.0
    while True:
        settled, notice = datasets.settled(), datasets.notice()
        if settled and not notice and chosen != preferred().name:
            notice = f"{preferred().label} is here now: choose it under Data."
        if notice != said:
            said, heard = notice, time.monotonic()
            yield escape(notice)
        elif time.monotonic() - heard > guard.HEARD:
            heard = time.monotonic()
            yield gr.skip()
        if settled:
            return
        await asyncio.sleep(0.5)


def status_line(key: str | None, run_names: RunNames) -> str:
    """Where one is: model, data, device."""
    where = (
        models.title(key, run_names) + models.measured(models.find(key))
        if key
        else f"no model yet · {fallback().label}"
    )
    trials = "".join(f', <span title="{escape(str(found))}">{found.name} by trial</span>' for found in tried())
    return f'<span class="v-opened">{escape(where)} · {escape(device())}{trials}</span>'


def device() -> str:
    """The GPU's name, or how many CPU cores."""
    chosen, cores = worker.device(), torch.get_num_threads()
    return gpu_name(chosen) if chosen.type != "cpu" else f"{cores} CPU core{'s' * (cores > 1)}"


def tried() -> list[Precision]:
    """What the live preset trains in here; nothing until that is known."""
    return speed.precisions[-1:]
