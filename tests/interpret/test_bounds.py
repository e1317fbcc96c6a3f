"""Intervals of bounded means: they cover what they say, whatever the distribution, and narrow with n."""

import pytest
import torch

from vit.interpret.bounds import mean_bounds

DISTRIBUTIONS = {  # draws in [-1, 1] and their mean
    "mostly nothing, rarely much": (lambda u: torch.where(u < 0.03, 0.9, 0.001), 0.03 * 0.9 + 0.97 * 0.001),
    "rarely much harm": (lambda u: torch.where(u < 0.05, -0.7, 0.0), -0.035),
    "skewed": (lambda u: u**12, 1 / 13),
    "uniform": (lambda u: 2 * u - 1, 0.0),
    "coin": (lambda u: torch.where(u < 0.5, 1.0, -1.0), 0.0),
    "constant": (lambda u: torch.full_like(u, 0.01), 0.01),
}


@pytest.mark.parametrize("name", list(DISTRIBUTIONS))
@pytest.mark.parametrize("n", [2, 20, 40, 200])
def test_at_least_93_of_100_intervals_hold_the_mean(name, n):
    draw, mean = DISTRIBUTIONS[name]
    uniform = torch.rand(n, 1000, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    low, high = mean_bounds(draw(uniform), -1, 1)
    assert ((low <= mean) & (mean <= high)).double().mean() >= 0.93


def test_all_of_many_intervals_hold_at_once_as_often():
    draw, mean = DISTRIBUTIONS["mostly nothing, rarely much"]
    uniform = torch.rand(100, 200, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    low, high = mean_bounds(draw(uniform), -1, 1, together=24)
    assert ((low <= mean) & (mean <= high)).all(1).double().mean() >= 0.93


def test_intervals_narrow_with_the_number_of_values_and_widen_with_what_holds_at_once():
    values = 0.1 * torch.rand(800, 1, generator=torch.Generator().manual_seed(0))
    widths = [(high - low).item() for low, high in (mean_bounds(values[:n], -1, 1) for n in (0, 5, 50, 200, 800))]
    assert widths == sorted(widths, reverse=True) and widths[0] == 2 and widths[-1] < 0.03
    low, high = mean_bounds(values, -1, 1, together=24)
    assert high - low > widths[-1]


def test_an_interval_is_within_the_bounds_moves_with_the_values_and_mirrors_with_them():
    values = torch.rand(60, 3, generator=torch.Generator().manual_seed(0))
    low, high = mean_bounds(values, 0, 1)
    assert ((low >= 0) & (low < values.mean(0)) & (values.mean(0) < high) & (high <= 1)).all()
    torch.testing.assert_close(
        torch.stack(mean_bounds(-3 * values, -3, 0)), torch.stack([-3 * high, -3 * low]), rtol=1e-3, atol=1e-4
    )
