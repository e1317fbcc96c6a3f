"""The How it works tab: a lesson in seven steps, whose numbers are those of the chosen picture and model."""

from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.data.changes import LIMITS
from vit.live import models
from vit.ui import heads_off, pictures, poke, theme
from vit.ui.lesson import api, asked, experiments

HERE = Path(__file__).parent
TITLE = "How it works"
LACKS = "The lesson is about patches, tokens and attention, and this model has none of them."


class Tab(NamedTuple):
    view: gr.HTML


def build() -> Tab:
    """Lays out the tab and names its endpoint."""
    told = {
        "colors": theme.color_map(),
        "changes": [limit._asdict() for limit in LIMITS.values()],
        "experiments": experiments.told(),
        "events": {"fill": "fill"},
    }
    served = [*asked.ASKED, heads_off.without_heads, poke.poked, poke.occlusion]
    view = pictures.html("lesson", HERE / "view", told, server_functions=served)
    api.build()
    return Tab(view)


def no_model() -> dict:
    return {"message": models.ADVICE}


def no_attention() -> dict:
    """For a model of convolutions."""
    return {"message": f"{LACKS} {models.NO_ATTENTION}"}
