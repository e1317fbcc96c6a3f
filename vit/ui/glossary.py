"""The field's words on the page: a sentence each, a number of the view at hand, and a step of the lesson."""

from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.live import models
from vit.ui import pictures, theme
from vit.ui.analysis import remember
from vit.ui.at_hand import at_hand
from vit.ui.pictures import Picture

HERE = Path(__file__).parent


class Entry(NamedTuple):
    """forms: how else the word may stand in a text. step: of the lesson, from 1."""

    name: str
    forms: tuple[str, ...]
    step: int
    sentence: str


ENTRIES = (
    Entry(
        "patch",
        ("patches",),
        1,
        "A small square of the picture: the model reads pictures patch by patch.",
    ),
    Entry(
        "token",
        ("tokens",),
        1,
        "Numbers that stand for a patch, or for the whole picture, and change from layer to layer.",
    ),
    Entry(
        "class token",
        ("class tokens",),
        6,
        "A token that stands for no patch: it asks the others, and the answer is read from it.",
    ),
    Entry(
        "read-out",
        ("read-outs",),
        6,
        "In some models it takes the class token's place: one query that asks the patches in the end.",
    ),
    Entry(
        "position embedding",
        ("position embeddings",),
        2,
        "Learned numbers of a place, added to its token: without them the order of patches is lost.",
    ),
    Entry(
        "query",
        ("queries",),
        3,
        "The vector with which a token asks: times each key, it decides how much it takes from whom.",
    ),
    Entry(
        "key",
        ("keys",),
        3,
        "The vector that a token shows to those who ask.",
    ),
    Entry(
        "value",
        (),
        4,
        "The vector that a token hands over to those who take from it.",
    ),
    Entry(
        "head",
        ("heads",),
        4,
        "One of several attentions side by side, with queries, keys and values of its own.",
    ),
    Entry(
        "logit",
        ("logits",),
        6,
        "The number that a class gets before softmax; it may be negative.",
    ),
    Entry(
        "softmax",
        (),
        3,
        "Makes shares that sum to 1 of any numbers: each one's exponential, over the sum of them all.",
    ),
    Entry(
        "entropy",
        (),
        3,
        "How widely attention is spread: 0 on one token alone, most on all tokens alike.",
    ),
    Entry(
        "nats",
        (),
        3,
        "The unit of entropy: e to that power is how many tokens it would be, had they equal weights.",
    ),
    Entry(
        "rollout",
        (),
        6,
        "Attention multiplied through the layers with the skip connections: what came from where.",
    ),
    Entry(
        "relevance",
        (),
        6,
        "Attention weighed by what it does to a class: which patches speak for that class.",
    ),
    Entry(
        "cosine",
        ("cosines",),
        2,
        "How alike two vectors are: 1 in the same direction, 0 at right angles, −1 in opposite ones.",
    ),
)


def build() -> gr.HTML:
    """The card that opens where a word is touched; its value stands for the chosen model and picture."""
    told = {
        "entries": [entry._asdict() for entry in ENTRIES],
        "colors": theme.color_map(),
    }
    return pictures.html("glossary", HERE / "glossary", told, server_functions=[at_hand])


def about(key: str | None, picture: Picture | None) -> dict[str, str]:
    """By what the card asks for numbers of the view at hand; a message where there is no model."""
    return {"token": remember(key, picture)} if key and picture else {"message": models.ADVICE}
