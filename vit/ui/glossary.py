"""The field's words on the page: a sentence each, a number of the chosen model, and a step of the lesson."""

import math
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.live import models
from vit.model import ViT
from vit.ui import pictures

HERE = Path(__file__).parent


class Entry(NamedTuple):
    """forms: how else the word may stand in a text. step: of the lesson, from 1. here: what it is in a model."""

    name: str
    forms: tuple[str, ...]
    step: int
    sentence: str
    here: str


ENTRIES = (
    Entry(
        "patch",
        ("patches",),
        1,
        "A small square of the picture: the model reads pictures patch by patch.",
        "Here a picture has {patches} patches of {patch} × {patch} pixels.",
    ),
    Entry(
        "token",
        ("tokens",),
        1,
        "Numbers that stand for a patch, or for the whole picture, and change from layer to layer.",
        "Here {tokens} tokens of {width} numbers each.",
    ),
    Entry(
        "class token",
        ("class tokens",),
        6,
        "A token that stands for no patch: it asks the others, and the answer is read from it.",
        "{reader}",
    ),
    Entry(
        "read-out",
        ("read-outs",),
        6,
        "In some models it takes the class token's place: one query that asks the patches in the end.",
        "{reader}",
    ),
    Entry(
        "position embedding",
        ("position embeddings",),
        2,
        "Learned numbers of a place, added to its token: without them the order of patches is lost.",
        "Here {patches} places with {width} numbers each.",
    ),
    Entry(
        "query",
        ("queries",),
        3,
        "The vector with which a token asks: times each key, it decides how much it takes from whom.",
        "Here {d} numbers in each head.",
    ),
    Entry(
        "key",
        ("keys",),
        3,
        "The vector that a token shows to those who ask.",
        "Here {d} numbers in each head.",
    ),
    Entry(
        "value",
        (),
        4,
        "The vector that a token hands over to those who take from it.",
        "Here {d} numbers in each head.",
    ),
    Entry(
        "head",
        ("heads",),
        4,
        "One of several attentions side by side, with queries, keys and values of its own.",
        "Here {heads} in each of {layers} layers.",
    ),
    Entry(
        "logit",
        ("logits",),
        6,
        "The number that a class gets before softmax; it may be negative.",
        "Here {classes} logits, one for each class.",
    ),
    Entry(
        "softmax",
        (),
        3,
        "Makes shares that sum to 1 of any numbers: each one's exponential, over the sum of them all.",
        "Here a token's attention is softmax over {tokens} numbers.",
    ),
    Entry(
        "entropy",
        (),
        3,
        "How widely attention is spread: 0 on one token alone, most on all tokens alike.",
        "Here at most {most:.2f} nats, over {tokens} tokens.",
    ),
    Entry(
        "nats",
        (),
        3,
        "The unit of entropy: e to that power is how many tokens it would be, had they equal weights.",
        "Here at most {most:.2f} nats, over {tokens} tokens.",
    ),
    Entry(
        "rollout",
        (),
        6,
        "Attention multiplied through the layers with the skip connections: what came from where.",
        "Here through {layers} layers.",
    ),
    Entry(
        "relevance",
        (),
        6,
        "Attention weighed by what it does to a class: which patches speak for that class.",
        "Here for {classes} classes.",
    ),
    Entry(
        "cosine",
        ("cosines",),
        2,
        "How alike two vectors are: 1 in the same direction, 0 at right angles, −1 in opposite ones.",
        "Here of vectors of {width} numbers.",
    ),
)

READER = {True: "This model has a read-out and no class token.", False: "This model has a class token and no read-out."}


def build() -> gr.HTML:
    """The card that opens where a word is touched; its value are the chosen model's facts."""
    told = {"entries": [entry._asdict() for entry in ENTRIES]}
    return pictures.html("glossary", HERE / "glossary", told)


def facts(key: str | None) -> dict[str, str]:
    """What each word is in a model; nothing for one without attention."""
    model = models.find(key) if key else None
    return here(model) if isinstance(model, ViT) else {}


def here(model: ViT) -> dict[str, str]:
    """Each word's sentence about this model."""
    h, w = model.grid_size
    width, heads = model.config["embed_dim"], model.num_heads
    known = {"patches": h * w, "patch": model.config["patch_size"], "tokens": model.num_tokens, "width": width}
    known |= {"heads": heads, "d": width // heads, "layers": len(model.blocks), "classes": len(model.classes)}
    known |= {"most": math.log(model.num_tokens), "reader": READER[model.has_readout]}
    return {entry.name: entry.here.format(**known) for entry in ENTRIES}
