"""The Classify tab: what the model says of a picture, and whether it is right."""

from html import escape
from typing import NamedTuple

import gradio as gr

from vit.interpret.analysis import Prediction
from vit.live import models
from vit.ui import pictures, theme
from vit.ui.analysis import ENDPOINT, predict
from vit.ui.checks import checked
from vit.ui.errors import BadInput
from vit.ui.pictures import Picker

TOP = 5


class Tab(NamedTuple):
    picker: Picker
    result: gr.HTML


@checked
def classify(image: str | None, model: str | None) -> dict[str, float]:
    """Names what is in a picture: the probability of each class, for a file and a model's name or a run's id."""
    if not image:
        raise BadInput("There is no picture; send one as the first argument.")
    prediction = predict(model or models.default(), ("upload", image))
    try:
        models.named(prediction.model)
    except ValueError as error:
        raise BadInput(error) from error
    return dict(zip(prediction.model.classes, prediction.probabilities.tolist(), strict=True))


def build() -> Tab:
    """Lays out the tab and names its endpoint."""
    with gr.Row(elem_classes="v-split"):
        with gr.Column(scale=4, min_width=300):
            picker = pictures.picker()
        with gr.Column(scale=5, min_width=300):
            result = pictures.html("prediction")
    with gr.Column(visible=False):
        inputs = [gr.File(label="image"), gr.Textbox(label="model")]
        label = gr.Label(num_top_classes=None, label="prediction")
        gr.Button().click(
            classify,
            inputs,
            label,
            api_name="classify",
            **ENDPOINT,
            api_description="Classify a picture of any size. model: a checkpoint's name such as 'shapes', the id of a "
            "finished run, or '' for the default. Returns the label and the confidence of every class.",
        )
    return Tab(picker, result)


def draw(prediction: Prediction) -> str:
    """The picture as the model sees it, the verdict, and the likeliest classes as bars."""
    if models.headless(prediction.model):
        return f'<p class="v-message">{models.HEADLESS}</p>'
    model, colors = prediction.model, theme.class_colors(len(prediction.model.classes))
    best = prediction.probabilities.topk(min(TOP, len(model.classes)))
    rows = "".join(
        f'<li><span class="v-name">{escape(model.classes[i])}</span>'
        f'<span class="v-bar"><i style="width:{100 * p:.2f}%;background:{colors[i]}"></i></span>'
        f'<span class="v-percent">{100 * p:.1f}%</span></li>'
        for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    )
    size = model.config["img_size"]
    return f"""<div class="v-result">
<figure class="v-seen"><img src="{pictures.data_uri(prediction.pixels)}" alt="The picture as the model sees it">
<figcaption>What the model sees: {size} × {size} pixels</figcaption></figure>
<div class="v-says">{_verdict(prediction, model.classes[best.indices[0]])}<ol class="v-bars">{rows}</ol></div></div>"""


def _verdict(prediction: Prediction, said: str) -> str:
    if prediction.truth is None:
        told = '<span class="v-quiet">True class not known</span>'
    elif prediction.truth not in prediction.model.classes:
        told = f'<span class="v-quiet">It is a {escape(prediction.truth)}, a class this model never saw</span>'
    elif prediction.truth == said:
        told = '<span class="v-right">✓ Right</span>'
    else:
        told = f'<span class="v-wrong">✗ Wrong: it is <b>{escape(prediction.truth)}</b></span>'
    return f'<p class="v-verdict"><b>{escape(said)}</b>{told}</p>'


def no_model() -> str:
    return f'<p class="v-message">{models.ADVICE}</p>'
