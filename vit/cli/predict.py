"""python -m vit predict: the five likeliest classes of one's own images."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from vit.cli.flags import CHECKPOINT, JSON, percent, print_report
from vit.model import Classifier
from vit.prediction import Answer, Table, answer_files


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    parser.add_argument("folder", help=CHECKPOINT)
    parser.add_argument(
        "images", nargs="+", type=Path, metavar="IMAGE", help="cut to a square and resized; or a folder, or a zip"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="also write a row an image, with every class")
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    """A broken image is one line on stderr. Raises ValueError where no image could be answered."""
    model = Classifier.from_pretrained(arguments.folder)
    if not model.classes:
        raise ValueError(f"{arguments.folder} has no class head: it names nothing. See where it looks: vit attention.")
    report: dict[str, dict] = {}
    broken, answered = "", 0
    with ExitStack() as stack:
        table = None
        if arguments.csv is not None:
            target = arguments.csv  # errors: names of files need not be UTF-8
            file = stack.enter_context(open(target, "w", newline="", encoding="utf-8", errors="backslashreplace"))
            table = Table(file, model.classes)
        for found in answer_files(model, arguments.images):
            if found.archive:  # two may hold files of one name
                found.name = f"{found.archive}/{found.name}"
            if table:
                table.add(found)
            if found.probabilities is None:
                if broken:
                    print(broken, file=sys.stderr)
                broken = f"{found.name} {found.reason}"
                report[found.name] = {"error": found.reason}
                continue
            answered += 1
            best = _likeliest(found, model)
            if arguments.json:
                report[found.name] = best
            else:
                print(f"{found.name}: " + ", ".join(f"{name} {percent(p)}" for name, p in best.items()))
    if not answered:
        raise ValueError(broken)
    if broken:
        print(broken, file=sys.stderr)
    if arguments.json:
        print_report(True, report, "")


def _likeliest(found: Answer, model: Classifier) -> dict[str, float]:
    assert found.probabilities is not None
    best = found.probabilities.topk(min(5, len(found.probabilities)))
    return {model.classes[i]: p for p, i in zip(best.values.tolist(), best.indices.tolist())}
