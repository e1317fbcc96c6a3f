"""The Attention tab's analysis for programs: plain functions with named endpoints."""

import io

import gradio as gr
import torch
from PIL import Image

from vit.figures import attention_figure, encoded
from vit.interpret import cover as covering
from vit.interpret import describe, probing
from vit.interpret.analysis import Analysis
from vit.interpret.statistics import TABLE
from vit.live import models
from vit.model import ViT
from vit.ui.analysis import ENDPOINT, analyze
from vit.ui.checks import checked, one_of, shortened
from vit.ui.endpoints import MODEL, unseen
from vit.ui.errors import BadInput, as_bad_input


@checked
def attention(
    image: str | None,
    model: str | None,
    layer: float,
    head: float,
    query: str = "",
    mode: str = "heads",
    figure: bool = False,
) -> tuple[dict, Image.Image | None]:
    """A token's attention to each patch, as numbers; and as the figure input / attention / overlay, if asked for."""
    analysis = _analysis(image, model)
    depth, heads, has_readout = analysis.depth, analysis.model.num_heads, analysis.model.has_readout
    layer, head = _whole(layer, "layer", 1, depth), _whole(head, "head", 0, heads, "; 0 is their mean")
    if one_of("mode", mode, ("heads", "rollout")) == "rollout" and head:
        raise BadInput(f"A rollout is of all heads, so head does nothing with it, got {head}; give 0.")
    patch = _patch(query, analysis.model)
    with as_bad_input():
        grid = analysis.grid(layer - 1, head - 1 if head else None, patch, mode == "rollout")
    which = "rollout" if mode == "rollout" else f"head {head}" if head else "mean of heads"
    place = "read-out" if has_readout and layer == depth else f"layer {layer} of {depth}"
    title = f"{models.name(analysis.model)}, {place}, {which}"
    asked = "attention of " + (f"patch {query}" if query else describe.asker_names(depth, has_readout)[layer - 1])
    numbers = {"layer": layer, "head": head, "query": query, "mode": mode, "grid": grid.tolist()}
    return numbers, _figure(analysis, grid, title, asked) if figure else None


@checked
def attention_statistics(image: str | None, model: str | None) -> dict:
    """Every head's numbers as rows of layers, what uniform attention has, and first against last third of layers."""
    return _analysis(image, model).report()


def _named(image: str | None, model: str | None) -> Analysis:
    """Of a model with a class head. Raises BadInput for one without."""
    analysis = _analysis(image, model)
    with as_bad_input():
        models.named(analysis.model)
    return analysis


@checked
def relevance(
    image: str | None, model: str | None, class_name: str, figure: bool = False
) -> tuple[dict, Image.Image | None]:
    """How much each patch speaks for a class (Chefer et al. 2021), as numbers; and as a figure, if asked for."""
    analysis = _named(image, model)
    if class_name not in analysis.model.classes:
        known = ", ".join(analysis.model.classes)
        raise BadInput(f"This model knows no class {shortened(class_name)}; choose one of {known}.")
    c = analysis.model.classes.index(class_name)
    grid = analysis.relevance([c])[0]
    said = {"total": grid.sum().item(), "sentence": analysis.describe_relevance(c)}
    title, name = f"{models.name(analysis.model)}: why {class_name}", f"relevance for {class_name}"
    drawn = _figure(analysis, grid, title, name) if figure else None
    return {"class": class_name, "grid": grid.tolist(), **said}, drawn


@checked
def cover(image: str | None, model: str | None, grid: list[list[float]]) -> dict:
    """Points of the likeliest class's probability that covering the brightest fifth of a map's patches costs."""
    analysis = _named(image, model)
    h, w = analysis.model.grid_size
    if [len(row) for row in grid] != [w] * h:
        raise BadInput(f"grid must be {h} rows of {w} numbers, got {shortened(grid)}; send one number for each patch.")
    weights = torch.tensor(grid, dtype=torch.float32).view(1, 1, h * w)
    drop = covering.points(analysis.model, analysis.images, weights, int(analysis.probabilities.argmax()))
    return {**drop, "class": analysis.model.classes[drop["class"]]}


@checked
def logit_lens(image: str | None, model: str | None) -> dict:
    """What the classifier would say after each layer, of the class token and of each patch."""
    analysis = _named(image, model)
    cls, patches = analysis.lens
    names = analysis.model.classes
    best = patches.argmax(-1).unflatten(1, tuple(analysis.model.grid_size)).tolist()
    return {
        "class_token": [dict(zip(names, row)) for row in cls.tolist()],
        "patches": [[[names[c] for c in row] for row in grid] for grid in best],
    }


@checked
def position_similarity(model: str | None) -> list:
    """Cosine of each patch's position embedding with every other's: grids of grids, (h, w, h, w)."""
    vit = _model(model)
    return probing.position_similarity(vit).unflatten(0, tuple(vit.grid_size)).tolist()


