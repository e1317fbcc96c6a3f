"""What each head is for, over a set: the drop without it, and where it looks."""

import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from vit import vit_live_patch
from vit.data import normalize
from vit.interpret import heads, views
from vit.interpret.attention import attention_maps, patch_coverage, region_shares


def last(generator):
    *_, final = generator
    return final


@pytest.mark.parametrize("name", ["head_importance", "head_regions"])
def test_between_two_estimates_the_model_and_autograd_are_as_the_caller_left_them(name, small_vit, shapes):
    small_vit.train()
    estimates = getattr(heads, name)(small_vit, shapes.test.take(slice(4)), batch_size=2)
    for _ in itertools.islice(estimates, 2):
        assert torch.is_grad_enabled()
        assert small_vit.training
    estimates.close()
    assert small_vit.training


def test_importance_is_the_drop_of_the_true_class_written_out(small_vit, shapes):
    dataset = shapes.test.take(slice(5))
    found = last(heads.head_importance(small_vit, dataset, batch_size=2))
    pixels = normalize(dataset.images, small_vit.mean, small_vit.std)

    def probability(mask=None):
        return small_vit(pixels, head_mask=mask).softmax(-1)[torch.arange(5), dataset.labels].detach()

    drops = torch.empty(5, 3, 3)
    for layer, head in itertools.product(range(3), range(3)):
        mask = torch.ones(3, 3)
        mask[layer, head] = 0
        drops[:, layer, head] = probability() - probability(mask)
    assert (found.done, found.n) == (1, 5)
    torch.testing.assert_close(found.drop, drops.mean(0), rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(found.drops, drops, rtol=1e-3, atol=1e-6)
    assert found.drop.any()


def test_a_head_that_the_projection_ignores_has_exactly_no_importance(small_vit, shapes):
    with torch.no_grad():
        small_vit.blocks[1].attn.proj.weight[:, 8:16] = 0  # head 1 of three, of 8 values each
    found = last(heads.head_importance(small_vit, shapes.test.take(slice(4))))
    zero = torch.zeros(3, 3, dtype=torch.bool)
    zero[1, 1] = True
    assert torch.equal(found.drop == 0, zero)
    low, high = found.interval
    assert low[1, 1] < 0 < high[1, 1]


def test_importance_comes_after_each_layer_and_counts_whole_batches(small_vit, shapes):
    found = list(heads.head_importance(small_vit, shapes.test.take(slice(3)), batch_size=2))
    assert [estimate.n for estimate in found] == [0, 0, 2, 2, 2, 3]
    assert [estimate.done for estimate in found] == pytest.approx([i / 6 for i in range(1, 7)])
    assert found[0].drop.isnan().all() and found[0].drop.shape == (3, 3)
    first = last(heads.head_importance(small_vit, shapes.test.take(slice(2))))
    torch.testing.assert_close(found[2].drop, first.drop)


def test_regions_over_a_set_are_the_mean_shares_of_its_pictures(small_vit, shapes):
    dataset = shapes.test.take(slice(25))
    found = last(heads.head_regions(small_vit, dataset, batch_size=10, top=3))
    assert found.names[:5] == ("object", "background", "center", "border", "object of arrow")
    assert len(found.names) == 14
    assert (found.done, found.n) == (1, 25)
    assert found.examples.shape == (14, 3, 3, 3)
    maps = attention_maps(small_vit, normalize(dataset.images, small_vit.mean, small_vit.std))[1]
    objects = patch_coverage(dataset.masks, (8, 8), 4)
    shares = region_shares(maps, objects[:, None], 1)[..., 0]  # (n, L, heads)
    areas = objects.mean((1, 2))
    torch.testing.assert_close(found.shares[0], shares.mean(0))
    torch.testing.assert_close(found.shares[0] + found.shares[1], torch.ones(3, 3))
    assert (found.low[0] < found.shares[0]).all() and (found.shares[0] < found.high[0]).all()
    assert found.areas[0].item() == pytest.approx(areas.mean().item())
    torch.testing.assert_close(found.ratios[0], shares.mean(0) / areas.mean())
    torch.testing.assert_close(found.examples[0, 1, 2], (shares[:, 1, 2] - areas).topk(3).indices)
    hearts = (dataset.labels == 4).nonzero()[:, 0]
    heart = found.names.index("object of heart")
    assert found.counts[heart] == len(hearts)
    torch.testing.assert_close(found.shares[heart], shares[hearts].mean(0))
    chosen = [i for i in found.examples[heart].flatten().tolist() if i >= 0]
    assert set(chosen) <= set(hearts.tolist())
    assert len(chosen) == 9 * min(3, len(hearts))


@pytest.mark.parametrize("distil", [False, True])
def test_heads_that_attend_everywhere_alike_have_ratio_one_in_every_region(shapes, distil):
    model = vit_live_patch(embed_dim=24, depth=2, num_heads=2, distilled=distil).eval()
    for block in model.blocks:
        nn.init.zeros_(block.attn.qkv.weight)
    found = last(heads.head_regions(model, shapes.test.take(slice(60))))
    torch.testing.assert_close(found.ratios, torch.ones(14, 2, 2))
    assert found.areas[2].item() == pytest.approx(1 / 4)
    assert found.areas[3].item() == pytest.approx(28 / 64)  # the outermost ring of 8 x 8


def test_center_and_border_are_cut_at_the_same_places_in_any_grid():
    for grid in [(8, 8), (14, 14), (7, 7), (5, 9)]:
        center, border = views.fixed_regions(grid)
        assert center.mean().item() == pytest.approx(1 / 4)
        assert border.mean().item() == pytest.approx(7 / 16)
        assert ((center >= 0) & (center <= 1) & (border >= 0) & (border <= 1)).all()


def test_without_masks_classes_are_measured_on_the_center(small_vit, shapes):
    dataset = replace(shapes.test.take(slice(12)), masks=None)
    found = last(heads.head_regions(small_vit, dataset))
    assert found.names[:3] == ("center", "border", "center of arrow")
    assert found.counts.tolist()[:2] == [12, 12]


def test_ranked_heads_are_sorted_and_leave_anecdotes_out(small_vit, shapes):
    found = last(heads.head_regions(small_vit, shapes.test.take(slice(40))))
    rows = found.ranked(limit=200)
    ratios = [row["ratio"] for row in rows]
    assert ratios == sorted(ratios, reverse=True)
    assert all(row["n"] >= heads.FEW_PICTURES for row in rows)
    enough = (found.counts >= heads.FEW_PICTURES).sum().item()
    assert len(rows) == enough * 9
    row, at = rows[0], (found.names.index(rows[0]["region"]), rows[0]["layer"], rows[0]["head"])
    assert row["ratio"] == pytest.approx((found.shares[at] / found.areas[at[0]]).item())
    assert row["share"] == found.shares[at].item()
    assert row["examples"] == found.examples[at].tolist()
    assert found.ranked(limit=3) == rows[:3]


@pytest.mark.parametrize("study", [heads.head_importance, heads.head_regions])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.take(slice(0)), ["no pictures"]),
        (lambda d: replace(d, labels=d.labels + 9), ["10 classes"]),
        (lambda d: replace(d, masks=d.masks[..., 1:]), ["(32, 32)", "(32, 31)"]),
    ],
)
def test_a_set_that_does_not_fit_is_refused(study, change, words, small_vit, shapes):
    with pytest.raises(ValueError) as error:
        last(study(small_vit, change(shapes.test.take(slice(20)))))
    assert all(word in str(error.value) for word in words), error.value


