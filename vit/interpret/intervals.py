"""Confidence intervals of means of bounded values, valid for any number of them and any distribution.

Waudby-Smith & Ramdas 2024, "Estimating means of bounded random variables by betting" (arXiv:2010.09686), section 4.4:
the hedged capital. Somebody who bets, value by value, that the mean is another than m multiplies his stake by 40 with
a chance of 1 in 40 at most if it is m; so an m against which he got rich is not in the 95% interval. Unlike the usual
1.96 standard errors it holds for few values and for skewed ones, as the effects of single heads are; it is wider.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

BOLDEST = 0.9  # of a stake that could lose everything with one value
BISECTIONS = 24  # ends are found to within 2^-24 of the range
LARGEST_RATIO = 1000.0


@torch.no_grad()
def mean_interval(samples: Tensor, low: float, high: float, alpha: float = 0.05) -> tuple[Tensor, Tensor]:
    """Lower and upper end of the mean's interval, over dim 0.

    samples: (n, ...), independent and alike, all in [low, high]. alpha: in (0, 1), the chance that the interval misses
    the mean, at most. Returns two tensors (...) in [low, high]; with few samples they are far apart. Raises ValueError
    where a sample is out of range.
    """
    if len(samples) and not (samples.min() >= low and samples.max() <= high):
        raise ValueError(f"The samples must be from {low} to {high}, got {samples.min():.3g} to {samples.max():.3g}.")
    x = (samples.double() - low) / (high - low)
    lower, upper = _lower_end(x, alpha), 1 - _lower_end(1 - x, alpha)
    return (low + (high - low) * lower).to(samples), (low + (high - low) * upper).to(samples)


@torch.no_grad()
def ratio_interval(top: Tensor, bottom: Tensor, alpha: float = 0.05) -> tuple[Tensor, Tensor]:
    """Lower and upper end of the interval of mean(top) / mean(bottom), over dim 0: where the bottom's mean is positive.

    top, bottom: (n, ...), of the same draws, in [-1, 1]. A ratio r is left out, as by Fieller 1954, where the mean of
    top - r * bottom is surely not 0. The lower end is 0 at least, the upper one infinity above LARGEST_RATIO.
    """

    def ends(ratio: Tensor) -> tuple[Tensor, Tensor]:
        return mean_interval((top - ratio * bottom) / (1 + ratio), -1, 1, alpha)

    def last(holds: Callable[[Tensor], Tensor]) -> Tensor:
        """The largest ratio up to which it holds."""
        below, above = torch.zeros_like(top[0]), torch.full_like(top[0], LARGEST_RATIO)
        for _ in range(BISECTIONS):
            m = (below + above) / 2
            held = holds(m)
            below, above = torch.where(held, m, below), torch.where(held, above, m)
        return below

    top, bottom = top.double(), bottom.double()
    lower, upper = last(lambda ratio: ends(ratio)[0] > 0), last(lambda ratio: ends(ratio)[1] >= 0)
    return lower, torch.where(ends(torch.full_like(upper, LARGEST_RATIO))[1] >= 0, torch.inf, upper)


def samples_needed(samples: Tensor, low: float, high: float, alpha: float = 0.05) -> float:
    """About how many samples would tell the mean from 0, were mean and variance what they look like now.

    samples: (n,), n at least 2. Infinity where the mean is 0.
    """
    x = samples.double() / (high - low)
    mean, variance = x.mean().abs().item(), x.var().item()
    boldest = BOLDEST * (high - low) / max(abs(low), abs(high))
    bet = min(boldest, mean / variance if variance > 0 else boldest)
    growth = bet * mean - bet**2 * variance / 2  # of the capital's logarithm, with each sample
    return math.log(2 / alpha) / growth if growth > 0 else math.inf


def _lower_end(x: Tensor, alpha: float) -> Tensor:
    """The largest m that betting on more than m makes rich at; x: (n, ...) in [0, 1]."""
    n, goal = len(x), math.log(2 / alpha)  # half of the stake bets on more, half on less
    below, above = torch.zeros(x.shape[1:]).to(x), torch.ones(x.shape[1:]).to(x)
    if not n:
        return below
    # A bet may know only the values before it: their mean and variance, with one imagined value of 1/2 before all.
    counts = torch.arange(1, n + 1).to(x).view(-1, *[1] * (x.ndim - 1))
    means = (0.5 + x.cumsum(0)) / (counts + 1)
    variances = (0.25 + (x - means).square().cumsum(0)) / (counts + 1)
    variances = torch.cat([torch.full_like(variances[:1], 0.25), variances[:-1]])
    bets = (2 * goal / (n * variances)).sqrt()
    for _ in range(BISECTIONS):
        m = (below + above) / 2
        capital = torch.log1p(bets.minimum(BOLDEST / m) * (x - m)).cumsum(0).amax(0)
        rich = capital >= goal
        below, above = torch.where(rich, m, below), torch.where(rich, above, m)
    return below
