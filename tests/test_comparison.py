"""Two models on the same pictures, and how sure a model is: by hand, by laws, beside scipy-free sums."""

import math

import pytest
import torch

from vit.report.calibration import calibration_error, reliability
from vit.report.comparison import compare, mcnemar


@pytest.mark.parametrize(("one", "other"), [(0, 0), (5, 5), (1, 9), (12, 3), (0, 6), (40, 61)])
def test_mcnemars_exact_test_is_a_coins_two_sided_binomial_sum(one, other):
    n, fewer = one + other, min(one, other)
    by_hand = 2 * sum(math.comb(n, i) for i in range(fewer + 1)) / 2**n
    assert mcnemar(one, other) == pytest.approx(min(1.0, by_hand), rel=1e-12) == mcnemar(other, one)


def test_mcnemar_of_thousands_is_a_number():
    assert 0 < mcnemar(4800, 5200) < 1e-4 and mcnemar(5000, 5000) == 1


def test_a_comparison_counts_who_alone_is_right():
    first, second = torch.tensor([1, 1, 1, 0, 0]).bool(), torch.tensor([1, 0, 0, 1, 0]).bool()
    found = compare(first, second)
    assert (found.n, found.first, found.second, found.only_first, found.only_second) == (5, 0.6, 0.4, 2, 1)
    assert found.p_value == mcnemar(2, 1)
    for one, other in ((first, second[:3]), (first[:0], second[:0])):
        with pytest.raises(ValueError, match="same pictures"):
            compare(one, other)


def test_the_bins_of_the_reliability_diagram_add_up_to_the_calibration_error():
    torch.manual_seed(0)
    sure, right = torch.rand(500), torch.rand(500) < 0.4
    rows = reliability(sure, right)
    assert sum(count for count, *_ in rows) == 500 and len(rows) == 15
    gaps = sum(count * abs(confidence - share) for count, confidence, share in rows) / 500
    assert gaps == pytest.approx(calibration_error(sure, right), abs=1e-6)
