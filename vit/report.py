"""What a trained model's card tells: accuracy, calibration, corruptions, latency, what it says of foreign pictures."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from vit.data import Dataset
from vit.data.corruptions import CORRUPTIONS, SEVERITIES
from vit.device import device_name
from vit.evaluation import Evaluation, evaluate, predict
from vit.figures import confusion_figure
from vit.model import ViT
from vit.weights.card import card
from vit.weights.checkpoint import CARD, CONFIG, WEIGHTS, config_of

BINS = 15  # of the calibration error
CONFIDENT = 0.9


@dataclass(frozen=True)
class Report:
    """What was measured on the test set. Shares in [0, 1], latency in milliseconds.

    interval: of the accuracy, 95%, Wilson. with_flips: accuracy of the mean over a picture and its mirror image.
    calibration_error: expected, over 15 bins of equal width (Guo et al. 2017, arXiv:1706.04599).
    corrupted: accuracy for each corruption and severity. foreign, foreign_confident: mean confidence on pictures that
    show none of the classes, and the share of them with more than 90%; confident: that share on the test set.
    """

    evaluation: Evaluation
    interval: tuple[float, float]
    with_flips: float
    calibration_error: float
    corrupted: dict[str, list[float]]
    confident: float
    foreign: float
    foreign_confident: float
    foreign_name: str
    latency: float
    latency_with_maps: float


def measure(model: ViT, test: Dataset, foreign: Dataset, progress: Callable[[str], object]) -> Report:
    """Measures it all in float32, on the device that the model is on; progress is told what comes next."""
    progress("test set")
    evaluation = evaluate(model, test, autocast=False)
    probabilities = _probabilities(model, test)
    mirrored = _probabilities(model, replace(test, images=test.images.flip(3)))
    corrupted = {}
    for name, corrupt in CORRUPTIONS.items():
        progress(name)
        corrupted[name] = []
        for severity in SEVERITIES:
            images = corrupt(test.images, severity, torch.Generator().manual_seed(severity))
            corrupted[name].append(evaluate(model, replace(test, images=images), autocast=False).accuracy)
    progress("pictures of something else")
    elsewhere = _probabilities(model, replace(foreign, mean=test.mean, std=test.std)).amax(1)
    confidence, right = probabilities.amax(1), probabilities.argmax(1) == test.labels
    return Report(
        evaluation=evaluation,
        interval=wilson(evaluation.accuracy, evaluation.n),
        with_flips=((probabilities + mirrored).argmax(1) == test.labels).float().mean().item(),
        calibration_error=calibration_error(confidence, right),
        corrupted=corrupted,
        confident=(confidence > CONFIDENT).float().mean().item(),
        foreign=elsewhere.mean().item(),
        foreign_confident=(elsewhere > CONFIDENT).float().mean().item(),
        foreign_name=f"{len(foreign):,} test images of {foreign.name}",
        latency=_latency(model, return_attention=False),
        latency_with_maps=_latency(model, return_attention=True),
    )


def write_card(model: ViT, report: Report, folder: Path) -> None:
    """Puts the report into the folder's card, the confusion matrix beside it, and the accuracy into its config."""
    model.trained["test_accuracy"] = report.evaluation.accuracy
    (folder / CONFIG).write_text(json.dumps(config_of(model), indent=2) + "\n", encoding="utf-8")
    confusion_figure(report.evaluation.confusion.numpy(), model.classes).savefig(folder / "confusion.png")
    size = (folder / WEIGHTS).stat().st_size
    text = card(model) + _sections(model, report, folder, size)
    (folder / CARD).write_text(text, encoding="utf-8")


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95% interval of a share of n draws (Wilson 1927)."""
    z2 = 1.959964**2
    middle, spread = share + z2 / (2 * n), (z2 * share * (1 - share) / n + z2**2 / (4 * n * n)) ** 0.5
    return (middle - spread) / (1 + z2 / n), (middle + spread) / (1 + z2 / n)


def calibration_error(confidence: Tensor, right: Tensor) -> float:
    """How far confidence and accuracy are apart, bin by bin, weighted by the bins' sizes; both (n,)."""
    bins = (confidence * BINS).long().clamp(max=BINS - 1)
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add(0, bins, confidence.double() - right.double())
    return (gaps.abs().sum() / len(confidence)).item()


def _probabilities(model: ViT, dataset: Dataset) -> Tensor:
    return torch.cat([logits for logits, _ in predict(model, dataset, autocast=False)]).softmax(1).cpu()


@torch.no_grad()
def _latency(model: ViT, return_attention: bool, repeats: int = 50) -> float:
    """Median milliseconds of one image, after ten that are not counted."""
    device, seconds = next(model.parameters()).device, []
    image = torch.zeros(1, model.config["in_chans"], *[model.config["img_size"]] * 2, device=device)
    for _ in range(repeats + 10):
        started = time.perf_counter()
        model(image, return_attention=return_attention)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[10:])


def _sections(model: ViT, report: Report, folder: Path, size: int) -> str:
    evaluation, (low, high) = report.evaluation, report.interval
    device = device_name(next(model.parameters()).device)
    per_class = "\n".join(f"| {name} | {share:.1%} |" for name, share in zip(model.classes, evaluation.per_class))
    corrupted = "\n".join(
        f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |"
        for name, shares in report.corrupted.items()
    )
    return f"""
## Measured

**{100 * evaluation.accuracy:.2f}%** of {evaluation.n:,} test images are recognised (95% interval {100 * low:.2f}% to
{100 * high:.2f}%), one view each, from the stored weights ({size / 1e6:.1f} MB). The mean over an image and its mirror
image gives {100 * report.with_flips:.2f}%. The expected calibration error is {100 * report.calibration_error:.2f}
percentage points ({BINS} bins). One image takes {report.latency:.1f} ms, with all attention maps
{report.latency_with_maps:.1f} ms (median of 50; {device}). All of it was measured in float32 by

```sh
python -m vit evaluate {folder.as_posix()} --card
```

| class | recognised |
| --- | --- |
{per_class}

![Confusion matrix](confusion.png)

| accuracy under corruption | severity 1 | 2 | 3 |
| --- | --- | --- | --- |
{corrupted}

Corruptions are those of `vit/data/corruptions.py`, computed on the test images.

## Intended use and limits

For learning how a Vision Transformer works: to classify with, to look into, to compare one's own training with. Not for
decisions about anything that matters. It knows 32 x 32 pictures, larger ones are cut to a square and shrunk, and
{len(model.classes)} classes, so it gives one of their names to whatever it sees: on the {report.foreign_name}, which
show none of them, its mean confidence is {report.foreign:.0%}, and it is more than {CONFIDENT:.0%} sure of
{report.foreign_confident:.0%} (of the test images: {report.confident:.0%}).
"""
