"""The Attention tab's analysis for programs: plain functions with named endpoints."""

import io

import gradio as gr
import torch
from PIL import Image

from vit.figures import attention_figure
from vit.interpret import probing
from vit.interpret.attention import early_against_late, rollout
from vit.live import models
from vit.model import ViT
from vit.ui import pictures
from vit.ui.attention import view as explorer
from vit.ui.checks import checked
from vit.ui.errors import BadInput
from vit.ui.pictures import Look

MODEL = "model: a checkpoint's name, the id of a finished run, or '' for the default."


@checked
def attention(
    image: str | None, model: str | None, layer: float, head: float, query: str = "", mode: str = "heads"
) -> tuple:
    """A token's attention to each patch, as numbers and as the figure input / attention / overlay."""
    seen = _look(image, model)
    depth, heads = seen.maps.shape[1:3]
    layer, head = _whole(layer, "layer", 1, depth), _whole(head, "head", 0, heads, "; 0 is their mean")
    if mode not in ("heads", "rollout"):
        raise BadInput(f"mode must be heads or rollout, got {mode!r}.")
    maps = rollout(seen.maps)[:, :, None] if mode == "rollout" else seen.maps
    chosen = None if mode == "rollout" or not head else head - 1
    token = _token(query, seen.model)
    row = maps[0, layer - 1].mean(0)[token] if chosen is None else maps[0, layer - 1, chosen, token]
    grid = row[seen.model.num_prefix_tokens :].unflatten(0, seen.model.grid_size)
    which = "rollout" if mode == "rollout" else f"head {head}" if head else "mean of heads"
    name = "attention of " + (f"patch {query}" if query else "the class token")
    title = f"{models.name(seen.model)}, layer {layer} of {depth}, {which}"
    figure = attention_figure(seen.pixels.permute(1, 2, 0).numpy(), grid.numpy(), title, name=name)
    return {"layer": layer, "head": head, "query": query, "mode": mode, "grid": grid.tolist()}, _png(figure)


@checked
def attention_statistics(image: str | None, model: str | None) -> dict:
    """Every head's numbers as rows of layers, what uniform attention has, and first against last third of layers."""
    seen = _look(image, model)
    objects, region = explorer.object_of(seen)
    heads = seen.maps.shape[2]
    statistics = explorer.heads_only(explorer.view_statistics(seen, objects), heads)
    names = ("distance", "entropy", "cls_entropy", "attention_to_cls", "cls_to_itself", "object_share")
    references = ("uniform_distance", "max_entropy", "uniform_share", "object_area")
    compared = early_against_late(statistics)
    return {
        **{name: getattr(statistics, name).tolist() for name in names},
        **{name: getattr(statistics, name) for name in references},
        "object": region,
        "layers": compared.layers,
        "early": compared.early,
        "late": compared.late,
        "sentence": explorer.name_region(compared.sentence, region),
    }


@checked
def relevance(image: str | None, model: str | None, class_name: str) -> tuple[dict, Image.Image]:
    """How much each patch speaks for a class, as numbers and as a figure. Chefer et al. 2021."""
    seen = _look(image, model)
    if class_name not in seen.model.classes:
        raise BadInput(f"This model knows no class {class_name!r}; choose one of {', '.join(seen.model.classes)}.")
    images = seen.model.normalize(seen.pixels)[None]
    grid = probing.relevance(seen.model, images, [seen.model.classes.index(class_name)])[0, 0]
    title, name = f"{models.name(seen.model)}: why {class_name}", f"relevance for {class_name}"
    figure = attention_figure(seen.pixels.permute(1, 2, 0).numpy(), grid.numpy(), title, name=name)
    return {"class": class_name, "grid": grid.tolist()}, _png(figure)


