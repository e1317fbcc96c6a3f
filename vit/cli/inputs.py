"""What commands work on: a dataset, loaded with a progress bar, and the part of it that a model knows."""

from tqdm import tqdm

from vit import data
from vit.data.registry import preferred
from vit.model import Classifier


def load(name: str, validation_size: int | None = None) -> data.Splits:
    """The dataset, with a progress bar once loading takes a while."""
    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}", delay=1, leave=False) as bar:

        def show(done: float, desc: str) -> None:
            bar.set_description(desc)
            bar.update(100 * done - bar.n)

        return data.load(name, validation_size=validation_size, progress=show)


def splits_of(model: Classifier, name: str | None) -> data.Splits:
    """The data whose classes the model knows, with what it did not learn from held out. Raises ValueError on others."""
    own = model.trained.get("dataset", preferred().name)
    splits = load(name or own, model.trained.get("validation_size") if name in (None, own) else None)
    if set(model.classes) < set(splits.test.classes):
        splits = data.select_classes(splits, model.classes)
    if model.classes != splits.test.classes:
        raise ValueError(f"The model's classes, {', '.join(model.classes)}, are not those of {splits.test.name}.")
    return splits
