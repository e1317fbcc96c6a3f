"""How far a recorded run had come at each moment."""

import pytest

from vit.live import models
from vit.training.forming import half_way, ways
from vit.training.moments import Album, Snapshot, figures

SHAPES = {"maps": (1, 1, 1, 1, 2), "probabilities": (1, 2), "positions": (1, 1, 1, 1), "filters": (1, 1, 1, 1)}


def album(*moments: bytes) -> Album:
    found = Album()
    for step, data in enumerate(moments):
        found.add(Snapshot(step, data, SHAPES), {**figures(), "step": step})
    return found


def test_a_part_goes_from_nothing_to_all_of_the_way_and_one_that_never_moves_is_left_out():
    found = ways(album(bytes([0, 0, 9, 9, 5, 7]), bytes([3, 4, 9, 9, 5, 9]), bytes([6, 8, 9, 9, 5, 9])))
    assert found == {"maps": [0.0, 0.5, 1.0], "filters": [0.0, 1.0, 1.0]}


def test_half_way_is_where_it_stays_above_half():
    assert half_way([0, 0.6, 0.4, 0.5, 1]) == 3 and half_way([0, 1]) == 1


@pytest.mark.parametrize("moments", [(), (bytes(6),)])
def test_a_run_with_fewer_than_two_moments_has_no_way(moments):
    assert ways(album(*moments)) == {}


@pytest.mark.parametrize("key", ["shapes", "cifar10"])
def test_the_shipped_runs_tell_of_all_four_parts(key):
    found = ways(models.moments(key))
    assert set(found) == {"maps", "probabilities", "positions", "filters"}
    assert all(way[0] == 0 and way[-1] == 1 and 0 < half_way(way) < len(way) for way in found.values())
