"""What this machine will manage, found out by trying for a second."""

import threading
from functools import lru_cache

from vit.live import worker
from vit.live.settings import DEFAULTS
from vit.training import presets
from vit.training.config import TrainConfig
from vit.training.spec import RunSpec
from vit.variants import create_model

widths: list[int] = []  # what find_width found, once it has
_one_at_a_time = threading.Lock()


def images_per_second(spec: RunSpec) -> float:
    """Images trained a second, without loading and validation; the first call for a model takes a second or two."""
    with _one_at_a_time:
        return _try(spec.model, tuple(spec.architecture.items()), spec.config.batch_size)


@lru_cache(maxsize=64)
def _try(variant: str, architecture: tuple[tuple[str, object], ...], batch_size: int) -> float:
    model = create_model(variant, **dict(architecture)).to(worker.device())
    return presets.images_per_second(model, TrainConfig(minutes=1, batch_size=batch_size))


def find_width() -> None:
    """Finds, in two to four seconds, the width with which the live preset learns most here in the proposed time."""
    with _one_at_a_time:
        widths.append(presets.fitting_width("vit_live", DEFAULTS, worker.device()))
