"""Measures what a card tells, part by part, each a dict that JSON can hold, so that a stopped report goes on."""

import hashlib
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor

from vit.data import Dataset, Splits
from vit.data.corruptions import CORRUPTIONS, SEVERITIES
from vit.device import device_name
from vit.evaluation import check_fit, evaluate, predict
from vit.interpret import probing
from vit.interpret.attention import attention_entropy, read_attention
from vit.interpret.cover import FILLS, cover, deletion_insertion
from vit.model import ViT
from vit.report.calibration import calibration, fit_temperature, wilson
from vit.weights.checkpoint import WEIGHTS, write_text

PARTS_FILE = "report.json"
CONFIDENT = 0.9
SINK = 0.8  # a head whose class token gives more than this to prefix tokens hardly looks at the picture
SEED = 0
MAPS = ("last layer, class token", "rollout", "relevance", "random")
BATCH = 25
MORE = 10  # times as many pictures are corrupted, in each way and severity, or are of something else


@dataclass(frozen=True)
class Material:
    """What is measured on. foreign: pictures that show none of the classes. pictures: how many are looked into."""

    model: ViT
    splits: Splits
    foreign: Dataset
    pictures: int

    @cached_property
    def logits(self) -> tuple[Tensor, Tensor]:
        """The whole test set's, (n, classes), and its labels."""
        return _logits(self.model, self.splits.test)


def measure(material: Material, folder: Path, progress: Callable[[str, float], object]) -> dict[str, dict]:
    """Every part, in float32, on the model's device; sets model.temperature. progress gets a part's name and its share.

    Parts that the folder's report.json holds for the same weights, pictures and test set are not measured again.
    """
    check_fit(material.model, material.splits.test)
    key = {
        "weights": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
        "pictures": material.pictures,
        "test": [material.splits.test.name, len(material.splits.test)],
        "seed": SEED,
    }
    parts = _saved(folder / PARTS_FILE, key)
    for name, part in PARTS.items():
        if name not in parts:
            parts[name] = part(material, partial(progress, name))
            write_text(json.dumps({"of": key, "parts": parts}, indent=1) + "\n", folder / PARTS_FILE)
        if name == "calibration":
            material.model.temperature = parts[name]["temperature"]
    return parts


def _saved(file: Path, key: dict) -> dict[str, dict]:
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        return saved["parts"] if saved["of"] == key else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # none yet, or one that can't be read: it is measured again


def _accuracy(material: Material, tell: Callable[[float], object]) -> dict:
    test = material.splits.test
    found = evaluate(material.model, test, lambda done, desc: tell(done), autocast=False)
    low, high = wilson(found.accuracy, found.n)
    return {
        "accuracy": found.accuracy,
        "interval": [low, high],
        "n": found.n,
        "loss": found.loss,
        "per_class": found.per_class,
        "confusion": found.confusion.tolist(),
    }


def _calibration(material: Material, tell: Callable[[float], object]) -> dict:
    """The temperature is fitted on the validation pictures if some were kept from training, else on half of the test
    set, a random half; what is scored is then the other half."""
    logits, labels = material.logits
    if material.model.trained.get("validation_accuracy") is not None and len(material.splits.validation):
        fitted_on = f"{len(material.splits.validation):,} validation images"
        fitting, scoring = _logits(material.model, material.splits.validation), (logits, labels)
        scored_on = f"all {len(labels):,} test images"
    else:
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        fitting, scoring = (logits[first], labels[first]), (logits[second], labels[second])
        fitted_on = f"{len(first):,} test images, a random half, as no picture was kept from training"
        scored_on = f"the other {len(second):,}"
    temperature = fit_temperature(*fitting)
    before, after = calibration(*scoring), calibration(*scoring, temperature)
    return {
        "temperature": temperature,
        "fitted_on": fitted_on,
        "scored_on": scored_on,
        "before": {**asdict(before), "direction": before.direction},
        "after": {**asdict(after), "direction": after.direction},
    }


def _corruptions(material: Material, tell: Callable[[float], object]) -> dict:
    """Accuracies by severity, on the same test pictures."""
    test = material.splits.test.take(_order(material)[: MORE * material.pictures])
    accuracies: dict[str, list[float]] = {}
    for i, (name, corrupt) in enumerate(CORRUPTIONS.items()):
        accuracies[name] = []
        for severity in SEVERITIES:
            images = corrupt(test.images, severity, torch.Generator().manual_seed(severity))
            found = evaluate(material.model, replace(test, images=images), autocast=False)
            accuracies[name].append(found.accuracy)
            tell((i + len(accuracies[name]) / len(SEVERITIES)) / len(CORRUPTIONS))
    return {"n": len(test), "accuracy": accuracies}


def _foreign(material: Material, tell: Callable[[float], object]) -> dict:
    model, test = material.model, material.splits.test
    foreign = material.foreign.take(slice(MORE * material.pictures))
    elsewhere = model.probabilities(_logits(model, foreign)[0]).amax(1)
    here = model.probabilities(material.logits[0])
    mirrored = model.probabilities(_logits(model, replace(test, images=test.images.flip(3)))[0])
    return {
        "name": f"{len(foreign):,} test images of {foreign.name}",
        "confidence": elsewhere.mean().item(),
        "confident": (elsewhere > CONFIDENT).float().mean().item(),
        "confident_here": (here.amax(1) > CONFIDENT).float().mean().item(),
        "with_flips": ((here + mirrored).argmax(1) == test.labels).float().mean().item(),
    }


