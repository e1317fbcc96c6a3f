"""What the page asks for about the picture it shows: relevance, logit lens, the model's own weights, files.

Each takes one dict from the page, and answers with a dict: what was asked, or {"error": a sentence}.
"""

import base64
import io

import numpy as np
import torch

from vit.figures import attention_figure, encoded
from vit.interpret import cover as covering
from vit.interpret import probing
from vit.interpret.analysis import Analysis
from vit.live import models
from vit.ui import pictures
from vit.ui.analysis import recall
from vit.ui.asking import answer, file
from vit.ui.checks import check, one_of, shortened, whole
from vit.ui.errors import BadInput

FORMATS = ("png", "svg", "pdf")
MAX_FILTERS = 96


@answer
def relevance(analysis: Analysis, question: dict) -> dict:
    """How much each patch speaks for each of the classes: rows of (h*w), and a sentence. classes: indices."""
    models.named(analysis.model)
    asked = check("classes", question.get("classes"), list[int])[:20]
    if not asked:
        raise BadInput("classes must name at least one class, got []; send indices from 0.")
    classes = [whole("class", c, 0, len(analysis.model.classes) - 1) for c in asked]
    grids = analysis.relevance(classes)
    return {
        "classes": classes,
        "grids": grids.flatten(1).tolist(),
        "sentences": [analysis.describe_relevance(c) for c in classes],
    }


@answer
def cover(analysis: Analysis, question: dict) -> dict:
    """Points of a class's probability that covering a map's brightest fifth of patches costs, and what random fifths
    cost. grid: the map's weights, (h*w). class: an index, the likeliest if not given."""
    models.named(analysis.model)
    likeliest = int(analysis.probabilities.argmax())
    chosen = whole("class", question.get("class", likeliest), 0, len(analysis.model.classes) - 1)
    grid = torch.tensor(_grid(question.get("grid"), analysis), dtype=torch.float32).view(1, 1, -1)
    return covering.points(analysis.model, analysis.images, grid, chosen)


@answer
def lens(analysis: Analysis, question: dict) -> dict:
    """After each layer: the likeliest classes by what is read, and each patch's likeliest."""
    models.named(analysis.model)
    cls, patches = analysis.lens
    best = cls.topk(min(3, cls.shape[-1]))
    sure = patches.max(-1)  # (L, h*w)
    return {
        "cls": [[[i, p] for i, p in zip(*row)] for row in zip(best.indices.tolist(), best.values.tolist())],
        "patches": sure.indices.tolist(),
        "probabilities": sure.values.tolist(),
    }


@answer
def weights(analysis: Analysis, question: dict) -> dict:
    """The model's own: cosine of position embeddings, (h*w, h*w) in bytes of -1 to 1, and the first filters."""
    similarity = probing.position_similarity(analysis.model).flatten(1)
    filters = probing.patch_filters(analysis.model)[:MAX_FILTERS]
    low, high = (f(filters.flatten(1), 1)[:, None, None, None] for f in (torch.amin, torch.amax))
    drawn = ((filters - low) / (high - low).clamp_min(1e-9) * 255).round().byte()
    if drawn.shape[1] != 3:
        drawn = drawn[:, :1].expand(-1, 3, -1, -1)
    return {
        "positions": base64.b64encode(((similarity + 1) * 127.5).round().byte().numpy().tobytes()).decode(),
        "filters": [pictures.data_uri(pixels.contiguous()) for pixels in drawn],
        "stem": analysis.model.config["stem"],
    }


@answer
def export(analysis: Analysis, question: dict) -> dict:
    """A file of the view: the figure as PNG, SVG or PDF, or all raw maps and numbers as .npz."""
    _, picture = recall(question["token"])
    of = "" if picture[0] == "upload" else f"-{picture[0]}-{picture[1]}"
    stem = f"attention-{models.name(analysis.model)}{of}"
    format = one_of("format", question.get("format"), (*FORMATS, "npz"))
    if format == "npz":
        return file(f"{stem}.npz", arrays(analysis))
    h, w = analysis.model.grid_size
    grid = np.asarray(_grid(question.get("grid"), analysis), dtype=np.float32).reshape(h, w)
    colormap = check("colormap", question.get("colormap"), str)
    from matplotlib import colormaps  # when called: the page starts without

    if colormap not in colormaps:
        raise BadInput(f"There is no colormap {shortened(colormap)}; choose one of matplotlib's, such as 'viridis'.")
    top = check("top", question.get("top"), float)
    if top <= 0:
        raise BadInput(f"top must be above 0, got {shortened(top)}; it is the weight at the top of the color scale.")
    figure = attention_figure(
        analysis.pixels.permute(1, 2, 0).numpy(),
        grid,
        check("title", question.get("title"), str)[:200],
        float(top),
        colormap=colormap,
        name=check("name", question.get("name"), str)[:80],
        opacity=min(1.0, max(0.0, check("opacity", question.get("opacity", 0.6), float))),
    )
    return file(f"{stem}.{format}", encoded(figure, format))


def arrays(analysis: Analysis) -> bytes:
    """A .npz of `Analysis.arrays`, picture (H, W, 3), probabilities, classes, grid_size."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        **analysis.arrays,
        picture=analysis.pixels.permute(1, 2, 0).numpy(),
        probabilities=analysis.probabilities.numpy(),
        classes=np.array(analysis.model.classes),
        grid_size=np.array(analysis.model.grid_size),
    )
    return buffer.getvalue()


def _grid(rows: object, analysis: Analysis) -> list[float]:
    """A number for each patch, sent as rows or all in one. Raises BadInput."""
    rows = check("grid", rows, list)
    rows = check("grid", rows if rows and isinstance(rows[0], list) else [rows], list[list[float]])
    cells, (h, w) = [cell for row in rows for cell in row], analysis.model.grid_size
    if len(cells) != h * w:
        raise BadInput(f"grid must have {h} x {w} numbers, got {len(cells)}; send one for each patch.")
    if min(cells) < 0:
        raise BadInput(f"grid must have weights of 0 or more, got {shortened(min(cells))}; send a map's own.")
    return cells


PROBES = [relevance, cover, lens, weights, export]
