"""python -m vit evaluate: accuracy on the test images, overall and per class."""

import argparse
import math

import torch
from torch import Tensor
from tqdm import tqdm

from vit.cli.flags import CHECKPOINT, DEVICE, JSON, percent, print_report
from vit.cli.inputs import splits_of
from vit.data import Dataset
from vit.device import choose_device
from vit.evaluation import Evaluation, evaluate
from vit.model import Classifier
from vit.report.comparison import Comparison, compare


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    parser.add_argument("folder", help=CHECKPOINT)
    parser.add_argument("--dataset", help="the one it was trained on if not given")
    parser.add_argument(
        "--compare",
        metavar="OTHER",
        help="another checkpoint, on the same images: who is better, by McNemar's exact test",
    )
    parser.add_argument("--card", action="store_true", help=argparse.SUPPRESS)  # of older versions
    parser.add_argument("--device", **DEVICE)
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    if arguments.card:
        raise ValueError(f"--card has become a command of its own: python -m vit report {arguments.folder}")
    model = Classifier.from_pretrained(arguments.folder).to(choose_device(arguments.device))
    test = splits_of(model, arguments.dataset).test
    other = _other(arguments, model)
    seen = None if other is None else _as_taken_by(other, model, test)
    result, right = _evaluated(model, test)
    shares = [None if math.isnan(share) else share for share in result.per_class]  # of a class without images
    per_class = dict(zip(test.classes, shares))
    report = {
        "accuracy": result.accuracy,
        "n": result.n,
        "images_per_second": result.images_per_second,
        "loss": result.loss if math.isfinite(result.loss) else None,
        "dataset": test.name,
        "split": test.split,
        "per_class": per_class,
        "confusion": result.confusion.tolist(),
    }
    width = max(map(len, test.classes))
    lines = [f"Test accuracy {percent(result.accuracy)} on {result.n:,} images of {test.name}.", ""]
    lines += [f"{'':>{width}}  recognized  taken for (rows: true class, counts)"]
    for (name, share), row in zip(per_class.items(), result.confusion.tolist()):
        lines.append(f"{name:>{width}}  {percent(share):>10}  {' '.join(f'{count:5}' for count in row)}")
    if other is not None and seen is not None:
        found = compare(right, _evaluated(other, seen)[1])
        report["comparison"] = {"other": arguments.compare, **vars(found)}
        lines += ["", _compared(arguments, found)]
    print_report(arguments.json, report, "\n".join(lines))


def _evaluated(model: Classifier, test: Dataset) -> tuple[Evaluation, Tensor]:
    """How the model does, and which images it names correctly, bool (n,)."""
    right: list[Tensor] = []
    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}") as bar:
        result = evaluate(
            model,
            test,
            lambda done, desc: (bar.set_description(desc), bar.update(100 * done - bar.n)),
            precision="fp32",
            each=lambda logits, labels: right.append((logits.argmax(1) == labels).cpu()),
        )
    return result, torch.cat(right)


def _other(arguments: argparse.Namespace, model: Classifier) -> Classifier | None:
    """What it is compared with. Raises ValueError where that tells other classes apart, before anything is computed."""
    if arguments.compare is None:
        return None
    other = Classifier.from_pretrained(arguments.compare).to(choose_device(arguments.device))
    if other.classes != model.classes:
        raise ValueError(
            f"--compare needs a model of the same classes, {', '.join(model.classes)}; {arguments.compare} has "
            f"{', '.join(other.classes)}."
        )
    return other


def _as_taken_by(other: Classifier, model: Classifier, test: Dataset) -> Dataset:
    """The model's test set in the size and channels that the other takes."""
    same = all(other.config[name] == model.config[name] for name in ("img_size", "in_chans"))
    return test if same else splits_of(other, test.name).test


def _compared(arguments: argparse.Namespace, found: Comparison) -> str:
    return (
        f"{arguments.compare}: {percent(found.second)}. Only {arguments.folder} is right on {found.only_first} images, "
        f"only the other on {found.only_second}; McNemar's exact test: p = {found.p_value:.3g}."
    )
