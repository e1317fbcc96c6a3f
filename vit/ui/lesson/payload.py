"""What the lesson's script is sent: words and facts of all steps with the picture, then the numbers it asks for."""

import base64
import math
import zlib

import torch
from torch import Tensor

from vit.interpret.analysis import Analysis
from vit.interpret.lesson import prefix_names, reach
from vit.model import ViT
from vit.ui import theme
from vit.ui.analysis import told
from vit.ui.lesson.steps import reader, steps
from vit.ui.pictures import Picture

MOST_BYTES = (
    3_000_000  # of an answer, as it travels; above it numbers are rounded to 16 bits, and heads come one by one
)


def opening(analysis: Analysis, key: str, picture: Picture) -> dict:
    """All that the lesson says before anything is asked of it: for JSON, some kilobytes."""
    model, record = analysis.model, analysis.record
    classes, best = model.classes, analysis.probabilities.argmax().item() if len(model.classes) else None
    spelled = [{**step._asdict(), "code": [line._asdict() for line in step.code]} for step in steps(model)]
    return {
        **told(analysis, key, picture),
        "mean": list(model.mean),
        "std": list(model.std),
        "grid": list(model.grid_size),
        "patch": model.config["patch_size"],
        "reach": reach(model),
        "width": model.config["embed_dim"],
        "blocks": len(record.layers),
        "heads": model.num_heads,
        "prefix": prefix_names(model),
        "readout": model.has_readout,
        "split": comes_by_head(model),
        "reader": reader(model),
        "classes": list(classes),
        "colors": theme.class_colors(len(classes)),
        "best": best,
        "share": analysis.probabilities[best].item() if best is not None else None,
        "start": analysis.objects.flatten().argmax().item(),
        "steps": spelled,
    }


def packed(**arrays: Tensor) -> dict:
    """Arrays by name as compressed bytes, float32 one after the other, or float16 where that would be too long.

    exact: whether nothing was rounded; else to 11 bits, half a part in 2,000.
    """
    exact = _fits(sum(math.prod(array.shape) for array in arrays.values()))
    kind = torch.float32 if exact else torch.float16
    raw = b"".join(array.detach().to(kind).contiguous().numpy().tobytes() for array in arrays.values())
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    return {"shapes": shapes, "exact": exact, "bytes": base64.b64encode(zlib.compress(raw, 1)).decode()}


def comes_by_head(model: ViT) -> bool:
    """Whether a layer's queries, keys and values are too long to be sent at once."""
    return not _fits(3 * model.num_tokens * model.config["embed_dim"])


def _fits(numbers: int) -> bool:
    return 4 * numbers * 4 / 3 <= MOST_BYTES
