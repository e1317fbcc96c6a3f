"""What the page's script asks while a visitor tries to break a taught model: a picture's answer, and the cover test."""

import torch

from vit.data.pictures import UnreadablePicture, read_picture
from vit.interpret import cover as covering
from vit.interpret.analysis import Analysis
from vit.live import collection, models
from vit.ui.asking import answering
from vit.ui.checks import check
from vit.ui.errors import BadInput
from vit.ui.own.pictures import content

BLOCKS = 8  # a side: so many places are covered one after the other, whatever the model's grid
LIKELIEST = 5
NOISE = 0.05  # points of probability: where no place costs more, none is needed


@answering
def look(question: dict) -> dict:
    """What a model says of a picture and where it looks. model: its key; content: the picture's file in base64."""
    analysis = _analysis(question)
    best = analysis.probabilities.topk(min(LIKELIEST, len(analysis.model.classes)))
    bars = [[analysis.model.classes[i], round(p, 4)] for p, i in zip(best.values.tolist(), best.indices.tolist())]
    return {"bars": bars, "grid": list(analysis.model.grid_size), "map": _map(analysis).tolist()}


@answering
def cover(question: dict) -> dict:
    """What covering each place costs the likeliest class, and what the brightest fifth of the map does. As in look."""
    analysis = _analysis(question)
    model, best = analysis.model, analysis.probabilities.argmax()
    name = model.classes[best]
    h, w = model.grid_size
    places = min(BLOCKS, h), min(BLOCKS, w)
    cost = 100 * covering.occlusion(model, analysis.images, best[None], places)
    fifth = covering.points(model, analysis.images, _map(analysis)[None, None], int(best))
    before = analysis.probabilities[best].item()
    after = {which: f"{max(0.0, before - fifth[which] / 100):.0%}" for which in ("brightest", "random")}
    says = (
        f"Cover the fifth that it looks at most, and “{name}” goes from {before:.0%} to {after['brightest']}; cover "
        f"a random fifth, and it goes to {after['random']}. "
    )
    needed = cost[0].clamp_min(0) * (cost.max() > NOISE)
    bright = "Bright is now what it needs: is that the thing, or what is behind it?"
    says += bright if needed.any() else "Covering any one place alone costs nothing, so no place is bright."
    return {"grid": list(places), "map": needed.tolist(), "says": says}


def _map(analysis: Analysis) -> torch.Tensor:
    """(h*w,): the mean of the heads of the last layer, of what is read."""
    return analysis.read[0][-1].mean(0)[analysis.model.num_prefix_tokens :]


def _analysis(question: dict) -> Analysis:
    """Kept nowhere. Raises BadInput."""
    model = models.named(models.find_vit(check("model", question.get("model"), str)))
    with collection.as_file(content(question.get("content"))) as path:
        try:
            pixels = read_picture(path, model.config["img_size"])
        except UnreadablePicture as error:
            raise BadInput(f"What you sent {error.reason}.") from error
    return Analysis(model, pixels)
