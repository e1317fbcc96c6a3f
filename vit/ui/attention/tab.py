"""The Attention tab: every map of a picture, drawn in the page and looked into from all sides."""

import base64
from pathlib import Path
from typing import NamedTuple

import gradio as gr
import numpy as np
from matplotlib import colormaps

from vit.figures import COLORMAP
from vit.live import models
from vit.ui import pictures
from vit.ui.attention import api as endpoints
from vit.ui.attention import probes, studies
from vit.ui.attention import view as explorer
from vit.ui.pictures import Look, Picker, Picture

HERE = Path(__file__).parent
COLORMAPS = (COLORMAP, "viridis", "magma", "cividis", "gray")  # perceptually uniform, all of them


class Tab(NamedTuple):
    picker: Picker
    view: gr.HTML


def build() -> Tab:
    """Lays out the tab and names its endpoints."""
    colors = {name: base64.b64encode(_colors(name)).decode() for name in COLORMAPS}
    with gr.Row(elem_classes="v-split"):
        with gr.Column(scale=3, min_width=270, elem_classes="x-picker"):
            picker = pictures.picker()
        with gr.Column(scale=10, min_width=300):
            view = pictures.html("attention", HERE / "view", {"colors": colors}, server_functions=probes.PROBES)
            studies.build(picker.model)
    endpoints.build()
    return Tab(picker, view)


def payload(seen: Look, key: str, picture: Picture) -> dict:
    return explorer.payload(seen, key, picture)


def no_model() -> dict:
    return {"message": models.ADVICE}


def _colors(name: str) -> bytes:
    """256 RGB triples from weight 0 to the top of the scale."""
    return np.round(colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8).tobytes()
