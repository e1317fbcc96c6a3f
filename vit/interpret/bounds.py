"""Confidence intervals for means of bounded values, right at any number of them and whatever their distribution."""

import math

import torch
from torch import Tensor

CONFIDENCE = 0.95
PRIOR_VARIANCE = 0.01  # of values in [0, 1], before there are any; it makes intervals wider or narrower, never wrong
LARGEST_BET = 0.75  # share of the capital that one value can lose


def mean_bounds(values: Tensor, low: float, high: float, together: int = 1) -> tuple[Tensor, Tensor]:
    """Ends of the 95% interval of each mean over dim 0, two tensors of the other dims' shape.

    Hedged betting (Waudby-Smith & Ramdas 2020, arXiv:2010.09686, theorem 3): a mean is out where betting against it
    would have won 1 / error. values: (n, ...) independent draws in [low, high]. together: how many such intervals are
    to hold at once (Bonferroni). Without a value the interval is [low, high].
    """
    n, shape = len(values), values.shape[1:]
    x = ((values.double() - low) / (high - low)).clamp(0, 1)
    wins = math.log(2 * together / (1 - CONFIDENCE))
    if not n:
        return torch.full(shape, float(low)), torch.full(shape, float(high))
    count = torch.arange(1, n + 1, dtype=x.dtype).view(-1, *[1] * len(shape))
    mean = (0.5 + x.cumsum(0)) / (count + 1)
    variance = (PRIOR_VARIANCE + (x - mean).square().cumsum(0)) / (count + 1)
    before = torch.cat([torch.full_like(variance[:1], PRIOR_VARIANCE), variance[:-1]])  # a bet knows what came before
    bets = (2 * wins / (n * before)).sqrt()
    lower = _lower(x, bets, wins)
    upper = 1 - _lower(1 - x, bets, wins)
    return tuple((low + (high - low) * end).to(values.dtype) for end in (lower, upper))


def _lower(x: Tensor, bets: Tensor, wins: float) -> Tensor:
    """The largest mean that bets on more than it refute, by bisection: the larger the mean, the less they win."""
    refuted, kept = torch.zeros_like(x[0]), torch.ones_like(x[0])
    for _ in range(18):
        mean = (refuted + kept) / 2
        bet = torch.minimum(bets, LARGEST_BET / mean)
        won = torch.log1p(bet * (x - mean)).cumsum(0).amax(0) >= wins
        refuted, kept = torch.where(won, mean, refuted), torch.where(won, kept, mean)
    return refuted
