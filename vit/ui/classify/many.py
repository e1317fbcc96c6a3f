"""Many pictures at once, or a zip of them: a table that grows, and all of it as a CSV."""

import base64
import io
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.live import models
from vit.model import Classifier
from vit.prediction import Answer, Table, answer_files
from vit.ui import pictures, waiting
from vit.ui.checks import checked
from vit.ui.errors import BadInput, as_bad_input
from vit.ui.quiet import LATEST, QUIET

MOST = 1000  # pictures at once
SHOWN = 200  # rows on the page; the CSV has all
BATCH = 8  # pictures: between two of them one can cancel


class Many(NamedTuple):
    """The components of the section."""

    table: gr.HTML
    cancel: gr.Button

    @checked
    def answer(self, key: str | None, paths: list[str] | None) -> Iterator[dict]:
        """The table as it grows, and in the end the CSV."""
        model = chosen(key)
        text, shown, n, broken = io.StringIO(newline=""), "", 0, 0
        rows = Table(text, model.classes)
        yield {self.table: _drawn(shown, "Reading …"), self.cancel: gr.Button(visible=True)}
        for found in limited(model, paths or []):
            rows.add(found)
            n, broken = n + 1, broken + bool(found.reason)
            shown += _row(found, model) if n <= SHOWN else ""
            if n % BATCH == 0:
                said = f"{n} answered so far"
                yield {self.table: _drawn(shown, said), self.cancel: gr.skip()}
        said = f"{n - broken} answered" + (f", {broken} not" if broken else "")
        said += f"; the first {SHOWN} are shown, the CSV has all" if n > SHOWN else ""
        said += _link(text.getvalue(), f"answers-{models.name(model)}.csv")
        yield {self.table: _drawn(shown, said), self.cancel: gr.Button(visible=False)}


def build(model: gr.Dropdown) -> None:
    """Lays out the section and wires it."""
    sent = gr.File(
        label=f"Pictures, or a zip of them: up to 20 MB a file, {MOST:,} pictures at once",
        file_count="multiple",
        file_types=["image", ".zip"],
        height=130,
        elem_id="many-input",
    )
    with gr.Row(elem_classes="v-buttons"):
        cancel = gr.Button("Cancel", size="md", visible=False)
    many = Many(pictures.html("many"), cancel)
    waiting.say(sent.upload, many.table)
    work = sent.upload(many.answer, [model, sent], set(many), concurrency_id="many", concurrency_limit=1, **LATEST)
    waiting.unsay(work.failure, many.table)
    cancel.click(lambda: gr.Button(visible=False), None, cancel, cancels=[work], queue=False, **QUIET)

    sent.clear(
        lambda: {many.table: "", cancel: gr.Button(visible=False)},
        None,
        set(many),
        cancels=[work],
        queue=False,
        **QUIET,
    )


def chosen(key: str | None) -> Classifier:
    """The model, or the default one. Raises BadInput, also for one that names no classes."""
    with as_bad_input():
        return models.named(models.find(key or models.default()))


def limited(model: Classifier, paths: list[str]) -> Iterator[Answer]:
    """Answers to what was sent, MOST of them at most. Raises BadInput where nothing was sent, or too much."""
    if not paths:
        raise BadInput("There is no picture; send some, or a zip of them.")
    for n, found in enumerate(answer_files(model, map(Path, paths), BATCH)):
        if n == MOST:
            raise BadInput(f"At most {MOST:,} pictures are answered at a time, and there are more; send fewer.")
        found.name = found.name if found.name not in paths else Path(found.name).name  # not where the server keeps it
        yield found


def _row(found: Answer, model: Classifier) -> str:
    name = f'<td class="c-name">{escape(found.name)}</td>'
    if found.probabilities is None or found.pixels is None:
        return f'<tr><td></td>{name}<td colspan="2" class="v-wrong">{escape(found.reason)}</td></tr>'
    sure, best = found.probabilities.max(0)
    image = f'<td><img src="{pictures.data_uri(found.pixels)}" alt=""></td>'
    return f"<tr>{image}{name}<td>{escape(model.classes[best])}</td><td>{sure:.1%}</td></tr>"


def _drawn(rows: str, said: str) -> str:
    head = "<tr><th></th><th>File</th><th>It says</th><th>Sure</th></tr>"
    table = f'<div class="c-scroll"><table class="c-table">{head}{rows}</table></div>'
    return f'<p class="v-note" role="status">{said}</p>{table}'


def _link(text: str, name: str) -> str:
    """What saves the table; the page holds it, so that no file of it stays on the server."""
    content = base64.b64encode(text.encode()).decode()
    return f' <a class="x-quiet-button" download="{escape(name)}" href="data:text/csv;base64,{content}">Save as CSV</a>'
