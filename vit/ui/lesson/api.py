"""The lesson for programs: the numbers of a step as one endpoint."""

import gradio as gr

from vit.interpret.analysis import Analysis
from vit.interpret.lesson import asking
from vit.interpret.statistics import listed
from vit.live import models
from vit.ui.analysis import ENDPOINT, analyze
from vit.ui.checks import checked, one_of, whole
from vit.ui.endpoints import MODEL, unseen
from vit.ui.errors import BadInput, as_bad_input
from vit.ui.lesson import asked, numbers
from vit.ui.lesson.steps import steps

STEPS = ("patches", "places", "asking", "heads", "blocks", "answer", "learning")


@checked
def lesson(
    image: str | None, model: str | None, step: str, layer: float = 1, head: float = 1, token: float = 1
) -> dict:
    """The numbers that a step of the lesson draws, as lists by name, with its words, its formula and its code."""
    if not image:
        raise BadInput("There is no picture; send one as the first argument.")
    name = one_of("step", step, STEPS)
    analysis = analyze(model or models.default(), ("upload", image))
    at = whole("layer", layer, 1, analysis.depth) - 1
    of = whole("head", head, 1, analysis.model.num_heads) - 1
    asks = whole("token", token, 1, analysis.model.num_tokens) - 1
    told = steps(analysis.model)[STEPS.index(name)]
    with as_bad_input():
        found = _numbers(analysis, name, at, of, asks)
    about = {"title": told.title, "words": told.words, "formula": told.formula}
    return {**about, "code": [line._asdict() for line in told.code], "numbers": found}


def _numbers(analysis: Analysis, step: str, layer: int, head: int, token: int) -> dict:
    if step == "learning":
        return asked.learned(analysis)
    if step == "asking":
        readout = layer == len(analysis.record.layers)
        return _listed(vars(asking(analysis.record, layer, head, 0 if readout else token)))
    told = {
        "patches": lambda: numbers.embedding(analysis),
        "places": lambda: {"cosines": numbers.places(analysis), **numbers.shuffled(analysis, numbers.SHUFFLE)},
        "heads": lambda: {**numbers.layer(analysis, layer), "each_head_off": numbers.each_head_off(analysis, layer)},
        "blocks": lambda: numbers.blocks(analysis),
        "answer": lambda: {**numbers.answer(analysis), **numbers.explanations(analysis)},
    }[step]()
    more = {"costs": numbers.costs(analysis)} if step == "answer" else {}
    return {**_listed(told), **more}


def _listed(arrays: dict) -> dict:
    """As JSON has it: null where there is no number."""
    return {name: listed(array) for name, array in arrays.items()}


def build() -> None:
    """Names the endpoint; nothing of this is seen on the page."""
    with unseen():
        inputs = [gr.File(label="image"), gr.Textbox(label="model"), gr.Textbox("asking", label="step")]
        inputs += [gr.Number(1, label=name) for name in ("layer", "head", "token")]
        gr.Button().click(
            lesson,
            inputs,
            gr.JSON(label="step"),
            api_name="lesson",
            api_description=f"The numbers of a step of the lesson. {MODEL} step: {', '.join(STEPS)}. layer, head and "
            "token count from 1, prefix tokens before the patches, a read-out as one more layer. Returns title, words, "
            "formula, code and numbers, lists by name, null where there is no number.",
            **ENDPOINT,
        )
