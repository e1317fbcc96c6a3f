"""python -m vit pictures: chooses a dozen test pictures worth looking at first, and writes down which, and why."""

import argparse
import json

from tqdm import tqdm

from vit.cli.flags import JSON, print_report
from vit.cli.inputs import checkpoint_folder, splits_of
from vit.data.registry import DATASETS
from vit.interpret.analysis import Analysis
from vit.interpret.curated import RULE, Seen, curate
from vit.model import ViT
from vit.weights.checkpoint import PICTURES, write_text


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    parser.add_argument("folder", help="a checkpoint folder, in which pictures.json is written")
    parser.add_argument("--among", type=int, default=1000, help="the first so many pictures of the test set")
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    folder = checkpoint_folder(arguments.folder, "The choice")
    model = ViT.from_pretrained(folder)
    test = splits_of(model, None).test
    if test.name not in DATASETS:
        raise ValueError(
            f"The page shows test pictures of {', '.join(DATASETS)} alone, and this model knows {test.name}; choose "
            "among the pictures by hand."
        )
    if test.classes != DATASETS[test.name].classes:
        raise ValueError(f"Pictures are told by their place in all of {test.name}; this model knows some classes only.")
    if not 1 <= arguments.among <= len(test):
        raise ValueError(f"--among must be 1 to {len(test)}, the test set's size, got {arguments.among}.")
    seen = []
    for i in tqdm(range(arguments.among), unit="pictures"):
        mask = None if test.masks is None else test.masks[i]
        seen.append(Seen.of(Analysis(model, test.images[i], mask), int(test.labels[i])))
    pictures = [{"index": i, "why": why} for i, why in curate(seen)]
    chosen = {"dataset": test.name, "classes": model.classes, "among": arguments.among, "rule": RULE}
    write_text(json.dumps({**chosen, "pictures": pictures}, indent=1) + "\n", folder / PICTURES)
    lines = [f"{test.classes[test.labels[one['index']]]} {one['index']}: {one['why']}" for one in pictures]
    print_report(arguments.json, {"pictures": pictures}, "\n".join([*lines, f"Written to {folder / PICTURES}."]))
