"""python -m vit few: what a trained parent is worth with few pictures, as a table."""

import argparse
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from vit import few
from vit.cli.flags import DEVICE, JSON, percent, print_report
from vit.cli.inputs import load
from vit.data.registry import DATASETS, preferred
from vit.device import choose_device
from vit.training.finetune import WAYS


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    parser.add_argument("--dataset", default=preferred().name, choices=list(DATASETS), help="whose classes are learned")
    parser.add_argument("--classes", nargs="+", required=True, metavar="CLASS", help="of which there are few pictures")
    parser.add_argument("--each", type=int, default=20, help="training pictures a class")
    parser.add_argument("--seeds", type=int, default=5, help="of each way")
    parser.add_argument("--minutes", type=float, default=4.0, help="that the parent learns all other classes")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="keeps every result; go on by the same line"
    )
    parser.add_argument("--device", **DEVICE)
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    splits = load(arguments.dataset)
    classes = tuple(name for name in splits.train.classes if name in arguments.classes)
    unknown = tuple(name for name in arguments.classes if name not in classes)
    plan = few.Plan(arguments.dataset, classes + unknown, arguments.each, arguments.seeds, arguments.minutes)
    with tqdm(total=1 + len(WAYS) * plan.seeds, bar_format="{desc} {percentage:3.0f}% {bar}| {elapsed}") as bar:

        def show(done: float, what: str) -> None:
            bar.set_description_str(what)
            bar.update(max(0.0, done - bar.n))

        for measured in few.measure(plan, splits, arguments.out, choose_device(arguments.device), show):
            bar.update((measured.parent is not None) + len(measured.results) - bar.n)
    n = sum(name not in classes for name in splits.train.classes)
    text = (
        f"{len(classes)} classes of {plan.dataset} ({', '.join(classes)}), {plan.each} training pictures of each, "
        f"tested on all their test images. Parent: {plan.model}, {plan.minutes:g} minutes on the other {n} classes, of "
        f"whose test images it names {percent(measured.parent)}.\n\n{measured.table}"
    )
    print_report(arguments.json, asdict(measured), text)
