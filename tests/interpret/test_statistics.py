"""The table of head statistics: each number by hand or by law, which tokens count, and what one more row takes."""

import math
from dataclasses import replace

import pytest
import torch

from vit import ViT
from vit.interpret import statistics
from vit.interpret.analysis import patch_numbers
from vit.interpret.attention import (
    attention_distance,
    attention_entropy,
    head_similarity,
    patch_coverage,
    region_shares,
    rollout,
    uniform_distance,
)
from vit.interpret.statistics import TABLE, HeadStatistic, head_statistics, listed
from vit.interpret.trace import Trace, trace
from vit.interpret.views import layer_views, middle_of_picture

GRIDS = pytest.mark.parametrize(("grid", "prefix"), [((3, 4), 1), ((8, 8), 2), ((2, 5), 5)])


def traced(maps: torch.Tensor, grid: tuple[int, int], prefix: int, v: torch.Tensor | None = None) -> Trace:
    """A record of these maps, (B, L, heads, N, N), with values that are given or random."""
    B, L, heads, N, _ = maps.shape
    torch.manual_seed(0)
    model = ViT(img_size=4, patch_size=4, embed_dim=3 * heads, depth=1, num_heads=heads)
    layer = trace(model, torch.zeros(1, 3, 4, 4)).layers[0]
    values = torch.randn(B, L, heads, N, 3) if v is None else v.expand(B, L, heads, N, -1)
    layers = tuple(
        replace(layer, map=maps[:, i], v=values[:, i], heads=maps[:, i] @ values[:, i], input=torch.zeros(B, N, 3))
        for i in range(L)
    )
    return Trace(torch.zeros(B, N, 3), layers, maps, torch.zeros(B, 10), grid, prefix, 4, num_class_tokens=prefix)