@checked
def logit_lens(image: str | None, model: str | None) -> dict:
    """What the classifier would say after the embedding and each layer, of the class token and of each patch."""
    seen = _look(image, model)
    cls, patches = probing.logit_lens(seen.model, seen.model.normalize(seen.pixels)[None])
    names = seen.model.classes
    best = patches[0].argmax(-1).unflatten(1, tuple(seen.model.grid_size)).tolist()
    return {
        "class_token": [dict(zip(names, row)) for row in seen.model.probabilities(cls[0]).tolist()],
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
    seen = _look(image, model)
    mask = torch.ones(len(seen.model.blocks), seen.model.num_heads)
    for pair in off.replace(",", " ").split():
        layer, _, head = pair.partition(".")
        mask[_whole(layer, "layer", 1, mask.shape[0]) - 1, _whole(head, "head", 1, mask.shape[1]) - 1] = 0
    with torch.inference_mode():
        images = seen.model.normalize(seen.pixels)[None]
        probabilities = seen.model.probabilities(seen.model(images, head_mask=mask)[0])
    return dict(zip(seen.model.classes, probabilities.tolist()))


def build() -> None:
    """Names the endpoints; nothing of this is seen on the page."""
    with gr.Column(visible=False):
        image, model = gr.File(label="image"), gr.Textbox(label="model")
        grid, figure = gr.JSON(label="weights"), gr.Image(format="png", label="figure")
        layer, head = gr.Number(1, label="layer"), gr.Number(0, label="head")
        query, mode = gr.Textbox("", label="query"), gr.Textbox("heads", label="mode")
        name(
            attention,
            [image, model, layer, head, query, mode],
            [grid, figure],
            f"Where a token looks. {MODEL} layer: from 1; head: from 1, or 0 for the mean of heads; query: '' for the "
            "class token, or a patch as 'row,column' from 1; mode: heads or rollout. Returns the weights as a grid of "
            "rows, and a figure with input, attention and overlay.",
        )
        name(
            attention_statistics,
            [image, model],
            gr.JSON(label="statistics"),
            f"Each head's attention distance (pixels), entropy (nats), attention on the class token and share on the "
            f"central region, in rows of layers, and the first third of the layers against the last. {MODEL}",
        )
        name(
            relevance,
            [image, model, gr.Textbox(label="class")],
            [grid, figure],
            f"How much each patch speaks for a class (Chefer et al. 2021). {MODEL} class: one that the model knows.",
        )
        name(
            without_heads,
            [image, model, gr.Textbox("", label="off")],
            gr.JSON(label="probabilities"),
            f"Each class's probability with heads switched off. {MODEL} off: layer.head pairs from 1, as '1.2, 3.1'.",
        )
        name(
            logit_lens,
            [image, model],
            gr.JSON(label="lens"),
            f"What the classifier would say after the embedding and after each layer: each class's probability for the "
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
    gr.Button().click(function, inputs, outputs, api_name=function.__name__, api_description=description)


def _look(image: str | None, model: str | None) -> Look:
    if not image:
        raise BadInput("There is no picture; send one as the first argument.")
    return pictures.look(model or models.default(), ("upload", image))


def _model(key: str | None) -> ViT:
    try:
        return models.find(key or models.default())
    except ValueError as error:
        raise BadInput(error) from error


def _whole(value: object, what: str, low: int, high: int, more: str = "") -> int:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not number.is_integer() or not low <= number <= high:
        raise BadInput(f"This model has {what}s {max(low, 1)} to {high}, got {value}; choose one of them{more}.")
    return int(number)


def _token(query: str, model) -> int:
    """The token of a query: '' is the class token, 'row,column' from 1 a patch."""
    if not query:
        return 0
    h, w = model.grid_size
    parts = query.split(",")
    if len(parts) != 2:
        raise BadInput(f"A query is 'row,column' such as '3,5', or '' for the class token, got {query!r}.")
    row, column = _whole(parts[0], "row", 1, h), _whole(parts[1], "column", 1, w)
    return model.num_prefix_tokens + (row - 1) * w + column - 1


def _png(figure) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return Image.open(buffer)
