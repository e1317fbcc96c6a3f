"""The Classify tab: pictures in, and what the model says of them."""

from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.data.changes import LIMITS
from vit.live import models, uploads
from vit.ui import pictures, poke, theme
from vit.ui.classify import api, gallery, many, testset

HERE = Path(__file__).parent
LARGEST = "20mb"  # of a file that is sent, as launch() takes it
SENDING = f"PNG, JPEG, WebP, HEIC and others, up to {LARGEST[:-2]} MB. It is deleted within {uploads.MINUTES} minutes."


class PictureInput(gr.Image):
    """Hands on the file as it came: what decodes it is vit.data.pictures alone, in a process of its own."""

    def preprocess(self, payload):
        return payload.path if payload else None

    def get_block_name(self) -> str:
        return "image"


class Tab(NamedTuple):
    model: gr.Dropdown
    input: PictureInput
    gallery: gr.HTML
    result: gr.HTML


def build() -> Tab:
    """Lays out the tab and names its endpoints."""
    with gr.Row(elem_classes="v-split c-split"):
        with gr.Column(scale=4, min_width=300, elem_classes="c-choose"):
            model = pictures.model_list()
            sent = PictureInput(
                type="filepath",
                image_mode=None,
                sources=["upload", "clipboard", "webcam"],
                label="Your picture",
                show_label=False,
                height=132,
                elem_id="picture-input",
                placeholder="Drop, paste or take a picture",
            )
            pictures.html(value=f'<p class="v-note">{SENDING}</p>', elem_classes="c-sending")
            events = {"pick": "pick"}
            shown = pictures.html("gallery", HERE / "gallery", events, server_functions=[gallery.browse])
            with gr.Accordion("Many pictures", open=False, elem_classes="c-many"):
                many.build(model)
        with gr.Column(scale=5, min_width=300, elem_classes="c-answer"):
            colors = theme.color_map()
            told = {"colors": colors, "events": {"pick": "pick", "frame": "frame", "inside": "inside"}}
            told["changes"] = [limit._asdict() for limit in LIMITS.values()]
            asked = [
                poke.poked,
                poke.occlusion,
                testset.measured,
                testset.cell,
                testset.export,
                testset.beside,
                testset.against,
            ]
            result = pictures.html("prediction", HERE / "view", told, server_functions=asked)
    api.build()
    return Tab(model, sent, shown, result)


def no_model() -> dict:
    return {"message": models.ADVICE}