def random_maps(grid: tuple[int, int], prefix: int, B: int = 2, L: int = 3, heads: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    N = prefix + grid[0] * grid[1]
    return (3 * torch.randn(B, L, heads, N, N, generator=generator)).softmax(dim=-1)


def uniform_maps(grid: tuple[int, int], prefix: int, L: int = 2, heads: int = 2) -> torch.Tensor:
    N = prefix + grid[0] * grid[1]
    return torch.full((1, L, heads, N, N), 1 / N)


@GRIDS
def test_before_the_last_layer_all_rows_count(grid, prefix):
    maps, objects = random_maps(grid, prefix), torch.rand(2, *grid)
    found = head_statistics(traced(maps, grid, prefix), objects)
    entropy = attention_entropy(maps)
    expected = {
        "distance": attention_distance(maps, grid, prefix, 4).mean(0),
        "entropy": entropy.mean((0, -1)),
        "cls_entropy": entropy[..., 0].mean(0),
        "attention_to_cls": maps[..., prefix:, 0].mean((0, -1)),
        "cls_to_itself": maps[..., 0, 0].mean(0),
        "prefix_share": maps[..., :prefix].sum(-1).mean((0, -1)),
        "object_share": region_shares(maps, objects[:, None], prefix)[..., 0].mean(0),
    }
    for name, numbers in expected.items():
        torch.testing.assert_close(found.of_heads(name)[:2], numbers[:2], msg=name)
    torch.testing.assert_close(found.similarity, head_similarity(maps, prefix).mean(0))
    assert found.area == pytest.approx(objects.mean().item())
    assert found.uniform["object_share"] == pytest.approx(found.area)


@GRIDS
def test_in_the_last_layer_only_the_prefix_tokens_rows_count(grid, prefix):
    maps = random_maps(grid, prefix)
    found = head_statistics(traced(maps, grid, prefix), torch.rand(2, *grid))
    entropy = attention_entropy(maps)[:, -1]
    torch.testing.assert_close(found.of_heads("entropy")[-1], entropy[..., :prefix].mean((0, -1)))
    torch.testing.assert_close(found.of_heads("cls_entropy")[-1], entropy[..., 0].mean(0))
    torch.testing.assert_close(
        found.of_heads("prefix_share")[-1], maps[:, -1, :, :prefix, :prefix].sum(-1).mean((0, -1))
    )
    for name in ("distance", "attention_to_cls"):
        assert found.values[name][-1].isnan().all() and found.values[name][:-1].isfinite().all()
        assert listed(found.values[name])[-1] == [None] * 4
    assert found.values["output_rank"][-1].isnan().all() == (prefix == 1)


def test_rows_that_nothing_reads_change_no_statistic():
    """Whatever the last layer's patches ask, as it changes no logit."""
    torch.manual_seed(0)
    model = ViT(embed_dim=24, depth=2, num_heads=3, distilled=True)
    record = trace(model, torch.randn(1, 3, 32, 32))
    last, prefix = record.layers[-1], record.num_prefix_tokens
    other = last.map.clone()
    other[:, :, prefix:] = torch.rand_like(other[:, :, prefix:]).softmax(-1)
    changed = replace(last, map=other, heads=other @ last.v)
    objects = torch.rand(1, 8, 8)
    before = head_statistics(record, objects)
    after = head_statistics(replace(record, layers=(record.layers[0], changed)), objects)
    for row in TABLE:
        torch.testing.assert_close(before.values[row.name], after.values[row.name], equal_nan=True, msg=row.name)
    assert not torch.equal(record.maps, torch.stack([record.layers[0].map, other], 1))


@GRIDS
def test_uniform_heads_have_the_reference_of_every_statistic(grid, prefix):
    record = traced(uniform_maps(grid, prefix), grid, prefix)
    found = head_statistics(record, torch.rand(1, *grid))
    N = prefix + grid[0] * grid[1]
    assert found.uniform["distance"] == pytest.approx(uniform_distance(grid, 4))
    assert found.uniform["entropy"] == pytest.approx(math.log(N))
    assert found.uniform["prefix_share"] == pytest.approx(prefix / N)
    assert found.uniform["attention_to_cls"] == pytest.approx(1 / N)
    for row in TABLE:
        numbers = found.values[row.name][0]  # the first layer's heads, their mean and the rollout
        assert numbers[numbers.isfinite()].numpy() == pytest.approx(found.uniform[row.name], rel=1e-4), row.name
        assert numbers[:2].isfinite().all(), row.name


def test_the_first_layers_rollout_is_the_mean_of_its_heads_in_every_number():
    found = head_statistics(traced(random_maps((3, 4), 1), (3, 4), 1), torch.rand(2, 3, 4))
    for name in ("distance", "entropy", "prefix_share", "object_share", "attention_to_cls", "cls_to_itself"):
        mean, rolled = found.values[name][0, 2:]
        assert rolled.item() == pytest.approx(mean.item(), rel=1e-4), name
        assert found.values[name][1, 2] != found.values[name][1, 3]


def test_a_rollouts_view_is_the_rollout_without_what_skip_connections_alone_carried():
    maps = random_maps((3, 4), 1)
    for i, (_, _, view) in enumerate(layer_views(traced(maps, (3, 4), 1))):
        stayed = 0.5 ** (i + 1)
        torch.testing.assert_close(view.map.sum(-1), torch.ones(2, 1, 13))
        torch.testing.assert_close((1 - stayed) * view.map[:, 0] + stayed * torch.eye(13), rollout(maps)[:, i])


def test_a_sinks_two_kinds_are_told_apart():
    N = 17
    sink = torch.zeros(1, 2, 1, N, N)
    sink[..., 0] = 1  # everything to the class token
    idle = torch.ones(N, 3)
    idle[0] = 0  # whose value is nothing
    nothing = head_statistics(traced(sink, (4, 4), 1, idle))
    assert nothing.get("prefix_share", 0, 0) == 1 and nothing.get("value_norm", 0, 0) == 0
    broadcast = head_statistics(traced(sink, (4, 4), 1, torch.ones(N, 3)))
    assert broadcast.get("value_norm", 0, 0) == pytest.approx(1)
    assert broadcast.get("output_rank", 0, 0) == pytest.approx(1, abs=1e-3)
    spread = torch.eye(N).expand(1, 2, 1, N, N)  # each token takes its own, of three directions
    directions = torch.eye(3).repeat(6, 1)[:N]
    different = head_statistics(traced(spread, (4, 4), 1, directions))
    assert different.get("output_rank", 0, 0) == pytest.approx(3, abs=0.01)


def test_likeness_to_the_other_heads_is_their_mean_cosine():
    maps = random_maps((3, 4), 1, heads=3)
    found = head_statistics(traced(maps, (3, 4), 1)).of_heads("head_cosine")[0]
    rows = torch.nn.functional.normalize(maps[:, 0, ..., 1:], dim=-1)
    pairs = torch.einsum("bhqk,bgqk->hgq", rows, rows).mean(-1) / len(maps)
    torch.testing.assert_close(found, (pairs.sum(1) - 1) / 2)


def test_divergence_is_the_mean_jensen_shannon_of_pairs_from_0_for_equal_heads_to_ln_2_for_apart_ones():
    maps = random_maps((3, 4), 1, heads=3)
    found = head_statistics(traced(maps, (3, 4), 1)).of_heads("head_divergence")[0]
    rows = maps[:, 0].double()

    def pair(h: int, g: int) -> float:
        middle = (rows[:, h] + rows[:, g]) / 2
        return sum((rows[:, i] * (rows[:, i] / middle).log()).sum(-1).mean() for i in (h, g)).item() / 2

    pairs = {(h, g): pair(h, g) for h, g in [(0, 1), (0, 2), (1, 2)]}
    by_hand = [sum(apart for heads, apart in pairs.items() if h in heads) / 2 for h in range(3)]
    assert found.tolist() == pytest.approx(by_hand, abs=1e-6)
    assert found.mean().item() == pytest.approx(sum(pairs.values()) / 3, abs=1e-6)
    N = 13
    apart = torch.stack([torch.eye(N), torch.eye(N).roll(1, 0)])[None, None].expand(1, 2, 2, N, N)
    assert head_statistics(traced(apart, (3, 4), 1)).of_heads("head_divergence")[0].tolist() == pytest.approx(
        [math.log(2)] * 2
    )
    same = random_maps((3, 4), 1, heads=1).expand(-1, -1, 2, -1, -1)
    assert not head_statistics(traced(same, (3, 4), 1)).of_heads("head_divergence").any()


def test_another_statistic_is_a_function_and_a_row():
    def largest(view, rows):
        return view.map[:, :, rows].amax(-1)

    row = HeadStatistic(
        "largest", "Largest weight", "%", 1, "The largest weight of a row", "1/N", "class token", max, largest
    )
    maps = random_maps((3, 4), 1)
    found = head_statistics(traced(maps, (3, 4), 1), table=(*TABLE, row))
    torch.testing.assert_close(found.of_heads("largest"), maps[:, :, :, 0].amax(-1).mean(0))
    assert found.uniform["largest"] == pytest.approx(1 / 13)
    assert found.values["largest"].shape == found.values["entropy"].shape == (3, 4)


@pytest.mark.parametrize(
    "build",
    [
        {"depth": 1, "num_heads": 1},
        {"stem": "conv", "depth": 2},
        {"distilled": True, "depth": 2},
        {"img_size": 4, "patch_size": 4, "depth": 2},
        {"img_size": 74, "patch_size": 2, "depth": 1, "num_heads": 2},
    ],
    ids=["one layer, one head", "conv stem", "distilled", "one patch", "1370 tokens"],
)
@pytest.mark.parametrize("covered", [None, 0, 1], ids=["no mask", "no object", "all object"])
def test_every_number_is_finite_or_none_whatever_the_model(build, covered):
    torch.manual_seed(0)
    model = ViT(**{"embed_dim": 24, "num_heads": 3} | build)
    size = model.config["img_size"]
    record = trace(model, torch.randn(1, 3, size, size))
    objects = None if covered is None else torch.full((1, *model.grid_size), float(covered))
    found = head_statistics(record, objects)
    for row in TABLE:
        values = found.values[row.name]
        assert not values.isinf().any(), row.name
        # What no number is for is known beforehand: never a division by nothing.
        first = values[0, : found.heads]
        unread = found.depth == 1 and (
            row.queries == "patches" or (row.name == "output_rank" and found.num_prefix_tokens == 1)
        )
        missing = unread or (row.name == "object_share" and covered is None)
        missing |= row.name in ("head_cosine", "head_divergence") and found.heads == 1
        assert first.isnan().all() if missing else first.isfinite().all(), row.name


def test_numbers_of_patches_are_those_of_their_rows_and_columns():
    torch.manual_seed(0)
    model = ViT(img_size=16, patch_size=4, embed_dim=24, depth=2, num_heads=3, distilled=True)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    record = trace(model, torch.randn(1, 3, 16, 16))
    found = patch_numbers(record)
    assert found.distance.shape == found.place.shape == (2, 2, 5, 16)
    maps = record.maps[0].double()
    away = torch.cdist(*[torch.cartesian_prod(torch.arange(4.0), torch.arange(4.0)).double() * 4] * 2)
    for layer, head, patch in [(0, 0, 3), (1, 2, 15), (0, 1, 8)]:
        row, column = maps[layer, head, 2 + patch], maps[layer, head, 2:, 2 + patch]
        assert found.entropy[0, layer, head, patch].item() == pytest.approx(-(row * row.log()).sum().item(), abs=1e-5)
        far = (row[2:] / row[2:].sum()) @ away[patch]
        assert found.distance[0, layer, head, patch].item() == pytest.approx(far.item(), abs=1e-4)
        asked = column / column.sum()
        assert found.entropy[1, layer, head, patch].item() == pytest.approx(
            -(asked * asked.log()).sum().item(), abs=1e-5
        )
        assert found.distance[1, layer, head, patch].item() == pytest.approx((asked @ away[patch]).item(), abs=1e-4)
        for direction, weights in enumerate((row[2:], column)):
            assert found.peak[direction, layer, head, patch].item() == pytest.approx(weights.max().item())
            assert found.place[direction, layer, head, patch].item() == weights.argmax().item()
    drawn = rollout(record.maps)[0, 1, 2:, 2:]
    torch.testing.assert_close(found.peak[0, 1, 4], drawn.amax(1))
    torch.testing.assert_close(found.peak[1, 1, 4], drawn.amax(0))
    torch.testing.assert_close(found.entropy[0].mean(-1)[0], head_statistics_without_prefix(record))


def head_statistics_without_prefix(record: Trace) -> torch.Tensor:
    """Mean entropy of the first layer's patch rows in each view."""
    views = next(layer_views(record))
    maps = torch.cat([view.map for view in views], 1)[0, :, record.num_prefix_tokens :]
    return -torch.xlogy(maps, maps).sum(-1).mean(-1)


def test_the_middle_is_half_of_each_side():
    assert middle_of_picture((8, 8)).mean() == 0.25 and middle_of_picture((1, 1)).item() == 0.5**2
    assert middle_of_picture((8, 8))[2:6, 2:6].all() and middle_of_picture((8, 8)).sum() == 16
    assert middle_of_picture((5, 3)).mean().item() == pytest.approx(0.25)


def test_wrong_shapes_are_named():
    record = traced(random_maps((3, 4), 1), (3, 4), 1)
    with pytest.raises(ValueError, match=r"\(2, 3, 4\).*patch_coverage"):
        head_statistics(record, torch.ones(2, 12, 16))
    with pytest.raises(ValueError, match="one picture, got 2"):
        patch_numbers(record)
    assert head_statistics(record, patch_coverage(torch.ones(2, 12, 16) > 0, (3, 4), 4)).area == 1


@pytest.mark.parametrize(
    ("grid", "stride"), [((8, 8), 1), ((16, 16), 1), ((24, 25), 1), ((28, 28), 3), ((37, 37), 6), ((32, 32), 5)]
)
def test_of_many_rows_every_few_count_and_they_go_through_all_columns(grid, stride):
    assert statistics.row_stride(grid) == stride
    assert {row % grid[1] for row in range(0, grid[0] * grid[1], stride)} == set(range(grid[1]))


def test_numbers_of_every_few_rows_are_nearly_those_of_all(monkeypatch):
    maps = torch.randn(1, 2, 2, 677, 677, generator=torch.Generator().manual_seed(0)).softmax(-1)
    sampled = head_statistics(traced(maps, (26, 26), 1))
    monkeypatch.setattr(statistics, "EXACT", 676)
    exact = head_statistics(traced(maps, (26, 26), 1))
    for name in ("distance", "entropy", "prefix_share", "head_cosine", "head_divergence", "value_norm"):
        assert not torch.equal(sampled.values[name][0], exact.values[name][0])
        torch.testing.assert_close(sampled.of_heads(name)[0], exact.of_heads(name)[0], rtol=0.05, atol=1e-4)
    assert torch.equal(sampled.values["cls_entropy"], exact.values["cls_entropy"])
