"""ZeroGPU: a GPU lent to one function call at a time, which runs in a fork of this process.

What goes in and comes out is pickled, globals that the fork changes stay its own, and no exceptions cross but Gradio's.
The quota is that of the visitor whose request the calling thread's context holds.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

from vit.live.space import ON_ZERO
from vit.training.config import TrainConfig

LONGEST_PAUSE = 60.0  # seconds; the GPU is only lent, and counts against the visitor's quota


def lend(task: Callable, seconds: Callable[..., int]) -> Callable:
    """The generator function as one that has a GPU while it runs; seconds gets its arguments. Elsewhere, the same."""
    if not ON_ZERO:
        return task
    import spaces  # ZeroGPU's machines have it; it has to come before anything touches CUDA

    return spaces.GPU(duration=seconds)(task)


def refusal(error: Exception) -> str | None:
    """Why no GPU is lent, such as a quota used up, in ZeroGPU's words; None for any other error.

    It refuses with gradio's Error, which is known by its name here: nothing of this package's training needs gradio.
    """
    kinds = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
    if "gradio.exceptions.Error" not in kinds:
        return None
    if getattr(error, "title", "") == "ZeroGPU worker error":  # whose message is no more than the name of an error
        return f"Training broke off on the lent GPU ({error.message}). Try a smaller model or batch, or start it again."
    return str(error.message)


class Letter:
    """What the owner wants of a run, handed in a file to the process where it trains."""

    def __init__(self, path: Path):
        self.path = path

    def write(self, pausing: bool, stopping: bool, lr: float | None) -> None:
        """Replaces what was wanted; lr: None for the run's own."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"pausing": pausing, "stopping": stopping, "lr": lr}), encoding="utf-8")
        os.replace(new, self.path)

    def steer(self, config: TrainConfig) -> bool:
        """Between two steps: waits while paused, changes config.lr; False once the run shall end."""
        since = time.monotonic()
        while True:
            wanted = json.loads(self.path.read_text(encoding="utf-8"))
            if wanted["stopping"] or time.monotonic() - since > LONGEST_PAUSE:
                return False
            if not wanted["pausing"]:
                config.lr = wanted["lr"] or config.lr
                return True
            time.sleep(0.1)
