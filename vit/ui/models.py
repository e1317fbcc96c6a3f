"""The models a visitor can choose: the checkpoints that come with the app, and the runs that this page trained."""

from functools import lru_cache
from pathlib import Path

from vit import shapes
from vit.checkpoint import CONFIG, from_pretrained
from vit.model import ViT
from vit.ui import runs, saved
from vit.ui.datasets import LABELS, SOURCES

CHECKPOINTS = Path(__file__).parents[2] / "checkpoints"
ADVICE = "There is no model yet. Train one: a minute on Shapes is enough."


def shipped() -> list[str]:
    """Names of the checkpoints, CIFAR-10's first."""
    return sorted((config.parent.name for config in CHECKPOINTS.glob(f"*/{CONFIG}")), key=lambda n: (n != "cifar10", n))


def default() -> str | None:
    """The first checkpoint whose dataset is at hand, else the first at all."""
    names = shipped()
    ready = [name for name in names if SOURCES[dataset(find(name))].splits is not None]
    return next(iter(ready or names), None)


def find(key: str | None) -> ViT:
    """The model of a checkpoint's name or a run's id, on the CPU. Raises ValueError, naming the remedy."""
    if not key:
        raise ValueError(ADVICE)
    if key in shipped():
        return _load(CHECKPOINTS / key, (CHECKPOINTS / key / CONFIG).stat().st_mtime)
    try:
        run = runs.find(key)
    except ValueError as error:
        message = f"No model is called {key!r}; choose {', '.join(shipped())} or the id of a run still kept."
        raise ValueError(message) from error
    if run.live:
        raise ValueError("This model is still being trained; wait until the run ends, or stop it.")
    if run.model is not None:
        return run.model
    if (folder := saved.folder(key)) is None:
        raise ValueError("This run ended before there was a model; start another.")
    return _load(folder, (folder / CONFIG).stat().st_mtime)


def available(key: str) -> bool:
    """Whether there is a finished model of that name or run's id."""
    return key in shipped() or (key in runs.RUNS and runs.RUNS[key].model is not None and not runs.RUNS[key].live)


@lru_cache(maxsize=4)
def _load(folder: Path, saved_at: float) -> ViT:
    return from_pretrained(folder)


def dataset(model: ViT) -> str:
    """Name of the dataset whose classes the model tells apart."""
    known = model.trained.get("dataset")
    return known if known in LABELS else ("shapes" if tuple(model.classes) == shapes.CLASSES else "cifar10")


def name(model: ViT) -> str:
    return model.trained.get("model", "vit").replace("_", "-")


def choices(own_runs: list[str]) -> list[tuple[str, str]]:
    """(label, key) of what this page can choose, its newest run first."""
    keys = [run_id for run_id in reversed(own_runs) if run_id in runs.RUNS and runs.RUNS[run_id].usable] + shipped()
    return [(title(key, own_runs) + _facts(find(key)), key) for key in keys]


def title(key: str, own_runs: list[str]) -> str:
    """Variant and dataset, and for this page's runs the how-manieth it is."""
    model = find(key)
    mine = f"Your run {own_runs.index(key) + 1}: " if key in own_runs else ""
    return f"{mine}{name(model)} · {LABELS[dataset(model)]}"


def accuracy(model: ViT) -> float | None:
    """On test images where that was measured, else on validation images, in [0, 1]."""
    return model.trained.get("test_accuracy") or model.trained.get("validation_accuracy")


def _facts(model: ViT) -> str:
    measured = "" if accuracy(model) is None else f" · {accuracy(model):.1%}"
    return f" · {len(model.blocks)} × {model.num_heads} heads{measured}"
