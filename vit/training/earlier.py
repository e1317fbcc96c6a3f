"""What a model was at earlier moments of its run: checkpoints like any other, in half the size, beside its weights.

They lie in moments/step-.../ of its folder, whoever trained: the page or the command line.
"""

import shutil
from pathlib import Path

import torch

from vit.weights import description
from vit.weights.checkpoint import CONFIG, save_pretrained

FOLDER = "moments"
SHARES = (0.0, *(0.5**n for n in range(6, 0, -1)), 1.0)  # of a run, at which its model is kept


def reached(done: float) -> int:
    """How many of SHARES a run is past that has done this share."""
    return sum(share <= done for share in SHARES)


def keep(model: torch.nn.Module, folder: Path, step: int) -> None:
    """Writes the model as it is to a run's folder. Raises OSError where that fails."""
    save_pretrained(model, path(folder, step), torch.float16)


def forget(folder: Path, after: int = -1) -> None:
    """Deletes the models that were kept after a step."""
    for step in kept(folder):
        if step > after:
            shutil.rmtree(path(folder, step))


def path(folder: Path, step: int) -> Path:
    """Where the model of that step lies, if it was kept."""
    return folder / FOLDER / f"step-{step:07}"


def kept(folder: Path) -> dict[int, float | None]:
    """Steps at which the model was kept, in order, each with its epoch, None where that can't be read."""
    steps = sorted(int(found.name.removeprefix("step-")) for found in (folder / FOLDER).glob("step-" + "[0-9]" * 7))
    return {step: _epoch(path(folder, step)) for step in steps if (path(folder, step) / CONFIG).is_file()}


def _epoch(folder: Path) -> float | None:
    try:
        trained = description.read(folder / CONFIG).get("trained", {})
        return float(trained.get("epochs", 0.0 if trained.get("steps") == 0 else None))
    except (OSError, ValueError, TypeError, AttributeError):
        return None
