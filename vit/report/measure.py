"""Measures what a card tells, part by part, each a dict that JSON can hold, so that a stopped report goes on."""

import hashlib
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from vit.data import Dataset, Splits
from vit.data.corruptions import CORRUPTIONS, SEVERITIES
from vit.device import device_name, now
from vit.evaluation import check_fit, predict
from vit.model import Classifier, ViT
from vit.report import maps
from vit.report.accuracy import accuracy_of
from vit.report.calibration import auroc, calibration, fit_doubt, fit_temperature
from vit.weights.checkpoint import WEIGHTS, write_text

PARTS_FILE = "report.json"
VERSION = 3  # of what the parts hold: one that was saved with another is measured again
CONFIDENT = 0.9
RECALL = 0.95  # of the model's own pictures, which pass without a hint that they are none of its classes
SEED = 0
MORE = 10  # times as many pictures are covered by a fifth, traced, or are of something else
CORRUPTED = 5  # times as many are corrupted, each in every way and severity
Tell = maps.Tell


@dataclass
class Inputs:
    """What is measured on. foreign: pictures that show none of the classes. pictures: how many areas are taken of."""

    model: Classifier
    splits: Splits
    foreign: Dataset
    pictures: int
    _logits: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)

    @property
    def vit(self) -> ViT:
        """The model, for what is measured of attention."""
        assert isinstance(self.model, ViT)
        return self.model

    def logits(self, tell: Tell) -> Tensor:
        """The whole test set's, (n, classes)."""
        return self._once("test", self.splits.test, tell)

    def held_out(self, tell: Tell) -> Tensor:
        """The validation set's, (n, classes)."""
        return self._once("held out", self.splits.validation, tell)

    def elsewhere(self, tell: Tell) -> Tensor:
        """Those of MORE times `pictures` foreign ones, (n, classes)."""
        return self._once("foreign", self.foreign.take(slice(MORE * self.pictures)), tell)

    def _once(self, name: str, dataset: Dataset, tell: Tell) -> Tensor:
        if name not in self._logits:
            self._logits[name] = _logits(self.model, dataset, tell)
        return self._logits[name]

    def chosen(self, times: int = 1) -> Dataset:
        """So many times `pictures` of the test set, mixed; all of it where there are not as many."""
        return self.splits.test.take(_order(len(self.splits.test))[: times * self.pictures])


def measure(
    inputs: Inputs, folder: Path, progress: Callable[[str, float], object], done: Callable[[dict[str, dict]], object]
) -> dict[str, dict]:
    """Every part, in float32, on the model's device; sets model.temperature.

    progress gets a part's name and its share, done all parts so far after each. Parts that the folder's report.json
    holds for the same weights, pictures and test set are not measured again. Each has the "seconds" it took.
    """
    check_fit(inputs.model, inputs.splits.test)
    key = {
        "version": VERSION,
        "weights": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        "pictures": inputs.pictures,
        "test": [inputs.splits.test.name, len(inputs.splits.test)],
        "seed": SEED,
    }
    parts = _saved(folder / PARTS_FILE, key)
    for name in parts_of(inputs.model):
        if name not in parts:
            started = time.perf_counter()
            parts[name] = PARTS[name](inputs, partial(progress, name))
            parts[name]["seconds"] = round(time.perf_counter() - started, 1)
            write_text(json.dumps({"of": key, "parts": parts}, indent=1) + "\n", folder / PARTS_FILE)
        if name == "calibration":
            inputs.model.temperature = parts[name]["temperature"]
        done(parts)
    return parts


