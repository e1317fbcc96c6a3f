"""What a visitor sees at once of a question that may wait for others': a line, which the first answer replaces."""

import json
from collections.abc import Callable

import gradio as gr

from vit.ui.quiet import QUIET

LINE = '<p class="v-note" role="status">Waiting for its turn …</p>'
# What is under way shows a bar; a second press, which is not taken then, leaves it.
SAY = f"(shown) => shown?.includes('<progress') ? shown : {json.dumps(LINE)}"
UNSAY = f"(shown) => shown === {json.dumps(LINE)} ? '' : shown"


def say(event: Callable, view: gr.HTML) -> None:
    """Call it before the event is given what asks: a page takes up the one after the other."""
    event(None, view, view, js=SAY, **QUIET)


def unsay(event: Callable, view: gr.HTML) -> None:
    """Takes the line away where no answer has come in its place, as at a failure."""
    event(None, view, view, js=UNSAY, **QUIET)
