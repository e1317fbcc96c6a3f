"""The tab: collect pictures of one's own, learn them in three ways, break what came of it."""

import contextlib
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.live import collection, taught, uploads
from vit.training.finetune import WAYS
from vit.ui import pictures, push, theme
from vit.ui.checks import check, checked
from vit.ui.errors import BadInput
from vit.ui.own import api, breaking, learning
from vit.ui.own import pictures as sent
from vit.ui.theme import CLASS_COLORS

HERE = Path(__file__).parent
ASLEEP = "() => Array(2).fill({ interactive: false, __type__: 'update' })"
ASKED = (
    *(sent.collected, sent.standing, sent.add, sent.sample, sent.remove, sent.rename, sent.delete_now),
    *(learning.parents, learning.start, learning.stop, learning.progress, learning.blank),
    *(learning.there, learning.delete_model),
    *(breaking.look, breaking.cover),
)


class Tab(NamedTuple):
    """view triggers `learned` once there are models, and where another is chosen; `gone` once the last is deleted.

    key: of the one that is handed out below it.
    """

    view: gr.HTML
    handing_out: gr.Column
    download: gr.DownloadButton
    push: gr.Button
    key: gr.State

    @property
    def learned(self) -> list:
        """What `hand_out` fills."""
        return [self.handing_out, self.download, self.push, self.key]

    def withdraw(self) -> dict:
        """Nothing to hand out."""
        return {self.handing_out: gr.Column(visible=False), self.download: gr.DownloadButton(value=None), self.key: ""}

    def hand_out(self, key: str) -> dict:
        """The model to download and to push; without a zip where the disk is full."""
        zipped = None
        with contextlib.suppress(OSError, ValueError):
            zipped = str(taught.archive(key))
        return {
            self.handing_out: gr.Column(visible=True),
            self.download: gr.DownloadButton(value=zipped, interactive=zipped is not None),
            self.push: gr.Button(interactive=True),
            self.key: key,
        }


def build() -> Tab:
    """Lays out the tab and names its endpoints."""
    told = {
        "colors": theme.color_map(),
        "classColors": CLASS_COLORS,
        "most": collection.MAX_PICTURES,
        "longest": collection.LONGEST,
        "largest": sent.LARGEST,
        "side": collection.SIDE,
        "minutes": uploads.MINUTES,
        "events": {"learned": "learned", "gone": "gone"},
    }
    view = pictures.html("own", HERE / "own", told, server_functions=list(ASKED))
    key = gr.State("")
    with gr.Column(visible=False, elem_id="own-out") as handing_out:
        download = gr.DownloadButton("Download weights, config and card", size="md", elem_id="own-download")
        button = push.build(key, push_taught)
    # Until another model is there, what is handed out is the former one.
    view.learned(None, None, [download, button], js=ASLEEP, api_visibility="private")
    api.build()
    return Tab(view, handing_out, download, button, key)


@checked
def push_taught(key: str, name: str, token: str, private: bool) -> str:
    """What came of it."""
    return push.push_folder(lambda: contextlib.nullcontext(taught.folder(key)), name, token, private)


def names(event: gr.EventData) -> tuple[str, dict[str, str]]:
    """The chosen one of the models that were learned, and what the page calls each. Raises BadInput."""
    learned = check("event", event._data, dict)
    chosen, ways = check("chosen", learned.get("chosen"), str), check("ways", learned.get("ways"), dict[str, str])
    called = {
        key: f"Your pictures, {WAYS[way].lower()}" for key, way in ways.items() if way in WAYS and taught.available(key)
    }
    if chosen not in called:
        raise BadInput("This model is not here any more; learn the pictures again.")
    return chosen, called
