"""How often a model is right, and for what it takes what, from its logits."""

import torch.nn.functional as F
from torch import Tensor

from vit.evaluation import confusion_counts
from vit.report.calibration import wilson


def accuracy_of(logits: Tensor, labels: Tensor) -> dict:
    """As JSON can hold it: accuracy with its 95% interval, n, loss, per class (None where none is) and confusion.

    logits: (n, classes), labels: (n,).
    """
    confusion = confusion_counts(logits, labels)
    accuracy = confusion.diag().sum().item() / len(labels)
    shares = (confusion.diag() / confusion.sum(1)).tolist()
    return {
        "accuracy": accuracy,
        "interval": list(wilson(accuracy, len(labels))),
        "n": len(labels),
        "loss": F.cross_entropy(logits, labels).item(),
        "per_class": [share if share == share else None for share in shares],
        "confusion": confusion.tolist(),
    }
