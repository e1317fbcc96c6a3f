"""python -m vit evaluate: accuracy on the test images, overall and per class, and the model's card."""

import argparse
from pathlib import Path

from tqdm import tqdm

from vit import data
from vit.cli.flags import CHECKPOINT, DEVICE, JSON, Command, percent, print_report
from vit.cli.inputs import load
from vit.data.registry import preferred
from vit.device import choose_device
from vit.evaluation import evaluate
from vit.model import ViT


def add(command: Command) -> None:
    """Names the flags."""
    sub = command("evaluate", run, "accuracy on the test images: overall, per class, confusion matrix")
    sub.add_argument("folder", help=CHECKPOINT)
    sub.add_argument("--dataset", choices=list(data.DATASETS), help="the one it was trained on if not given")
    sub.add_argument("--card", action="store_true", help="measure much more and write it into the folder's card")
    sub.add_argument("--device", **DEVICE)
    sub.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    device = choose_device(arguments.device)
    model = ViT.from_pretrained(arguments.folder).to(device)
    splits = load(arguments.dataset or model.trained.get("dataset", preferred().name))
    if set(model.classes) < set(splits.test.classes):
        splits = data.select_classes(splits, model.classes)
    test = splits.test
    if model.classes != test.classes:
        raise ValueError(f"The model's classes, {', '.join(model.classes)}, are not those of {test.name}.")
    folder = Path(arguments.folder)
    if arguments.card and not folder.is_dir():
        raise ValueError(f"--card writes into the checkpoint's folder, and {folder} is none; download it first.")
    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}") as bar:
        result = evaluate(
            model, test, lambda done, desc: (bar.set_description(desc), bar.update(100 * done - bar.n)), autocast=False
        )
    if arguments.card:
        _write_card(model, test, folder)
    per_class = dict(zip(test.classes, result.per_class))
    report = {
        "accuracy": result.accuracy,
        "n": result.n,
        "images_per_second": result.images_per_second,
        "loss": result.loss,
        "dataset": test.name,
        "split": test.split,
        "per_class": per_class,
        "confusion": result.confusion.tolist(),
    }
    width = max(map(len, test.classes))
    lines = [f"Test accuracy {percent(result.accuracy)} on {result.n:,} images of {test.name}.", ""]
    lines += [f"{'':>{width}}  recognised  taken for (rows: true class, counts)"]
    for (name, share), row in zip(per_class.items(), result.confusion.tolist()):
        lines.append(f"{name:>{width}}  {percent(share):>10}  {' '.join(f'{count:5}' for count in row)}")
    print_report(arguments.json, report, "\n".join(lines))


def _write_card(model: ViT, test: data.Dataset, folder: Path) -> None:
    from vit.report import measure, write_card

    foreign = load(next(name for name in data.DATASETS if name != test.name)).test
    with tqdm(bar_format="{desc} {elapsed}", leave=False) as bar:
        write_card(model, measure(model, test, foreign, lambda what: bar.set_description_str(f"Card: {what}")), folder)
