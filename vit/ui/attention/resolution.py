"""What another resolution does: to the position embeddings, to what is read, and to the answer."""

import base64

from torch import Tensor

from vit.interpret.analysis import Analysis
from vit.interpret.probing import position_similarity
from vit.live import models, sizes
from vit.ui.analysis import analyze, recall
from vit.ui.asking import answering
from vit.ui.checks import check


@answering
def resolution(question: dict) -> dict:
    """The sizes at which a model can be read, and of the picture that a token stands for at the model's own and now:
    size, grid, and, as bytes, the similarity of the middle patch's position to each other's, and what is read in the
    last layer, mean of heads, in 255ths of `peak`; the likeliest class and its share, where there are classes."""
    key, picture = recall(check("token", question.get("token"), str))
    now, own = analyze(key, picture), analyze(models.own_size(key), picture)
    return {"sizes": sizes.sizes(own.model), "own": _seen(own), "now": _seen(now)}


def _seen(analysis: Analysis) -> dict:
    model, (h, w) = analysis.model, analysis.model.grid_size
    similarity = position_similarity(model)[h // 2 * w + w // 2].flatten().clamp_min(0)
    read = analysis.read[0][-1, :, model.num_prefix_tokens :].mean(0)
    best = analysis.probabilities.max(0) if model.classes else None
    return {
        "size": model.config["img_size"],
        "grid": [h, w],
        "positions": _packed(similarity),
        "read": _packed(read / read.amax().clamp_min(1e-9)),
        "peak": read.amax().item(),
        "answer": best and [model.classes[best.indices], best.values.item()],
    }


def _packed(shares: Tensor) -> str:
    return base64.b64encode((shares.clamp(0, 1) * 255).round().byte().contiguous().numpy().tobytes()).decode()
