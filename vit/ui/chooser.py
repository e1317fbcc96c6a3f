"""Models from elsewhere: the well-known ones, any repository of the Hub, and a zip of one's own."""

import queue
import threading
import time
from collections.abc import Iterator
from html import escape
from typing import NamedTuple

import gradio as gr

from vit.live import elsewhere
from vit.ui.checks import checked
from vit.ui.errors import BadInput, alert, as_bad_input

EVERY = 0.5  # seconds between two lines of progress
BUSY = {"concurrency_id": "fetch", "concurrency_limit": 1}  # one download or zip at a time, whoever asks


class Chooser(NamedTuple):
    repository: gr.Dropdown
    fetch: gr.Button
    archive: gr.UploadButton
    note: gr.HTML
    fetched: gr.State  # the name of the repository that is being fetched, or was


def build() -> Chooser:
    """Lays it out, folded, below the list of models."""
    with gr.Accordion("Other models", open=False, elem_classes="v-others"):
        repository = gr.Dropdown(
            [(f"{known.title}: {known.sentence}", known.repository) for known in elsewhere.KNOWN],
            value=None,
            allow_custom_value=True,
            label="From the Hub",
            info="A known one, or any ViT of timm or transformers as owner/name.",
        )
        note = gr.HTML(apply_default_css=False, elem_classes="v-fetch-note")
        with gr.Row(elem_classes="v-buttons"):
            fetch = gr.Button("Fetch and open", size="md")
            archive = gr.UploadButton("Open a zip", file_types=[".zip"], size="md")
    return Chooser(repository, fetch, archive, note, gr.State(""))


@checked
def look_up(repository: str | None) -> str:
    """What there is to fetch, before it is."""
    if not (name := (repository or "").strip()):
        return ""
    try:
        total, here = elsewhere.size(name)
    except ValueError as error:
        return alert(error)
    return _line(f"{name}: {_megabytes(total)}" + (", here already." if here else " to download."))


@checked
def fetch(repository: str | None) -> Iterator[tuple[str, str]]:
    """Downloads a model and tells how far it is, and its name. Raises BadInput, naming the remedy."""
    if not (name := (repository or "").strip()):
        raise BadInput("There is no name; choose a model of the list, or type one as owner/name.")
    told: queue.Queue[tuple[int, int] | Exception | None] = queue.Queue()

    def download() -> None:
        try:
            elsewhere.download(name, lambda here, total: told.put((here, total)))
            told.put(None)
        except Exception as error:  # it goes to whoever waits
            told.put(error)

    threading.Thread(target=download, daemon=True).start()
    yield _line(f"Asking the Hub for {name} …", 0), name
    while True:
        latest = told.get()
        while not told.empty() and isinstance(latest, tuple):
            latest = told.get()
        if isinstance(latest, ValueError):
            yield alert(latest), name
            raise BadInput(latest)
        if isinstance(latest, Exception):
            raise latest
        if latest is None:
            yield _line(f"{name} is open."), name
            return
        here, total = latest
        yield _line(f"{_megabytes(here)} of {_megabytes(total)}", here / total if total else 0), name
        time.sleep(EVERY)


def unpack(archive: str) -> str:
    """The key of the model in a zip. Raises BadInput, naming the remedy."""
    with as_bad_input():
        return elsewhere.unpack(archive)


def _megabytes(total: int) -> str:
    return f"{total / 1e6:,.1f} MB"


def _line(sentence: str, share: float | None = None) -> str:
    bar = "" if share is None else f'<progress max="1" value="{share:.3f}"></progress>'
    return f'<p class="v-note" role="status">{escape(sentence)}</p>{bar}'
