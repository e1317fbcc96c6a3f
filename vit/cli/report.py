"""python -m vit report: measures a checkpoint on its test set and writes its card."""

import argparse

from tqdm import tqdm

from vit import data
from vit.cli.flags import CHECKPOINT, DEVICE, JSON, percent, print_report
from vit.cli.inputs import checkpoint_folder, load, splits_of
from vit.data.dataset import fitted
from vit.device import choose_device
from vit.model import Classifier


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    parser.add_argument("folder", help=CHECKPOINT)
    parser.add_argument("--dataset", help="the one it was trained on if not given")
    parser.add_argument(
        "--pictures",
        type=int,
        default=100,
        help="test images to delete and insert patches of; ten times as many are covered, five times as many corrupted",
    )
    parser.add_argument("--device", **DEVICE)
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    from vit.report.card import write_card  # when called: figures need matplotlib
    from vit.report.measure import MORE, Inputs, measure, parts_of

    folder = checkpoint_folder(arguments.folder, "The report")
    model = Classifier.from_pretrained(folder).to(choose_device(arguments.device))
    splits = splits_of(model, arguments.dataset, ("validation", "test"))
    if not 2 <= arguments.pictures <= len(splits.test):
        raise ValueError(f"--pictures must be 2 to {len(splits.test)}, the test set's size, got {arguments.pictures}.")
    others = _foreign(splits.test).take(slice(MORE * arguments.pictures))  # no more are read
    foreign = fitted(others, model.config["in_chans"], model.config["img_size"])
    names = parts_of(model)
    with tqdm(total=len(names), bar_format="{desc} {percentage:3.0f}% {bar}| {elapsed}") as bar:

        def show(part: str, done: float) -> None:
            bar.set_description_str(part)
            bar.update(names.index(part) + done - bar.n)

        def write(parts: dict[str, dict]) -> None:
            write_card(model, parts, folder, arguments.pictures, splits.test.name)

        parts = measure(Inputs(model, splits, foreign, arguments.pictures), folder, show, write)
    accuracy, calibration = parts["accuracy"], parts["calibration"]
    text = (
        f"Test accuracy {percent(accuracy['accuracy'])} on {accuracy['n']:,} images of {splits.test.name}; as trained "
        f"{calibration['before']['direction']}, at temperature {calibration['temperature']} "
        f"{calibration['after']['direction']}. The rest is in {folder / 'README.md'}."
    )
    print_report(arguments.json, parts, text)


def _foreign(test: data.Dataset) -> data.Dataset:
    """Pictures of none of the classes, of the first other dataset that has some and can be had. Raises ValueError."""
    known, why = {name.lower() for name in test.classes}, "no other dataset shows any"
    for name, about in data.DATASETS.items():
        others = [kind for kind in about.classes if kind.lower() not in known]
        if name == test.name or not others:
            continue
        try:
            return data.select_classes(load(name), others).test
        except data.DatasetUnavailable as error:
            why = str(error)
    raise ValueError(f"A report needs pictures of something else than {', '.join(test.classes)}: {why}")
