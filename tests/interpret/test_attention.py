"""Maps as numbers, and the figure of them."""

import math

import numpy as np
import pytest
import torch

from vit import ViT
from vit.figures import attention_figure, overlay
from vit.interpret.attention import (
    attention_distance,
    attention_entropy,
    attention_maps,
    cls_attention,
    entropy_of,
    head_similarity,
    patch_coverage,
    region_shares,
    rollout,
    uniform_distance,
)


def test_attention_maps_stack_the_layers_and_leave_the_model_as_it_was(small_vit):
    images = torch.randn(2, 3, 32, 32)
    small_vit.train()
    logits, maps = attention_maps(small_vit, images)
    assert small_vit.training
    assert maps.shape == (2, 3, 3, 65, 65)
    assert not maps.requires_grad
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 3, 3, 65))
    small_vit.eval()
    torch.testing.assert_close(logits, small_vit(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("prefix", [1, 2, 5])
def test_cls_attention_lays_the_patches_out_row_by_row(prefix):
    h, w = 3, 4
    maps = torch.zeros(1, 2, 2, prefix + h * w, prefix + h * w)
    maps[0, 1, 0, 0, prefix + 1 * w + 2] = 1.0  # layer 1, head 0: all on the patch in row 1, column 2
    grid = cls_attention(maps, (h, w), prefix, layer=1, head=0)
    assert grid.shape == (1, h, w)
    assert grid[0, 1, 2] == 1
    assert grid.sum() == 1
    assert cls_attention(maps, (h, w), prefix, layer=-1)[0, 1, 2] == 0.5  # the mean of two heads
    assert not cls_attention(maps, (h, w), prefix, layer=0).any()


def test_uniform_attention_gives_a_uniform_grid():
    grid = cls_attention(torch.full((1, 1, 2, 17, 17), 1 / 17), (4, 4))
    torch.testing.assert_close(grid, torch.full((1, 4, 4), 1 / 17))


def test_a_distilled_models_patches_are_found_after_both_prefix_tokens():
    torch.manual_seed(0)
    model = ViT(embed_dim=24, depth=1, num_heads=2, distilled=True)
    _, maps = attention_maps(model, torch.randn(1, 3, 32, 32))
    grid = cls_attention(maps, model.grid_size, model.num_prefix_tokens)
    torch.testing.assert_close(grid.flatten(1), maps[:, 0].mean(1)[:, 0, 2:])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"layer": 2}, ["2 layers, 0 to 1", "got layer 2"]),
        ({"head": 3}, ["3 heads, 0 to 2", "got head 3"]),
        ({"grid_size": (4, 5)}, ["17 tokens", "make 21"]),
        ({"num_prefix_tokens": 2}, ["make 18"]),
    ],
)
def test_what_is_not_there_is_refused(arguments, words):
    with pytest.raises(ValueError) as error:
        cls_attention(torch.rand(1, 2, 3, 17, 17), **{"grid_size": (4, 4)} | arguments)
    assert all(word in str(error.value) for word in words), error.value


def random_maps(B=2, L=3, heads=2, grid=(3, 4), prefix=1):
    torch.manual_seed(0)
    N = prefix + grid[0] * grid[1]
    return (3 * torch.randn(B, L, heads, N, N)).softmax(dim=-1)


def uniform_maps(grid, prefix):
    N = prefix + grid[0] * grid[1]
    return torch.full((1, 2, 2, N, N), 1 / N)


def identity_maps(grid, prefix):
    return torch.eye(prefix + grid[0] * grid[1]).expand(1, 2, 2, -1, -1)


def one_hot_maps(grid, prefix, keys):
    """keys: for each token, the token that it attends to."""
    N = prefix + grid[0] * grid[1]
    return torch.eye(N)[torch.tensor(keys)].expand(1, 1, 1, N, N)


GRIDS = pytest.mark.parametrize(("grid", "prefix"), [((3, 4), 1), ((8, 8), 2), ((2, 5), 5)])


def test_attention_maps_leave_a_module_that_was_in_eval_mode_in_it(small_vit):
    small_vit.train()
    small_vit.blocks[1].eval()
    attention_maps(small_vit, torch.randn(1, 3, 32, 32))
    assert small_vit.training
    assert small_vit.blocks[0].attn.training
    assert not small_vit.blocks[1].attn.training


def test_rollout_of_two_layers_by_hand():
    first = torch.tensor([[[1.0, 0.0], [0.5, 0.5]], [[0.5, 0.5], [0.0, 1.0]]])  # heads; mean [[.75, .25], [.25, .75]]
    second = torch.tensor([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]])  # mean [[0, 1], [1, 0]]
    both = rollout(torch.stack([first, second])[None])
    # with the skip connection [[.875, .125], [.125, .875]], then [[.5, .5], [.5, .5]] times it
    torch.testing.assert_close(both[0, 0], torch.tensor([[0.875, 0.125], [0.125, 0.875]]))
    torch.testing.assert_close(both[0, 1], torch.full((2, 2), 0.5))
    # without, [[0, 1], [1, 0]] swaps the rows of [[.75, .25], [.25, .75]]
    none = rollout(torch.stack([first, second])[None], residual=0)
    torch.testing.assert_close(none[0, 1], torch.tensor([[0.25, 0.75], [0.75, 0.25]]))


