"""What moves the weights: the optimizer's parameter groups, the rate's schedule, the average of the weights."""

import copy
import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from vit.model import Classifier

OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("cosine", "linear", "trapezoid")
MUON_RATE = 2.0  # as a multiple of AdamW's
HEADS = ("head.", "head_dist.")  # what the names of their parameters begin with
COOLDOWN = 0.3  # share of the run over which the trapezoid falls


def optimizers(
    model: nn.Module, name: str, lr: float, weight_decay: float, layer_decay: float = 1.0, head_alone: bool = False
) -> list[torch.optim.Optimizer]:
    """AdamW for all parameters, or Muon for the matrices and kernels of patch embedding and blocks, AdamW for the rest.

    Only matrices and convolution kernels are decayed: not biases, norms, tokens or position embeddings. Every
    parameter group has "rate", its learning rate as a multiple of the run's: layer_decay once for each layer that lies
    between it and the head (BEiT, Bao et al. 2022, arXiv:2106.08254). head_alone: nothing else is moved.
    """
    groups: dict[tuple[str, int], list[nn.Parameter]] = defaultdict(list)
    for key, parameter in model.named_parameters():
        if head_alone and not key.startswith(HEADS):
            continue
        is_weight = parameter.ndim >= 2 and not key.endswith(("_token", "pos_embed"))
        kind = "decayed" if is_weight else "free"
        if name == "muon" and key.startswith(("blocks.", "patch_embed.")) and parameter.ndim >= 2:
            kind = "fused" if key.endswith("qkv.weight") else "muon"
        groups[kind, _below_head(model, key) if layer_decay < 1 else 0].append(parameter)
    adamw, muon = [], []
    for (kind, below), parameters in sorted(groups.items(), key=lambda entry: entry[0]):
        group: dict[str, Any] = {"params": parameters, "rate": layer_decay**below}
        if kind in ("muon", "fused"):
            muon.append({**group, "rate": MUON_RATE * group["rate"], "parts": 3 if kind == "fused" else 1})
        else:
            adamw.append({**group, "weight_decay": weight_decay if kind == "decayed" else 0.0})
    first = torch.optim.AdamW(adamw, lr=lr, betas=(0.9, 0.95), fused=True)
    return [first, Muon(muon, lr, weight_decay)] if muon else [first]


def _below_head(model: nn.Module, key: str) -> int:
    """Layers between the parameter of that name and the head: 0 for head and read-out, most for the embeddings."""
    depth = len(model.blocks) if isinstance(model.blocks, nn.ModuleList) else 0
    if key.startswith("blocks."):
        return depth - int(key.split(".")[1])
    return 0 if key.startswith((*HEADS, "norm.", "attn_pool.")) else depth + 1


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalized before each step (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    A step is scaled to the size that AdamW's typically has (Liu et al. 2025, arXiv:2502.16982), so that both share one
    schedule and decay. Unlike torch.optim.Muon it works in any dtype, which is float32 until another is set, takes all
    matrices of a shape in one product, and a convolution's kernel (out, in, h, w) as a matrix of out rows. A group's
    "parts", 1 by default, says into how many matrices, each orthogonalized by itself, a weight's rows are divided: 3
    for q, k and v.
    """

    def __init__(self, weights: Iterable, lr: float, weight_decay: float, momentum: float = 0.95):
        defaults = {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "rate": MUON_RATE, "parts": 1}
        super().__init__(weights, defaults)
        self.dtype = torch.float32

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # without torch's closure
        for group in self.param_groups:
            alike = defaultdict(list)
            for weight in group["params"]:
                alike[weight.shape].append(weight)
            for shape, weights in alike.items():
                rows, columns = shape[0] // group["parts"], math.prod(shape[1:])
                updates = torch.stack([self._momentum(weight, group["momentum"]) for weight in weights])
                updates = orthogonalize(updates.view(-1, rows, columns).to(self.dtype)).view_as(updates)
                size = 0.2 * max(rows, columns) ** 0.5
                for weight, update in zip(weights, updates, strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.sub_(update, alpha=group["lr"] * size)

    def _momentum(self, weight: nn.Parameter, keep: float) -> Tensor:
        """Nesterov's: the gradient, moved towards its average over the steps."""
        state = self.state[weight]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(weight)
        average = state["momentum"]
        assert weight.grad is not None
        average.lerp_(weight.grad, 1 - keep)
        return weight.grad.lerp(average, keep)


def orthogonalize(matrices: Tensor) -> Tensor:
    """About the nearest semi-orthogonal matrix of each: all singular values end between 0.7 and 1.2.

    Five steps of a quintic Newton-Schulz iteration with Jordan's coefficients, which trade exactness for speed.
    matrices: (..., rows, columns); smallest singular values, below about 1e-3 of the norm, stay small.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = (matrices if wide else matrices.mT).reshape(-1, *sorted(matrices.shape[-2:]))
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)  # ax + (bG + cG^2)x
    return (x if wide else x.mT).reshape(matrices.shape)


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

    def __init__(self, model: Classifier, decay: float):
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, model: Classifier) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for average, new in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(new, 1 - decay)
            else:
                average.copy_(new)  # counts of batches
