"""The Classify tab for programs: plain functions with named endpoints."""

import gradio as gr

from vit.live import answers, models
from vit.report.comparison import compare as compared
from vit.ui.analysis import ENDPOINT, predict
from vit.ui.checks import checked
from vit.ui.classify import testset
from vit.ui.classify.many import MOST, chosen, limited
from vit.ui.endpoints import MODEL, unseen
from vit.ui.errors import BadInput, as_bad_input

WHOLE = {"concurrency_id": "testset", "concurrency_limit": 1}  # minutes of work on the first call for a model


@checked
def classify(image: str | None, model: str | None) -> dict[str, float]:
    """Names what is in a picture: the probability of each class, for a file and a model's name or a run's id."""
    if not image:
        raise BadInput("There is no picture; send one as the first argument.")
    chosen(model)
    prediction = predict(model or models.default(), ("upload", image))
    return dict(zip(prediction.model.classes, prediction.probabilities.tolist(), strict=True))


@checked
def classify_batch(images: list[str] | None, model: str | None) -> list[dict]:
    """Of each picture, and of each in a zip: file, label, confidence and confidences of all classes, or the error."""
    network, said = chosen(model), []
    for found in limited(network, images or []):
        if found.probabilities is None:
            said.append({"file": found.name, "error": found.reason})
            continue
        shares = dict(zip(network.classes, found.probabilities.tolist(), strict=True))
        label = max(shares, key=shares.__getitem__)
        said.append({"file": found.name, "label": label, "confidence": shares[label], "confidences": shares})
    return said


@checked
def evaluate(model: str | None) -> dict:
    """A model on its whole test set: accuracy with its interval, per class, confusion, calibration."""
    said = _whole(model)
    found = testset.numbers(said)
    return {
        **found,
        "classes": list(said.model.classes),
        "per_class": dict(zip(said.model.classes, found["per_class"])),
    }


@checked
def compare(model: str | None, other: str | None) -> dict:
    """Two models on the same test set: accuracies, on how many pictures only one is right, McNemar's exact test."""
    pair = testset.pair(model or models.default(), other or models.default())
    return vars(compared(*(testset.right(_whole(key)) for key in (model, other)))) | {"dataset": pair[0].test.name}


def _whole(key: str | None) -> answers.Answers:
    """All of a model's answers, once they are there. Raises BadInput."""
    with as_bad_input():
        said = answers.ask(key or models.default())
        said.wait()
    return said


def build() -> None:
    """Names the endpoints, within a gr.Blocks."""
    with unseen():
        model, other = gr.Textbox(label="model"), gr.Textbox(label="other")
        label = gr.Label(num_top_classes=None, label="prediction")
        numbers, rows = gr.JSON(label="numbers"), gr.JSON(label="answers")
        gr.Button().click(
            classify,
            [gr.File(label="image"), model],
            label,
            api_name="classify",
            **ENDPOINT,
            api_description=f"Classify a picture of any size. {MODEL} Returns the label and the confidence of every "
            "class.",
        )
        gr.Button().click(
            classify_batch,
            [gr.File(label="images", file_count="multiple"), model],
            rows,
            api_name="classify_batch",
            concurrency_id="many",
            api_description=f"Classify up to {MOST:,} pictures, or a zip of them. {MODEL} Returns for each file its "
            "label, its confidence and those of all classes, or the error of one that can't be read.",
        )
        gr.Button().click(
            evaluate,
            model,
            numbers,
            api_name="evaluate",
            **WHOLE,
            api_description=f"Measure a model on its whole test set; takes minutes the first time. {MODEL} Returns "
            "accuracy with its 95% interval, loss, accuracy per class, confusion and calibration.",
        )
        gr.Button().click(
            compare,
            [model, other],
            numbers,
            api_name="compare",
            **WHOLE,
            api_description=f"Compare two models on the same test set; takes minutes the first time. {MODEL} other: "
            "the same, of the second. Returns both accuracies, on how many pictures only one is right, and the p-value "
            "of McNemar's exact test.",
        )