@pytest.mark.parametrize("residual", [0.0, 0.3, 0.5, 1.0])
def test_rollout_is_the_papers_recursion_in_every_layer(residual):
    maps = torch.rand(2, 4, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    before, reached = maps.clone(), torch.eye(7).double()
    for layer, found in enumerate(rollout(maps, residual).unbind(1)):
        step = (1 - residual) * maps[:, layer].double().mean(1) + residual * torch.eye(7)
        reached = step / step.sum(-1, keepdim=True) @ reached
        torch.testing.assert_close(found.double(), reached, atol=1e-6, rtol=0)
    assert torch.equal(maps, before)


def test_entropy_is_torchs_also_where_a_weight_is_zero_or_all():
    weights = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [1e-40, 0.25, 0.75]])
    torch.testing.assert_close(entropy_of(weights), torch.special.entr(weights).sum(-1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("residual", [0, 0.3, 0.5, 1])
def test_rollouts_rows_sum_to_one_even_where_the_maps_rows_do_not(residual):
    for maps in (random_maps(), random_maps() * torch.rand(2, 3, 2, 13, 1).clamp_min(0.1)):
        rolled = rollout(maps, residual)
        assert rolled.shape == (2, 3, 13, 13)
        torch.testing.assert_close(rolled.sum(-1), torch.ones(2, 3, 13))


def test_identity_attention_gives_identity_rollout_no_distance_and_no_entropy():
    maps = identity_maps((3, 4), 2)
    torch.testing.assert_close(rollout(maps), torch.eye(14).expand(1, 2, 14, 14))
    assert not attention_distance(maps, (3, 4), 2, 16).any()
    assert not attention_entropy(maps).any()


@GRIDS
def test_uniform_attention_has_entropy_ln_n_and_the_grids_mean_distance(grid, prefix):
    maps = uniform_maps(grid, prefix)
    N, places = maps.shape[-1], [(y, x) for y in range(grid[0]) for x in range(grid[1])]
    torch.testing.assert_close(attention_entropy(maps), torch.full((1, 2, 2, N), math.log(N)))
    mean = sum(4 * math.dist(a, b) for a in places for b in places) / len(places) ** 2
    torch.testing.assert_close(attention_distance(maps, grid, prefix, 4), torch.full((1, 2, 2), mean))
    assert uniform_distance(grid, 4) == pytest.approx(mean)


@pytest.mark.parametrize("prefix", [1, 2, 5])
def test_one_hot_attention_has_exactly_its_patches_distance(prefix):
    # a grid of 2 x 2: patch 0 looks at the one diagonally opposite, 1 at the one below, 2 and 3 at themselves
    keys = [prefix] * prefix + [prefix + 3, prefix + 3, prefix + 2, prefix + 3]
    maps = one_hot_maps((2, 2), prefix, keys)
    expected = (16 * math.sqrt(2) + 16) / 4
    assert attention_distance(maps, (2, 2), prefix, 16).item() == pytest.approx(expected)


def test_distance_ignores_what_goes_to_prefix_tokens():
    maps = random_maps(prefix=2)
    patches = maps[..., 2:] / maps[..., 2:].sum(-1, keepdim=True)
    without = torch.cat([torch.zeros_like(maps[..., :2]), patches], dim=-1)
    torch.testing.assert_close(attention_distance(maps, (3, 4), 2, 4), attention_distance(without, (3, 4), 2, 4))
    to_cls = one_hot_maps((3, 4), 2, [0] * 14)
    assert attention_distance(to_cls, (3, 4), 2, 4).item() == 0


def test_distance_is_the_average_over_queries_written_out():
    maps, grid, prefix = random_maps(B=1, L=1, heads=1, prefix=2)[0, 0, 0], (3, 4), 2
    total = 0.0
    for q in range(12):
        weights = maps[prefix + q, prefix:] / maps[prefix + q, prefix:].sum()
        total += sum(weights[k].item() * 4 * math.dist(divmod(q, 4), divmod(k, 4)) for k in range(12))
    assert attention_distance(maps[None, None, None], grid, prefix, 4).item() == pytest.approx(total / 12)


def test_half_covered_patches_count_half():
    mask = torch.zeros(8, 12, dtype=torch.bool)
    mask[:4, :2] = True  # the left half of the first patch
    mask[4:, 4:8] = True  # all of the middle one below
    mask[0, 11] = True  # a pixel of sixteen
    expected = torch.tensor([[0.5, 0, 1 / 16], [0, 1, 0]])
    torch.testing.assert_close(patch_coverage(mask, (2, 3), 4), expected)
    torch.testing.assert_close(patch_coverage(torch.stack([mask, ~mask]), (2, 3), 4)[1], 1 - expected)


@pytest.mark.parametrize("prefix", [1, 2])
def test_shares_of_regions_that_make_up_the_picture_sum_to_one(prefix):
    maps = random_maps(prefix=prefix)
    everything = region_shares(maps, torch.ones(2, 1, 3, 4), prefix)
    torch.testing.assert_close(everything, torch.ones(2, 3, 2, 1))
    part = torch.rand(2, 1, 3, 4)
    both = region_shares(maps, torch.cat([part, 1 - part], dim=1), prefix)
    torch.testing.assert_close(both.sum(-1), torch.ones(2, 3, 2))


def test_share_by_hand_with_two_prefix_tokens():
    row = torch.tensor([0.3, 0.2, 0.1, 0.4])  # class, distillation, two patches
    maps = row.expand(1, 1, 1, 4, 4)
    regions = torch.tensor([[[[0.0, 1.0]], [[0.5, 0.5]]]])
    torch.testing.assert_close(region_shares(maps, regions, 2).flatten(), torch.tensor([0.8, 0.5]))


def test_similarity_is_one_for_the_same_map_and_zero_for_disjoint_ones():
    maps = torch.zeros(1, 2, 2, 6, 6)
    maps[0, 0, 0, 0, 2] = 1
    maps[0, 0, 1, 0, 3] = 1
    maps[0, 1, 0, 0, 2] = 0.5  # layer 1, head 0: the same patch, less of it, the rest on the class token
    maps[0, 1, 0, 0, 0] = 0.5
    maps[0, 1, 1, 0, 2:4] = 0.5
    half = math.sqrt(0.5)
    expected = torch.tensor([[1, 0, 1, half], [0, 1, 0, half], [1, 0, 1, half], [half, half, half, 1]])
    torch.testing.assert_close(head_similarity(maps, 2)[0], expected)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m: rollout(m[0]), ["(B, L, heads, N, N)", "(3, 2, 13, 13)"]),
        (lambda m: rollout(m[..., :5]), ["(2, 3, 2, 13, 5)"]),
        (lambda m: rollout(m, 1.5), ["0 to 1", "1.5"]),
        (lambda m: attention_distance(m, (4, 4), 1, 4), ["13 tokens", "make 17"]),
        (lambda m: attention_distance(m, (3, 4), 2, 4), ["make 14"]),
        (lambda m: patch_coverage(torch.ones(32, 31), (8, 8), 4), ["32 x 32 pixels", "(32, 31)"]),
        (lambda m: region_shares(m, torch.ones(3, 4), 1), ["(B, R, h, w)", "(3, 4)"]),
        (lambda m: region_shares(m, torch.ones(3, 1, 3, 4), 1), ["B = 2"]),
        (lambda m: region_shares(m, torch.ones(2, 1, 4, 4), 1), ["make 17"]),
    ],
)
def test_a_wrong_shape_is_refused_and_named(call, words):
    with pytest.raises(ValueError) as error:
        call(random_maps())
    assert all(word in str(error.value) for word in words), error.value


