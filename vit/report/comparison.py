"""Two models on the same pictures: where they disagree, and whether one is better than chance would have it."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Comparison:
    """Of n pictures the shares that each got right, in [0, 1]; how many only the first, or only the second, got right;
    and the p-value of McNemar's exact test: how often two equally good models would differ at least so much."""

    n: int
    first: float
    second: float
    only_first: int
    only_second: int
    p_value: float


def compare(first: Tensor, second: Tensor) -> Comparison:
    """Of what two models got right, each (n,) bool of the same pictures. Raises ValueError without pictures."""
    if len(first) != len(second) or not len(first):
        raise ValueError(f"Expected the same pictures, at least one, got {len(first)} and {len(second)} answers.")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    shares = first.double().mean().item(), second.double().mean().item()
    return Comparison(len(first), *shares, only_first, only_second, mcnemar(only_first, only_second))


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's test (1947), exact: of a fair coin's throws, one for each picture that exactly one
    of the two got right, to be split at least so unevenly."""
    n, fewer, term, total = only_first + only_second, min(only_first, only_second), 1, 0
    for heads in range(fewer + 1):
        total += term
        term = term * (n - heads) // (heads + 1)
    return min(1.0, 2 * total / (1 << n))
