"""What the model says of the picture once patches are covered and it is changed; and which patch it needs most."""

import torch
from torch import Tensor

from vit.data.changes import change
from vit.interpret import cover as covering
from vit.interpret.analysis import Analysis, Prediction
from vit.interpret.trace import evaluating
from vit.live import models
from vit.model import Classifier, ViT
from vit.ui import pictures
from vit.ui.analysis import predict, recall
from vit.ui.asking import answering
from vit.ui.checks import check, whole
from vit.ui.errors import BadInput


@answering
def poked(question: dict) -> dict:
    """The changed picture and every class's probability. covered: patches, row by row from 0; changes: name -> number,
    of vit.data.changes."""
    prediction = _prediction(question)
    model, (h, w) = prediction.model, grid(prediction.model)
    covered = [whole("covered", patch, 0, h * w - 1) for patch in check("covered", question.get("covered"), list[int])]
    changes = check("changes", question.get("changes"), dict[str, float])
    pixels = change(prediction.pixels, changes, tuple(round(255 * mean) for mean in model.mean))
    images = covered_with_mean(model, model.normalize(pixels)[None], covered)
    with torch.inference_mode(), evaluating(model):
        probabilities = model.probabilities(model(images)[0])
    return {"image": pictures.data_uri(model.denormalize(images)[0]), "probabilities": probabilities.tolist()}


@answering
def occlusion(question: dict) -> dict:
    """How many points of the likeliest class's probability covering each patch by itself costs: (h*w), row by row."""
    prediction = _prediction(question)
    if not isinstance(prediction, Analysis):
        raise BadInput(models.NO_ATTENTION)
    model, best = prediction.model, prediction.probabilities.argmax()
    cost = covering.occlusion(model, prediction.images, best[None], model.grid_size)
    return {"points": (100 * cost[0]).tolist(), "class": model.classes[best]}


def grid(model: Classifier) -> tuple[int, int]:
    """What can be covered by hand: the model's patches, or an eighth of the side where it has none."""
    return model.grid_size if isinstance(model, ViT) else (8, 8)


def covered_with_mean(model: Classifier, images: Tensor, covered: list[int]) -> Tensor:
    """Normalized images (B, C, H, W) with some patches in the data's mean color, as in vit.interpret.cover."""
    h, w = grid(model)
    hidden = torch.zeros(h * w, dtype=torch.bool)
    hidden[covered] = True
    size = images.shape[-1]
    pixels = hidden.view(h, w).repeat_interleave(size // h, 0).repeat_interleave(size // w, 1)
    return images.masked_fill(pixels, 0.0)


def _prediction(question: dict) -> Prediction:
    return predict(*recall(check("token", question.get("token"), str)))