def _covering(material: Material, tell: Callable[[float], object]) -> dict:
    """Per fill and map: what its brightest fifth costs the predicted class, and areas; each a mean and 1.96 standard
    errors over pictures."""
    model, test = material.model, material.splits.test
    chosen = _order(material)[: material.pictures]
    found: dict[str, dict[str, list[Tensor]]] = {fill: {"cost": [], "deletion": [], "insertion": []} for fill in FILLS}
    generator = torch.Generator().manual_seed(SEED)
    for start in range(0, len(chosen), BATCH):
        images = model.normalize(test.images[chosen[start : start + BATCH]]).to(_device(model))
        maps, classes = _maps_of(model, images, generator)
        for fill in FILLS:
            # The same random fifths for each batch, so for each picture.
            costs = cover(model, images, maps[:, :3], classes, torch.Generator().manual_seed(SEED), fill=fill)
            cost = torch.cat([costs.brightest, costs.random.mean(1, keepdim=True)], dim=1)
            deletion, insertion = deletion_insertion(model, images, maps, classes, fill)
            for name, values in (("cost", cost), ("deletion", deletion), ("insertion", insertion)):
                found[fill][name].append(values.cpu())
        tell(min(1.0, (start + BATCH) / len(chosen)))
    return {"n": len(chosen)} | {
        fill: {name: _means(torch.cat(values)) for name, values in measured.items()} for fill, measured in found.items()
    }


def _maps_of(model: ViT, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(B, 4, h*w), in the order of MAPS, and the predicted classes, which relevance is for."""
    logits, rows, rolled = read_attention(model, images)
    classes, prefix = logits.argmax(1), model.num_prefix_tokens
    relevance = torch.empty(len(images), rows.shape[-1] - prefix, device=images.device)
    for c in classes.unique().tolist():
        those = classes == c
        relevance[those] = probing.relevance(model, images[those], [c])[:, 0].flatten(1)
    guesses = torch.rand(relevance.shape, generator=generator).to(relevance)
    maps = [rows[:, -1].mean(1)[:, prefix:], rolled[:, -1, prefix:], relevance, guesses]
    return torch.stack(maps, dim=1), classes


def _heads(material: Material, tell: Callable[[float], object]) -> dict:
    """Per layer and head, of `read_rows`: mean entropy in nats and the share that prefix tokens get."""
    model, chosen = material.model, _order(material)[: material.pictures]
    entropy = prefix = torch.zeros(model.num_maps, model.num_heads)
    for start in range(0, len(chosen), BATCH):
        images = model.normalize(material.splits.test.images[chosen[start : start + BATCH]]).to(_device(model))
        _, rows, _ = read_attention(model, images)
        entropy = entropy + attention_entropy(rows[..., None, :])[..., 0].sum(0).cpu()
        prefix = prefix + rows[..., : model.num_prefix_tokens].sum((0, -1)).cpu()
        tell(min(1.0, (start + BATCH) / len(chosen)))
    return {"n": len(chosen), "entropy": (entropy / len(chosen)).tolist(), "prefix": (prefix / len(chosen)).tolist()}


@torch.no_grad()
def _speed(material: Material, tell: Callable[[float], object], repeats: int = 50) -> dict:
    """Median milliseconds of one image after ten that are not counted, and the machine's float32 matmul TFLOP/s."""
    model, device = material.model, _device(material.model)
    image = torch.zeros(1, model.config["in_chans"], *[model.config["img_size"]] * 2, device=device)
    square = torch.rand(1024, 1024, device=device)

    def median(work: Callable[[], object]) -> float:
        seconds = []
        for _ in range(repeats + 10):
            started = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - started)
        return statistics.median(seconds[10:])

    model.eval()
    return {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "tflops": 2 * 1024**3 / median(lambda: square @ square) / 1e12,
        "latency": 1000 * median(lambda: model(image)),
        "latency_with_maps": 1000 * median(lambda: model(image, return_attention=True)),
    }


PARTS: dict[str, Callable[[Material, Callable[[float], object]], dict]] = {
    "accuracy": _accuracy,
    "calibration": _calibration,
    "covering": _covering,
    "heads": _heads,
    "foreign": _foreign,
    "speed": _speed,
    "corruptions": _corruptions,
}


def _order(material: Material) -> Tensor:
    """Indices of the test pictures, mixed."""
    return torch.randperm(len(material.splits.test), generator=torch.Generator().manual_seed(SEED))


def _logits(model: ViT, dataset: Dataset) -> tuple[Tensor, Tensor]:
    logits, labels = zip(*predict(model, dataset, autocast=False), strict=True)
    return torch.cat(logits).cpu(), torch.cat(labels).cpu()


def _means(values: Tensor) -> list[list[float]]:
    """Of each column of (n, M): its mean and 1.96 standard errors."""
    spread = 1.96 * values.std(0) / len(values) ** 0.5
    return [[round(m, 5), round(s, 5)] for m, s in zip(values.mean(0).tolist(), spread.tolist(), strict=True)]


def _device(model: ViT) -> torch.device:
    return next(model.parameters()).device
