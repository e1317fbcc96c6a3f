"""What a visitor is told: Gradio renders its notices as HTML, so all words that are not ours pass through here."""

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import gradio as gr

LONGEST = 1000  # characters of a sentence


class BadInput(gr.Error):
    """A sentence for the visitor that names the remedy; nothing of it goes to the server's log.

    sentence: as it was given, for those who escape it themselves.
    """

    def __init__(self, sentence: object):
        self.sentence = _readable(str(sentence))
        super().__init__(_as_text(sentence), title="That didn't work", print_exception=False)


@contextmanager
def as_bad_input() -> Iterator[None]:
    """What raises ValueError within, as the code below the page does of what it is given, raises BadInput instead."""
    try:
        yield
    except ValueError as error:
        raise BadInput(error) from error


def warn(sentence: object) -> None:
    """A notice that goes by itself, of what did not keep the visitor from going on."""
    gr.Warning(_as_text(sentence))


def alert(sentence: object) -> str:
    """The same as a paragraph within the page, which stays."""
    return f'<p class="t-wrong" role="alert">{_as_text(sentence)}</p>'


def _as_text(sentence: object) -> str:
    """HTML that shows the sentence as it is; quotes stay, for it never stands in an attribute and programs read it."""
    return escape(_readable(str(sentence)), quote=False)


def _readable(sentence: str) -> str:
    """What came may be of any length; the sentence around it is not, and ends with the remedy."""
    return sentence if len(sentence) <= LONGEST else f"{sentence[: LONGEST // 2]} … {sentence[-LONGEST // 2 :]}"
