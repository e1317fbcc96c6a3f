"""What this machine will manage, found out by trying for a second."""

import threading
import time
from functools import lru_cache

import torch

from vit.device import precision
from vit.model import create_model
from vit.ui import learning
from vit.ui.settings import BUILDING, IMG_SIZE, Settings

SECONDS = 1.0
BATCH = 32  # of the trial at most: a large model's first full batch alone may take longer than a second
_one_at_a_time = threading.Lock()


def images_per_second(settings: Settings) -> float:
    """Images trained a second, without loading and validation; the first call for a model takes a second or two."""
    with _one_at_a_time:
        shape = tuple(settings.shape.items())
        return _try(settings.variant, len(settings.classes), shape, min(BATCH, settings.config.batch_size))


@lru_cache(maxsize=64)
def _try(variant: str, classes: int, shape: tuple, batch_size: int) -> float:
    device = learning.device()
    with BUILDING:
        model = create_model(variant, img_size=IMG_SIZE, num_classes=classes, **dict(shape)).to(device)
        images = torch.randn(batch_size, 3, IMG_SIZE, IMG_SIZE, device=device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, fused=True)
    started, steps = 0.0, 0
    while steps < 2 or time.perf_counter() - started < SECONDS:
        if steps == 1:
            started = time.perf_counter()  # the first step is the slowest
        with precision(device):
            loss = model(images).float().logsumexp(1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        loss.item()
        steps += 1
    return batch_size * (steps - 1) / (time.perf_counter() - started)
