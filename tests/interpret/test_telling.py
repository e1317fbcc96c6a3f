"""The most telling head: the one that is sharp, unlike its neighbors and on the object, however it is hidden."""

import pytest
import torch

from tests.conftest import KINDS, of_kind
from vit.interpret.analysis import Analysis
from vit.interpret.telling import telling_heads


@pytest.fixture
def seen(small_vit, shapes) -> Analysis:
    return Analysis(small_vit, shapes.test.images[0], shapes.test.masks[0])


def spotlight(analysis: Analysis, rows: torch.Tensor) -> None:
    """Puts rows (L, heads, N) in the place of what the class token asks."""
    analysis.__dict__["read"] = (rows, analysis.read[1])


def even(analysis: Analysis) -> torch.Tensor:
    return torch.full_like(analysis.read[0], 1 / analysis.read[0].shape[-1])


def look(rows: torch.Tensor, layer: int, head: int, at: torch.Tensor) -> None:
    """Lets a head give all it has to patches, by these shares."""
    rows[layer, head] = torch.cat([torch.zeros(1), at.flatten() / at.sum()])


def test_a_head_that_looks_at_the_object_among_even_ones_is_the_most_telling(seen):
    rows = even(seen)
    look(rows, 1, 2, seen.objects)
    spotlight(seen, rows)
    first = telling_heads(seen)[0]
    assert (first.layer, first.head) == (1, 2) and first.score > 0.2
    on = float((seen.objects**2).sum() / seen.objects.sum())
    assert f"{on:.0%} falls on the object" in first.sentence


def test_of_two_sharp_heads_the_one_on_the_object_tells_more(seen):
    rows = even(seen)
    look(rows, 0, 0, seen.objects.flatten().flip(0).roll(20))
    look(rows, 2, 0, seen.objects)
    spotlight(seen, rows)
    assert telling_heads(seen)[0].layer == 2


def test_a_head_on_the_whole_object_tells_more_than_a_dot_on_it(seen):
    rows, dot = even(seen), torch.zeros(64)
    dot[int(seen.objects.flatten().argmax())] = 1
    look(rows, 0, 0, dot)
    look(rows, 1, 0, seen.objects)
    spotlight(seen, rows)
    assert telling_heads(seen)[0].layer == 1


def test_a_head_like_its_neighbors_tells_less(seen):
    rows = even(seen)
    for head in range(rows.shape[1]):
        look(rows, 0, head, seen.objects)
    look(rows, 1, 1, seen.objects)
    spotlight(seen, rows)
    assert (telling_heads(seen)[0].layer, telling_heads(seen)[0].head) == (1, 1)


def test_a_head_that_looks_at_the_class_token_alone_tells_nothing(seen):
    rows = even(seen)
    rows[0, 0] = 0
    rows[0, 0, 0] = 1
    rows[2, 1, 5] *= 3
    spotlight(seen, rows)
    assert (telling_heads(seen)[0].layer, telling_heads(seen)[0].head) == (2, 1)


def test_a_tour_shows_each_head_once_and_the_most_telling_first(seen):
    tour = telling_heads(seen)
    places = [(head.layer, head.head) for head in tour]
    assert len(set(places)) == len(places) == 5 and tour[0].score == max(head.score for head in tour)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_has_a_most_telling_head(kind, shapes):
    first = telling_heads(Analysis(of_kind(kind), shapes.test.images[0]))[0]
    assert 0 <= first.score <= 1 and "of 64" in first.sentence and "object" not in first.sentence


def test_even_heads_give_a_tour_too(seen):
    spotlight(seen, even(seen))
    assert len(telling_heads(seen)) >= 1
