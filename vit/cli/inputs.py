"""What commands work on: a dataset, loaded with a progress bar, and the part of it that a model knows."""

import sys
from collections.abc import Collection
from pathlib import Path

from tqdm import tqdm

from vit import data
from vit.data.dataset import fitted
from vit.data.registry import Entry, entry, preferred
from vit.model import Classifier


def checkpoint_folder(name: str, what: str) -> Path:
    """The folder of a checkpoint, into which something is written. Raises ValueError where it is none."""
    if not (folder := Path(name)).is_dir():
        raise ValueError(f"{what} is written into the checkpoint's folder, and {folder} is none; download it first.")
    return folder


def load(name: str, validation_size: int | None = None, img_size: int | None = None) -> data.Splits:
    """The dataset, with a progress bar once loading takes a while; what could not be used is said on stderr."""
    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}", delay=1, leave=False) as bar:

        def show(done: float, desc: str) -> None:
            bar.set_description(desc)
            bar.update(100 * done - bar.n)

        splits = data.load(name, validation_size=validation_size, progress=show, img_size=img_size)
    if said := entry(name, img_size).left_out:
        print(said, file=sys.stderr)
    return splits


def splits_of(model: Classifier, name: str | None, used: Collection[str] = ("test",)) -> data.Splits:
    """The data whose classes the model knows, with what it did not learn from held out. Raises ValueError on others.

    used: the splits that are wanted, scaled to the model's size; the others are left empty.
    """
    if not model.classes:
        raise ValueError("The model has no class head: it names nothing to measure. See where it looks: vit attention.")
    own = model.trained.get("dataset", preferred().name)
    channels, size = model.config["in_chans"], model.config["img_size"]
    splits = load(name or own, model.trained.get("validation_size") if name in (None, own) else None, size)
    if name in (None, own):
        check_same(entry(own, size), model.trained.get("pictures"))
    if set(model.classes) < set(splits.test.classes):
        splits = data.select_classes(splits, model.classes)
    if model.classes != splits.test.classes:
        raise ValueError(f"The model's classes, {', '.join(model.classes)}, are not those of {splits.test.name}.")
    wanted = (split if split.split in used else split.take(slice(0)) for split in splits)
    return data.Splits(*(fitted(split, channels, size) for split in wanted))


def check_same(about: Entry, before: int | None) -> None:
    """Raises ValueError where pictures came or went since training began, when there were so many; None if unknown.

    All are then dealt out anew, and of those to test with the model has learned from some.
    """
    there = about.pictures
    if isinstance(before, int) and there is not None and before != there:
        raise ValueError(
            f"{about.name} has {there:,} pictures, and had {before:,} when the model was trained: those to test with "
            "are others now, and it learned from some of them. Undo the change, or train anew."
        )
