"""python -m vit predict: the five likeliest classes of one's own images."""

import argparse
from pathlib import Path

import torch

from vit.cli.flags import CHECKPOINT, JSON, percent, print_report
from vit.data.pictures import read_picture
from vit.model import Classifier


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    parser.add_argument("folder", help=CHECKPOINT)
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="cut to a square and resized")
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    model = Classifier.from_pretrained(arguments.folder)
    if not model.classes:
        raise ValueError(f"{arguments.folder} has no class head: it names nothing. See where it looks: vit attention.")
    pixels = torch.stack([read_picture(path, model.config["img_size"]) for path in arguments.images])
    with torch.no_grad():
        probabilities = model.probabilities(model(model.normalize(pixels)))
    report = {}
    for path, row in zip(arguments.images, probabilities):
        best = row.topk(min(5, len(row)))
        report[str(path)] = {model.classes[i]: p for p, i in zip(best.values.tolist(), best.indices.tolist())}
    lines = [f"{path}: " + ", ".join(f"{name} {percent(p)}" for name, p in top.items()) for path, top in report.items()]
    print_report(arguments.json, report, "\n".join(lines))
