"""How good a model is on a dataset: accuracy, loss, confusion."""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.data import Dataset
from vit.device import images_at_once, keeping_memory
from vit.model import Classifier
from vit.precision import autocast, choose, shape_of

FEW = 1_000  # images


@dataclass(frozen=True)
class Evaluation:
    """How a model does on a dataset. confusion: (classes, classes) counts, rows are true classes; loss in nats."""

    accuracy: float
    loss: float
    n: int
    images_per_second: float
    confusion: Tensor = field(repr=False)

    @property
    def per_class(self) -> list[float]:
        """Share of each true class's images that were recognized, in [0, 1]; nan for a class without images."""
        return (self.confusion.diag() / self.confusion.sum(1)).tolist()


def inference_precision(model: Classifier, images: int) -> str:
    """The fastest for a model's answers on so many images, by trial on the first call for it; a name of DTYPES.

    float32 for few images, which are answered before a trial would end.
    """
    if images <= FEW:
        return "fp32"
    device = next(model.parameters()).device
    size = images_at_once(device)

    def begin(name: str) -> Callable[[int], float]:
        network, shape = copy.deepcopy(model).eval(), model.config
        noise = torch.zeros(size, shape["in_chans"], shape["img_size"], shape["img_size"], device=device)

        @torch.no_grad()
        def answer(count: int) -> float:
            with autocast(device, name):
                return network(noise[:count]).float().sum().item()

        return answer

    return choose(device, ("answers", shape_of(model)), begin, size).name


@torch.no_grad()
def predict(model: Classifier, dataset: Dataset, precision: str = "auto") -> Iterator[tuple[Tensor, Tensor]]:
    """Yields (logits, labels) batch by batch, in the dataset's order, on the model's device, in eval mode."""
    device = next(model.parameters()).device
    name = inference_precision(model, len(dataset)) if precision == "auto" else precision
    model.eval()
    size = images_at_once(device)
    with keeping_memory():
        for start in range(0, len(dataset), size):
            part = dataset.take(slice(start, start + size)).to(device)
            with autocast(device, name):
                logits = model(model.normalize(part.images))
            yield logits.float(), part.labels


def evaluate(
    model: Classifier,
    dataset: Dataset,
    progress: Callable[..., object] | None = None,
    precision: str = "auto",
    each: Callable[[Tensor, Tensor], object] | None = None,
) -> Evaluation:
    """Runs the model over the whole dataset, one view an image; leaves it in eval mode.

    precision: "auto" is the fastest here; "fp32" gives the same figure on every machine, but for rounding.
    progress is called with the share done, in [0, 1], and desc=; each with every batch's logits and labels. Raises
    ValueError where model and data do not fit or the dataset is empty.
    """
    check_fit(model, dataset)
    if not len(dataset):
        raise ValueError(f"There is nothing to evaluate: the {dataset.split} split of {dataset.name} is empty.")
    classes, loss, started = len(dataset.classes), 0.0, time.perf_counter()
    confusion, n = torch.zeros(classes, classes, dtype=torch.long), 0
    for logits, labels in predict(model, dataset, precision=precision):
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        confusion += confusion_counts(logits, labels)
        n += len(labels)
        if each:
            each(logits, labels)
        if progress:
            progress(n / len(dataset), desc=f"Evaluating on {dataset.name} {dataset.split}")
    seconds = time.perf_counter() - started
    return Evaluation(confusion.diag().sum().item() / n, loss / n, n, n / seconds, confusion)


def confusion_counts(logits: Tensor, labels: Tensor) -> Tensor:
    """(classes, classes) counts on the CPU, rows are true classes; logits (n, classes), labels (n,)."""
    classes = logits.shape[1]
    pairs = (labels * classes + logits.argmax(1)).cpu()
    return pairs.bincount(minlength=classes**2).view(classes, classes)


def check_fit(model: Classifier, dataset: Dataset) -> None:
    """Raises ValueError unless the model takes the dataset's images and knows its number of classes."""
    config = model.config
    if tuple(dataset.images.shape[1:]) != (config["in_chans"], config["img_size"], config["img_size"]):
        raise ValueError(
            f"The model takes {config['in_chans']} x {config['img_size']} x {config['img_size']} images, "
            f"{dataset.name} has {' x '.join(map(str, dataset.images.shape[1:]))}; "
            f"build the model with img_size={dataset.images.shape[-1]}."
        )
    if config["num_classes"] != len(dataset.classes):
        raise ValueError(
            f"The model has {config['num_classes']} classes, {dataset.name} has {len(dataset.classes)}; "
            f"build the model with num_classes={len(dataset.classes)}."
        )