def test_the_figure_shows_image_attention_and_overlay():
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    attention = np.arange(64.0).reshape(8, 8)
    panels = attention_figure(image, attention, "cat").axes[:3]
    assert [axis.get_title() for axis in panels] == ["input", "attention of the class token", "overlay"]
    drawn = [axis.images[0].get_array() for axis in panels]
    assert np.array_equal(drawn[0], image)
    assert np.array_equal(drawn[1], attention)
    assert np.array_equal(drawn[2], overlay(image, attention))


def test_overlay_is_brightest_where_attention_is():
    attention = np.zeros((2, 2))
    attention[1, 0] = 0.5
    picture = overlay(np.full((8, 8, 3), 128, np.uint8), attention).sum(-1)
    bright = picture == picture.max()
    assert bright[4:, :4].all()
    assert bright.sum() == 16
    assert (overlay(np.full((8, 8, 3), 128, np.uint8), attention, opacity=0) == 128).all()


@pytest.mark.parametrize(
    "image", [np.zeros((3, 8, 8)), np.full((8, 8, 3), -1.0), np.full((8, 8, 3), 2.0), np.zeros((8, 8))]
)
def test_an_image_still_normalized_or_misshapen_is_refused(image):
    with pytest.raises(ValueError, match="undo the normalization"):
        attention_figure(image, np.ones((2, 2)))


def test_attention_that_is_no_map_is_refused():
    with pytest.raises(ValueError, match="got shape"):
        attention_figure(np.zeros((8, 8, 3)), np.ones(4))