def _saved(file: Path, key: dict) -> dict[str, dict]:
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        return saved["parts"] if saved["of"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # none yet, or one that can't be read: it is measured again


def _accuracy(inputs: Inputs, tell: Tell) -> dict:
    return accuracy_of(inputs.logits(tell), inputs.splits.test.labels.cpu())


def _calibration(inputs: Inputs, tell: Tell) -> dict:
    """The temperature is fitted on the validation pictures if some were kept from training, else on half of the test
    set, a random half; what is scored is then the other half."""
    fitting, scoring, fitted_on, scored_on = _held_out(inputs, tell)
    temperature = fit_temperature(*fitting)
    before, after = calibration(*scoring), calibration(*scoring, temperature)
    return {
        "temperature": temperature,
        "fitted_on": fitted_on,
        "scored_on": scored_on,
        "before": {**asdict(before), "direction": before.direction},
        "after": {**asdict(after), "direction": after.direction},
    }


Labeled = tuple[Tensor, Tensor]  # logits (n, classes) and labels (n,)


def _held_out(inputs: Inputs, tell: Tell) -> tuple[Labeled, Labeled, str, str]:
    """What is fitted on, what is scored, and both in words."""
    validation, labels = inputs.splits.validation, inputs.splits.test.labels.cpu()
    logits = inputs.logits(tell)
    trained = inputs.model.trained  # a run that stopped early measured no accuracy, and older ones kept no size
    kept = trained.get("validation_accuracy") is not None or trained.get("validation_size", 0) != 0
    if kept and len(validation):
        fitting = inputs.held_out(tell), validation.labels.cpu()
        return fitting, (logits, labels), f"{len(validation):,} validation images", f"all {len(labels):,} test images"
    order = _order(len(labels))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    fitted_on = f"{len(first):,} test images, a random half, as no picture was kept from training"
    return (logits[first], labels[first]), (logits[second], labels[second]), fitted_on, f"the other {len(second):,}"


def _covering(inputs: Inputs, tell: Tell) -> dict:
    """On pictures that the model gets right: there the true class's probability is what it decides by."""
    test = inputs.splits.test
    right = inputs.logits(tell).argmax(1) == test.labels.cpu()
    order = _order(len(test))
    chosen = order[right[order]][: MORE * inputs.pictures]
    return maps.covering(inputs.vit, test.take(chosen), SEED, tell)


def _areas(inputs: Inputs, tell: Tell) -> dict:
    return maps.areas(inputs.vit, inputs.chosen(), SEED, tell)


def _heads(inputs: Inputs, tell: Tell) -> dict:
    return maps.heads(inputs.vit, inputs.chosen(MORE), tell)


def _foreign(inputs: Inputs, tell: Tell) -> dict:
    here, elsewhere = (
        inputs.model.probabilities(logits).amax(1) for logits in (inputs.logits(tell), inputs.elsewhere(tell))
    )
    return {
        "name": f"{len(elsewhere):,} test images of {inputs.foreign.name}",
        "confidence": elsewhere.mean().item(),
        "confident": (elsewhere > CONFIDENT).float().mean().item(),
        "confident_here": (here > CONFIDENT).float().mean().item(),
    }


def _doubt(inputs: Inputs, tell: Tell) -> dict:
    """When to say "none of these": fitted on the pictures that the temperature was fitted on, and on one half of the
    foreign ones, measured on the others."""
    model = inputs.model
    (fitting, _), (scoring, _), fitted_on, _ = _held_out(inputs, tell)
    elsewhere = inputs.elsewhere(tell)
    first, second = elsewhere[::2], elsewhere[1::2]
    doubt = fit_doubt(model, fitting, first, RECALL)
    own, other = model.scores(scoring), model.scores(second)
    limits = {name: score.quantile(1 - RECALL).item() for name, score in model.scores(fitting).items()}
    return {
        "score": doubt.score,
        "threshold": doubt.threshold,
        "false_alarm": (own[doubt.score] < doubt.threshold).double().mean().item(),
        "fitted_on": fitted_on,
        "foreign": f"{len(second):,} test images of {inputs.foreign.name}",
        "auroc": {name: auroc(own[name], other[name]) for name in own},
        "passed": {name: (other[name] >= limits[name]).double().mean().item() for name in own},
    }


def _corruptions(inputs: Inputs, tell: Tell) -> dict:
    """Accuracies by severity, on the same test pictures; "none" is that on these as they are."""
    test, done = inputs.chosen(CORRUPTED), 0
    as_they_are = inputs.logits(tell)[_order(len(inputs.splits.test))[: len(test)]].argmax(1) == test.labels.cpu()
    accuracies: dict[str, list[float]] = {name: [] for name in CORRUPTIONS}
    for name, corrupt in CORRUPTIONS.items():
        for severity in SEVERITIES:
            images = corrupt(test.images, severity, torch.Generator().manual_seed(severity))
            right = _logits(inputs.model, replace(test, images=images), lambda _: None).argmax(1) == test.labels.cpu()
            accuracies[name].append(right.float().mean().item())
            done += 1
            tell(done / (len(CORRUPTIONS) * len(SEVERITIES)))
    return {"n": len(test), "none": as_they_are.float().mean().item(), "accuracy": accuracies}


@torch.no_grad()
def _speed(inputs: Inputs, tell: Tell, repeats: int = 50) -> dict:
    """Median milliseconds of one image after ten that are not counted, and the machine's float32 matmul TFLOP/s.

    load: how many processes wanted a core, mean over the minute before; None on a system that doesn't tell.
    """
    model = inputs.model
    device = next(model.parameters()).device
    image = torch.zeros(1, model.config["in_chans"], *[model.config["img_size"]] * 2, device=device)
    square = torch.rand(1024, 1024, device=device)

    def median(work: Callable[[], object]) -> float:
        seconds = []
        for _ in range(repeats + 10):
            started = now(device)
            work()
            seconds.append(now(device) - started)
        return statistics.median(seconds[10:])

    def with_maps() -> object:
        return model(image, return_attention=True)

    model.eval()
    return {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "tflops": 2 * 1024**3 / median(lambda: square @ square) / 1e12,
        "latency": 1000 * median(lambda: model(image)),
        "latency_with_maps": 1000 * median(with_maps) if model.has_attention else None,
    }


PARTS: dict[str, Callable[[Inputs, Tell], dict]] = {
    "accuracy": _accuracy,
    "calibration": _calibration,
    "foreign": _foreign,
    "doubt": _doubt,
    "speed": _speed,
    "covering": _covering,
    "heads": _heads,
    "corruptions": _corruptions,
    "areas": _areas,
}


OF_MAPS = {"covering", "heads", "areas"}


def parts_of(model: Classifier) -> list[str]:
    """What is measured of it, in this order: of one without attention nothing that needs maps."""
    return [name for name in PARTS if model.has_attention or name not in OF_MAPS]


def _order(n: int) -> Tensor:
    """Numbers below n, mixed."""
    return torch.randperm(n, generator=torch.Generator().manual_seed(SEED))


def _logits(model: Classifier, dataset: Dataset, tell: Tell) -> Tensor:
    """(n, classes), on the CPU."""
    logits: list[Tensor] = []
    for batch, _ in predict(model, dataset, precision="fp32"):
        logits.append(batch.cpu())
        tell(sum(map(len, logits)) / len(dataset))
    return torch.cat(logits)
