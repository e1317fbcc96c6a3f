"""The Attention tab: where the class token looks, layer by layer and head by head, drawn in the page."""

import base64
import io
from typing import NamedTuple

import gradio as gr
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from PIL import Image

from vit.attention import cls_attention
from vit.figures import COLORMAP, attention_figure
from vit.ui import models, pictures
from vit.ui.errors import BadInput
from vit.ui.pictures import Look, Picker

ROBUST = 0.99  # quantile of all weights at which the shared scale ends: one lone peak must not darken every map


class Tab(NamedTuple):
    picker: Picker
    view: gr.HTML


def attention(image: str, model: str, layer: float, head: float) -> tuple[dict, Image.Image]:
    """The class token's attention to each patch, as numbers and as the figure input / attention / overlay."""
    if not image:
        raise BadInput("There is no picture; send one as the first argument.")
    seen = pictures.look(model or models.default(), ("upload", image))
    depth, heads = seen.maps.shape[1:3]
    if layer != int(layer) or not 1 <= layer <= depth:
        raise BadInput(f"This model has layers 1 to {depth}, got {layer:g}; choose one of them.")
    if head != int(head) or not 0 <= head <= heads:
        raise BadInput(f"This model has heads 1 to {heads}, got {head:g}; choose one of them, or 0 for their mean.")
    layer, head = int(layer), int(head)
    grid = cls_attention(
        seen.maps, seen.model.grid_size, seen.model.num_prefix_tokens, layer - 1, head - 1 if head else None
    )[0]
    which = f"head {head}" if head else "mean of heads"
    title = f"{models.name(seen.model)}, layer {layer} of {depth}, {which}"
    figure = attention_figure(seen.pixels.permute(1, 2, 0).numpy(), grid.numpy(), title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return {"layer": layer, "head": head, "grid": grid.tolist()}, Image.open(buffer)


def build() -> Tab:
    """Lays out the tab and names its endpoint."""
    with gr.Row(elem_classes="v-split"):
        with gr.Column(scale=4, min_width=300):
            picker = pictures.picker()
        with gr.Column(scale=5, min_width=300):
            view = pictures.html("attention", "attention", colours=base64.b64encode(_colours()).decode())
    with gr.Column(visible=False):
        inputs = [gr.File(label="image"), gr.Textbox(label="model")]
        inputs += [gr.Number(1, label="layer"), gr.Number(0, label="head")]
        gr.Button().click(
            attention,
            inputs,
            [gr.JSON(label="attention"), gr.Image(format="png", label="figure")],
            api_name="attention",
            api_description="Where the class token looks. model: a checkpoint's name, the id of a finished run, or '' "
            "for the default; layer: from 1; head: from 1, or 0 for the mean of heads. Returns the weights as a grid "
            "of rows, and a figure with input, attention and overlay.",
        )
    return Tab(picker, view)


def payload(seen: Look) -> dict:
    """All the page needs to draw any layer and head, each map as bytes of its own largest weight.

    A byte a patch: 12 layers of 12 heads on a 14 x 14 grid are 38 kB of base64.
    """
    model = seen.model
    h, w = model.grid_size
    maps = seen.maps[0, :, :, 0, model.num_prefix_tokens :]  # (L, heads, h*w), the class token's rows
    peaks = maps.amax(-1).clamp_min(1e-9)
    data = (maps / peaks[..., None] * 255).round().to(torch.uint8)
    mask = None if seen.mask is None else F.adaptive_avg_pool2d(seen.mask[None].float(), (h, w)).flatten().tolist()
    return {
        "shape": [*maps.shape[:2], h, w],
        "peaks": peaks.flatten().tolist(),
        "maps": base64.b64encode(data.numpy().tobytes()).decode(),
        "picture": pictures.data_uri(seen.pixels),
        "object": mask,
        "top": max(maps.quantile(ROBUST).item(), 2 / (h * w)),
    }


def no_model() -> dict:
    return {"message": models.ADVICE}


def _colours() -> bytes:
    """256 RGB triples from weight 0 to the top of the scale."""
    return np.round(colormaps[COLORMAP](np.arange(256))[:, :3] * 255).astype(np.uint8).tobytes()
