"""What moves the weights: the optimizer's parameter groups, the rate's schedule, the average of the weights."""

import copy
import math

import torch
from torch import nn

SCHEDULES = ("cosine", "linear", "trapezoid")
COOLDOWN = 0.3  # share of the run over which the trapezoid falls


def adamw(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices and convolution kernels only: not biases, norms, tokens or position embeddings.

    Loshchilov & Hutter 2019 (arXiv:1711.05101).
    """
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        is_weight = parameter.ndim >= 2 and not name.endswith(("_token", "pos_embed"))
        (decayed if is_weight else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), fused=True)


def schedule(done: float, warmup: float, shape: str = "cosine") -> float:
    """Share of the peak rate after that share of the run: a linear rise, then down to 0.

    done, warmup: in [0, 1]. shape: "cosine" falls along half a cosine, "linear" evenly, "trapezoid" stays at the peak
    until the last 30% and falls evenly from there. The first step, at done = 0, already moves: it has a hundredth of
    the rate.
    """
    if done < warmup:
        return max(done / warmup, 0.01)
    left = (1 - done) / (1 - warmup)
    if shape == "trapezoid":
        return min(1.0, (1 - done) / min(COOLDOWN, 1 - warmup))
    return left if shape == "linear" else 0.5 * (1 - math.cos(math.pi * left))


class AveragedWeights:
    """Exponential moving average of a model's weights and running statistics (Polyak & Juditsky 1992).

    decay: in (0, 1); while few updates were made it is (1 + n) / (10 + n) if that is less, so that the average leaves
    the random start behind early. model: a copy with the average, in eval mode.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for average, new in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(new, 1 - decay)
            else:
                average.copy_(new)  # counts of batches