def importance(drops):
    return heads.HeadImportance(1.0, torch.as_tensor(drops))


def test_a_head_is_named_best_only_where_it_surely_is():
    """Of heads that are all alike one always comes out first; it is called best in at most 1 of 20 studies."""
    generator = torch.Generator().manual_seed(0)

    def study(extra):
        drops = 0.05 * torch.randn(200, 3, 4, generator=generator)
        drops[:, 1, 2] += extra
        return importance(drops.clamp(-1, 1)).best

    assert sum(study(0.0).clear for _ in range(40)) <= 2
    better = [study(0.1) for _ in range(10)]
    assert all(best.clear and (best.layer, best.head) == (1, 2) for best in better)
    assert study(0.0).pictures > 200 > better[0].pictures


def test_of_a_single_head_it_is_told_whether_it_does_anything():
    assert importance(torch.full((100, 1, 1), 0.3)).best.clear
    assert not importance(torch.zeros(100, 1, 1)).best.clear
    assert importance(torch.zeros(100, 1, 1)).best.pictures == float("inf")


def test_a_class_is_favored_only_beyond_what_shuffled_labels_give():
    generator = torch.Generator().manual_seed(0)
    labels, areas = torch.arange(200) % 10, torch.full((200,), 0.25)

    def favored(extra):
        shares = (0.25 + 0.1 * torch.randn(200, 3, 4, generator=generator)).clamp(0, 1)
        shares[labels == 7, 2, 1] += extra
        return heads._above_shuffled(shares, areas, labels, 10)

    assert sum(favored(0.0).any().item() for _ in range(20)) <= 4
    found = favored(0.3)
    assert found[7, 2, 1] and found.sum() == 1