@checked
def without_heads(image: str | None, model: str | None, off: str) -> dict[str, float]:
    """The probability of each class with some heads switched off, given as layer.head pairs from 1: "1.2, 3.1"."""
    analysis = _named(image, model)
    depth, heads = analysis.depth, analysis.model.num_heads
    pairs = []
    for pair in off.replace(",", " ").split():
        layer, _, head = pair.partition(".")
        pairs.append((_whole(layer, "layer", 1, depth) - 1, _whole(head, "head", 1, heads) - 1))
    return dict(zip(analysis.model.classes, analysis.without_heads(pairs).tolist()))


def build() -> None:
    """Names the endpoints; nothing of this is seen on the page."""
    with unseen():
        image, model = gr.File(label="image"), gr.Textbox(label="model")
        grid, drawn = gr.JSON(label="weights"), gr.Image(format="png", label="figure")
        figure = gr.Checkbox(False, label="figure")
        layer, head = gr.Number(1, label="layer"), gr.Number(0, label="head")
        query, mode = gr.Textbox("", label="query"), gr.Textbox("heads", label="mode")
        name(
            attention,
            [image, model, layer, head, query, mode, figure],
            [grid, drawn],
            f"Where a token looks. {MODEL} layer: from 1; head: from 1, or 0 for the mean of heads; query: '' for the "
            "class token (a model without one has a read-out, its last layer, and before it the mean of patches), or a "
            "patch as 'row,column' from 1; mode: heads or rollout. Returns the weights as a grid of "
            "rows, and with figure=true a picture of input, attention and overlay.",
        )
        name(
            attention_statistics,
            [image, model],
            gr.JSON(label="statistics"),
            f"Each head's numbers in rows of layers, null where no row of it counts, what uniform attention has, "
            f"and the first third of the layers against the last. {MODEL} "
            + "; ".join(f"{row.name}: {row.meaning}{row.unit and f', {row.unit}'}" for row in TABLE)
            + ". Shares are in [0, 1].",
        )
        name(
            relevance,
            [image, model, gr.Textbox(label="class"), figure],
            [grid, drawn],
            f"How much each patch speaks for a class (Chefer et al. 2021), and the total. {MODEL} class: one that the "
            "model knows. With figure=true also a picture of it.",
        )
        name(
            without_heads,
            [image, model, gr.Textbox("", label="off")],
            gr.JSON(label="probabilities"),
            f"Each class's probability with heads switched off. {MODEL} off: layer.head pairs from 1, as '1.2, 3.1'.",
        )
        name(
            cover,
            [image, model, gr.JSON(label="grid")],
            gr.JSON(label="points"),
            f"What covering a map's brightest fifth of patches with the data's mean costs the likeliest class, in "
            f"points of probability, and the mean of 5 random fifths. {MODEL} grid: the map's rows.",
        )
        name(
            logit_lens,
            [image, model],
            gr.JSON(label="lens"),
            f"What the classifier would say after each layer: each class's probability for the "
            f"class token, and the likeliest class for each patch. {MODEL}",
        )
        name(
            position_similarity,
            [model],
            gr.JSON(label="cosines"),
            f"Cosine of each patch's position embedding with every other's, as a grid of grids. {MODEL}",
        )


def name(function, inputs, outputs, description: str) -> None:
    """An endpoint by the function's own name."""
    about = {"api_name": function.__name__, "api_description": description}
    gr.Button().click(function, inputs, outputs, **about, **ENDPOINT)


def _analysis(image: str | None, model: str | None) -> Analysis:
    if not image:
        raise BadInput("There is no picture; send one as the first argument.")
    return analyze(model or models.default(), ("upload", image))


def _model(key: str | None) -> ViT:
    with as_bad_input():
        return models.find_vit(key or models.default())


def _whole(value: object, what: str, low: int, high: int, more: str = "") -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not low <= number <= high or number != int(number):  # NaN and infinity are in no range
        raise BadInput(
            f"This model has {what}s {max(low, 1)} to {high}, got {shortened(value)}; choose one of them{more}."
        )
    return int(number)


def _patch(query: str, model) -> int | None:
    """The patch of a query 'row,column' from 1, row by row from 0; None of '', which is what is read."""
    if query in ("", None):
        return None
    h, w = model.grid_size
    parts = query.split(",")
    if len(parts) != 2:
        expected = "'row,column' such as '3,5', or '' for the class token or read-out"
        raise BadInput(f"A query is {expected}, got {shortened(query)}.")
    row, column = _whole(parts[0], "row", 1, h), _whole(parts[1], "column", 1, w)
    return (row - 1) * w + column - 1


def _figure(analysis: Analysis, grid: torch.Tensor, title: str, name: str) -> Image.Image:
    figure = attention_figure(analysis.pixels.permute(1, 2, 0).numpy(), grid.numpy(), title, name=name)
    return Image.open(io.BytesIO(encoded(figure, "png")))
