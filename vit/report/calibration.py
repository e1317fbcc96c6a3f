"""Whether a model is as sure as it is right, and the temperature that brings the two together."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

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


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """How far confidence and accuracy are apart, bin by bin, weighted by the bins' sizes; both (n,)."""
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add(0, bins, confidence.double().cpu() - right.double().cpu())
    return (gaps.abs().sum() / len(confidence)).item()


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95% interval of a share of n draws (Wilson 1927)."""
    z2 = 1.959964**2
    middle, spread = share + z2 / (2 * n), (z2 * share * (1 - share) / n + z2**2 / (4 * n * n)) ** 0.5
    return max(0.0, (middle - spread) / (1 + z2 / n)), min(1.0, (middle + spread) / (1 + z2 / n))
