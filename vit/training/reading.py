"""What the loop asks of its device and of other processes, so rarely that a GPU never waits for its host."""

import torch
from torch import Tensor, distributed

from vit.training.config import TrainConfig
from vit.training.state import Stopwatch

READ_EVERY = 4  # steps between two looks at what a GPU computed


def steps_between(device: torch.device) -> int:
    """Steps from one reading to the next: a CPU has computed what it was told, so that reading costs nothing there."""
    return 1 if device.type == "cpu" else READ_EVERY


class Numbers:
    """Loss and accuracy of a step, (2,), as they are known after each; read every so many steps.

    Where that is not each step, what is read lies as many steps back: the host waits only where it is further ahead.
    """

    def __init__(self, every: int):
        self.every, self.steps = every, 0
        self.values = [0.0, 0.0]
        self.sent: Sent | None = None

    def read(self, measured: Tensor) -> list[float]:
        """measured: this step's, on its device. Returns the latest that are known."""
        if self.steps % self.every == 0:
            sent = Sent(measured)
            self.values = (self.sent or sent).values()
            self.sent = sent if self.every > 1 else None
        self.steps += 1
        return self.values


class Sent:
    """Numbers on their way to the host, which a CUDA device sends when it gets to it."""

    def __init__(self, measured: Tensor):
        self.numbers, self.arrived = measured, None
        if measured.device.type == "cuda":
            self.numbers = torch.empty(measured.shape, pin_memory=True).copy_(measured, non_blocking=True)
            self.arrived = torch.cuda.Event()
            self.arrived.record()

    def values(self) -> list[float]:
        if self.arrived is not None:
            self.arrived.synchronize()
        return self.numbers.tolist()


class Clock:
    """Seconds in the loop; where several processes train for minutes, the first one's, so that all stop together.

    Asking the others takes a GPU's answer: it is done every so many steps.
    """

    def __init__(self, own: Stopwatch, config: TrainConfig, every: int):
        self.own, self.every, self.steps = own, every, 0
        self.shared = distributed.is_initialized() and config.minutes is not None
        self.seconds = 0.0

    def read(self) -> float:
        """After a step."""
        if not self.shared:
            return self.own.elapsed
        if self.steps % self.every == 0:
            told = [self.own.elapsed]
            distributed.broadcast_object_list(told)
            self.seconds = told[0]
        self.steps += 1
        return self.seconds
