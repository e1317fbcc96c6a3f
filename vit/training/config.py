"""The settings of a training run."""

import math
from dataclasses import dataclass

from vit.training.optim import OPTIMIZERS, SCHEDULES


@dataclass
class TrainConfig:
    """What a run is, besides its model and data. Raises ValueError on values that cannot work.

    batch_size: images a step; of each process, where there are several (torchrun).
    epochs or minutes: how long; exactly one is set. Minutes count the time spent in the loop, validation included,
        not the time its consumer takes between two steps.
    optimizer: "adamw", or "muon", which has Muon move the matrices and kernels of patch embedding and blocks, at twice
        the rate, and AdamW the rest.
    lr: peak learning rate; may be changed while the run goes on, and holds from the next step.
    warmup: share of the run over which the rate rises linearly from 0; then it falls to 0 in the schedule's shape,
        "cosine", "linear" or "trapezoid".
    weight_decay: of matrices and convolution kernels only, never of biases, norms, tokens or position embeddings.
    clip_norm: largest norm of all gradients together. crop: padding of the random crop in pixels, 0 for none.
    mixup, cutmix: alpha of each, 0 for none; with both, each step does one of them. patch_dropout: share of the patches
        left out of each image, which costs that much less. strong_until: share of the run after which none of these
        three is done, so that the end sees whole images. erase: probability of random erasing. colour: strength of the
        colour jitter.
    accumulate: parts that a batch is cut into, one after the other, where it does not fit into memory as a whole; the
        gradient is that of the whole batch, but that a conv stem's batch norms see a part alone. compile: whether
        torch.compile makes the model's forward pass faster; it takes about a minute first.
    autocast: whether to compute in bfloat16 where the device is fast at it; False is float32 throughout.
    ema: decay of the weights' moving average, which is then what is validated and kept; 0 for none.
    """

    epochs: float | None = None
    minutes: float | None = None
    batch_size: int = 128
    optimizer: str = "muon"
    lr: float = 3e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    schedule: str = "linear"
    crop: int = 2
    flip: bool = True
    mixup: float = 0.0
    cutmix: float = 0.0
    patch_dropout: float = 0.5
    strong_until: float = 0.6
    erase: float = 0.0
    colour: float = 0.0
    ema: float = 0.0
    accumulate: int = 1
    compile: bool = False
    autocast: bool = True
    seed: int = 0

    def __post_init__(self):
        if (self.epochs is None) == (self.minutes is None):
            raise ValueError(
                f"Set either epochs or minutes, got epochs={self.epochs} and minutes={self.minutes}; "
                f"epochs fix the work, minutes fix the time."
            )
        for name in ("epochs", "minutes", "batch_size", "lr", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be a positive number, got {value}.")
        for name in ("weight_decay", "crop", "mixup", "cutmix"):
            if not (getattr(self, name) >= 0 and math.isfinite(getattr(self, name))):
                raise ValueError(f"{name} must be 0 or positive, got {getattr(self, name)}.")
        for name in ("warmup", "label_smoothing", "ema", "patch_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}.")
        for name in ("strong_until", "erase", "colour"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1, got {getattr(self, name)}.")
        if self.seed < 0:
            raise ValueError(f"seed must be 0 or positive, got {self.seed}.")
        if not 1 <= self.accumulate <= self.batch_size or self.batch_size % self.accumulate:
            raise ValueError(f"accumulate must divide the batch of {self.batch_size}, got {self.accumulate}.")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"No schedule is called {self.schedule!r}; there are {', '.join(SCHEDULES)}.")
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"No optimizer is called {self.optimizer!r}; there are {', '.join(OPTIMIZERS)}.")
