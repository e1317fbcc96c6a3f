"""Whether a model is as sure as it is right, the temperature that brings the two together, and when it should say that
a picture is of none of its classes."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.model import Classifier, Doubt

BINS = 15


@dataclass(frozen=True)
class Calibration:
    """n pictures' mean confidence and accuracy, in [0, 1], and error: the expected one over 15 bins of equal width
    (Guo et al. 2017, arXiv:1706.04599)."""

    n: int
    confidence: float
    accuracy: float
    error: float

    @property
    def direction(self) -> str:
        """In words: by how many points the model is surer, or less sure, than it is right."""
        points = 100 * (self.confidence - self.accuracy)
        if abs(points) < 0.05:
            return "as sure as it is right"
        return f"{'over' if points > 0 else 'under'}-confident by {abs(points):.1f} points"


def calibration(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Calibration:
    """Of logits (n, classes) divided by the temperature."""
    confidence, predicted = (logits / temperature).softmax(1).max(1)
    right = predicted == labels
    return Calibration(
        len(labels), confidence.mean().item(), right.float().mean().item(), calibration_error(confidence, right)
    )


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature, 0.05 to 20, of least negative log-likelihood, by golden section on its logarithm.

    Pictures that the model learned from would make it too sure. Raises ValueError without pictures.
    """
    if not len(labels):
        raise ValueError("A temperature needs pictures to be fitted on, and there are none.")
    logits, golden = logits.double(), (math.sqrt(5) - 1) / 2

    def loss(log: float) -> float:
        return F.cross_entropy(logits / math.exp(log), labels).item()

    low, high = math.log(0.05), math.log(20)
    while high - low > 1e-5:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return round(math.exp((low + high) / 2), 4)


def fit_doubt(model: Classifier, held_out: Tensor, foreign: Tensor, recall: float = 0.95) -> Doubt:
    """The score that tells a model's own pictures best from foreign ones, and its threshold: what a share `recall` of
    the held-out pictures reaches.

    held_out, foreign: logits (n, classes) of pictures that the model did not learn from, of its classes and of none of
    them. Raises ValueError without pictures. The false alarm is that of the held-out pictures themselves; measure it on
    others, which the threshold was not chosen on.
    """
    if not len(held_out) or not len(foreign):
        raise ValueError("A threshold needs pictures of the model's classes and of none of them, and there are none.")
    own, other = model.scores(held_out.double()), model.scores(foreign.double())
    best = max(own, key=lambda name: auroc(own[name], other[name]))
    threshold = own[best].quantile(1 - recall).item()
    return Doubt(best, threshold, (own[best] < threshold).double().mean().item())


def auroc(own: Tensor, other: Tensor) -> float:
    """The chance that one of the own scores (n,) is above one of the others (m,); half of those that are equal."""
    ordered = other.sort().values
    below = torch.searchsorted(ordered, own) + torch.searchsorted(ordered, own, right=True)
    return (below.double().mean() / (2 * len(other))).item()


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """How far confidence and accuracy are apart, bin by bin, weighted by the bins' sizes; both (n,)."""
    return sum(n * abs(sure - share) for n, sure, share in reliability(confidence, right)) / len(confidence)


def reliability(confidence: Tensor, right: Tensor) -> list[tuple[int, float, float]]:
    """Of each of the 15 bins of equal width: its pictures, their mean confidence and accuracy; 0 where none are."""
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    rows = []
    for number in range(BINS):
        here = bins == number
        sure, share = (v[here].double().mean().item() if here.any() else 0.0 for v in (confidence, right))
        rows.append((int(here.sum()), sure, share))
    return rows


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95% interval of a share of n draws (Wilson 1927)."""
    z2 = 1.959964**2
    middle, spread = share + z2 / (2 * n), (z2 * share * (1 - share) / n + z2**2 / (4 * n * n)) ** 0.5
    return max(0.0, (middle - spread) / (1 + z2 / n)), min(1.0, (middle + spread) / (1 + z2 / n))
