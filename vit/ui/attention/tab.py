"""The Attention tab: every map of a picture, drawn in the page and looked into from all sides."""

from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.figures import COLORMAP
from vit.live import models
from vit.ui import heads_off, pictures, theme
from vit.ui.attention import api as endpoints
from vit.ui.attention import features, probes, resolution, rows, studies
from vit.ui.pictures import Picker

HERE = Path(__file__).parent
SERVED = [
    heads_off.without_heads,
    *probes.PROBES,
    features.features,
    resolution.resolution,
    rows.row,
]  # what the page's script asks for, by these names
COLORMAPS = (COLORMAP, "viridis", "magma", "cividis", "gray")  # perceptually uniform, all of them


class Tab(NamedTuple):
    picker: Picker
    view: gr.HTML


def build() -> Tab:
    """Lays out the tab and names its endpoints."""
    colors = {name: theme.color_map(name) for name in COLORMAPS}
    with gr.Row(elem_classes="v-split"):
        with gr.Column(scale=4, min_width=300, elem_classes="x-picker"):
            picker = pictures.picker()
        with gr.Column(scale=10, min_width=300):
            told = {"colors": colors, "events": {"resize": "resize"}}
            view = pictures.html("attention", HERE / "view", told, server_functions=SERVED)
            studies.build(picker.model)
    endpoints.build()
    return Tab(picker, view)


def no_model() -> dict:
    return {"message": models.ADVICE}


def no_attention() -> dict:
    return {"message": models.NO_ATTENTION}
