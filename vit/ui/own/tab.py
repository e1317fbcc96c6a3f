"""The tab: collect pictures of one's own, learn them in three ways, break what came of it."""

import base64
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.figures import color_table
from vit.live import collection, taught
from vit.live.teaching import WAYS
from vit.ui import pictures
from vit.ui.checks import check
from vit.ui.errors import BadInput
from vit.ui.own import api, breaking, learning
from vit.ui.own import pictures as sent
from vit.ui.theme import CLASS_COLORS

HERE = Path(__file__).parent
ASKED = (
    *(sent.collected, sent.standing, sent.add, sent.sample, sent.remove, sent.rename, sent.delete_now),
    *(learning.parents, learning.start, learning.stop, learning.progress, learning.blank),
    *(breaking.look, breaking.cover),
)
MINUTES = (collection.KEPT + collection.EVERY) // 60


class Tab(NamedTuple):
    """view triggers `learned` once there are models."""

    view: gr.HTML
    download: gr.DownloadButton


def build() -> Tab:
    """Lays out the tab and names its endpoints."""
    told = {
        "colors": base64.b64encode(color_table()).decode(),
        "classColors": CLASS_COLORS,
        "most": collection.MAX_PICTURES,
        "longest": collection.LONGEST,
        "largest": sent.LARGEST,
        "side": collection.SIDE,
        "minutes": MINUTES,
        "events": {"learned": "learned"},
    }
    view = pictures.html("own", HERE / "own", told, server_functions=list(ASKED))
    download = gr.DownloadButton(
        "Download the model: weights, config and card", size="md", visible=False, elem_id="own-download"
    )
    api.build()
    return Tab(view, download)


def names(event: gr.EventData) -> tuple[str, dict[str, str]]:
    """The best of the models that were learned, and what the page calls each. Raises BadInput."""
    best, keys = (
        check(name, event._data.get(name), kind) for name, kind in (("best", str), ("models", dict[str, str]))
    )
    called = {key: f"Your pictures, {WAYS[way].lower()}" for way, key in keys.items() if way in WAYS}
    if best not in called or not all(map(taught.available, called)):
        raise BadInput("These models are not here any more; learn the pictures again.")
    return best, called


def archive(key: str) -> gr.DownloadButton:
    """The button, with the model's zip; hidden where the disk is full."""
    try:
        return gr.DownloadButton(value=str(taught.archive(key)), visible=True)
    except (OSError, ValueError):
        return gr.DownloadButton(visible=False)
