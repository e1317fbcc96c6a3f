"""Intervals that hold: for few values, for skewed ones, at whatever the range."""

import pytest
import torch

from vit.interpret.intervals import mean_interval, ratio_interval, samples_needed

LAWS = {  # samples (n, k) in [-1, 1] and their mean, like what single heads do to a probability
    "mostly nothing, rarely a lot": lambda n, k, g: (torch.rand(n, k, generator=g).sub(0.97).clamp_min(0) * 20, 0.009),
    "skewed": lambda n, k, g: (torch.rand(n, k, generator=g) ** 8, 1 / 9),
    "small, of both signs": lambda n, k, g: (0.05 * torch.randn(n, k, generator=g).clamp(-19, 19), 0.0),
    "all or nothing": lambda n, k, g: ((torch.rand(n, k, generator=g) < 0.5).float(), 0.5),
}


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("n", [2, 10, 20, 40, 200])
def test_an_interval_of_95_percent_covers_the_mean_at_least_that_often(law, n):
    samples, mean = LAWS[law](n, 1000, torch.Generator().manual_seed(n))
    low, high = mean_interval(samples, -1, 1)
    assert ((low <= mean) & (mean <= high)).float().mean() >= 0.95


def test_intervals_get_narrower_and_do_not_depend_on_the_unit():
    samples = torch.rand(1000, 5, generator=torch.Generator().manual_seed(0))
    widths = [(high - low).mean().item() for low, high in (mean_interval(samples[:n], 0, 1) for n in (10, 100, 1000))]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]
    low, high = mean_interval(samples, 0, 1)
    other_low, other_high = mean_interval(5 - 3 * samples, 2, 5)
    torch.testing.assert_close(other_high, 5 - 3 * low, atol=1e-5, rtol=0)
    torch.testing.assert_close(other_low, 5 - 3 * high, atol=1e-5, rtol=0)
    assert (mean_interval(samples, 0, 1, 0.001)[0] < low).all()


def test_without_samples_anything_may_be_and_out_of_range_is_refused():
    assert [end.tolist() for end in mean_interval(torch.empty(0, 2), -1, 1)] == [[-1, -1], [1, 1]]
    with pytest.raises(ValueError, match=r"from 0 to 1, got"):
        mean_interval(torch.tensor([0.5, 1.5]), 0, 1)


@pytest.mark.parametrize("n", [20, 100])
def test_an_interval_of_a_ratio_covers_it_and_narrows(n):
    """Of what covering costs: a skewed cost of random patches, and one of the brightest that goes along with it."""
    generator = torch.Generator().manual_seed(n)
    bottom = torch.rand(n, 200, generator=generator) ** 4  # mean 1/5
    top = bottom / 2 + (torch.rand(n, 200, generator=generator) < 0.5) / 2  # mean 1/10 + 1/4
    low, high = ratio_interval(top, bottom)
    assert ((low <= 1.75) & (high >= 1.75)).float().mean() >= 0.95
    if n == 100:
        assert low.mean() > 1.1 and high.mean() < 3.2


def test_a_ratio_to_what_may_be_nothing_has_no_upper_end():
    bottom = torch.tensor([0.3, -0.3]).repeat(50)[:, None]
    low, high = ratio_interval(torch.full_like(bottom, 0.5), bottom)
    assert low.item() > 1 and high.isinf().all()


def test_about_as_many_samples_are_needed_as_then_do():
    generator = torch.Generator().manual_seed(0)
    samples = 0.03 + 0.1 * torch.randn(5000, generator=generator).clamp(-9, 9)
    needed = int(samples_needed(samples, -1, 1))
    assert mean_interval(samples[: 2 * needed], -1, 1)[0] > 0
    assert mean_interval(samples[: needed // 2], -1, 1)[0] < 0
