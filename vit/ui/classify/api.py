"""The Classify tab for programs: plain functions with named endpoints."""

import gradio as gr

from vit.live import models
from vit.ui.analysis import ENDPOINT, predict
from vit.ui.checks import checked
from vit.ui.errors import BadInput


@checked
def classify(image: str | None, model: str | None) -> dict[str, float]:
    """Names what is in a picture: the probability of each class, for a file and a model's name or a run's id."""
    if not image:
        raise BadInput("There is no picture; send one as the first argument.")
    prediction = predict(model or models.default(), ("upload", image))
    return dict(zip(prediction.model.classes, prediction.probabilities.tolist(), strict=True))


def build() -> None:
    """Names the endpoints, within a gr.Blocks."""
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
