"""Covering patches: laws that hold for any model, map and fill."""

import math
import time

import pytest
import torch

from vit import ViT
from vit.interpret.cover import FILLS, _brightest, cover, deletion_insertion, filled, occlusion


@pytest.fixture
def pictures(small_vit, shapes):
    part = shapes.test.take(slice(6))
    return (
        small_vit.normalize(part.images),
        part.labels,
        torch.rand(6, 2, 64, generator=torch.Generator().manual_seed(1)),
    )


def probability(model, images, labels):
    return model.probabilities(model(images)).gather(1, labels[:, None])[:, 0].detach()


def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("fill", FILLS)
def test_covering_nothing_costs_nothing_and_covering_everything_leaves_the_fill(fill, small_vit, pictures):
    images, labels, maps = pictures
    nothing = cover(small_vit, images, maps, labels, generator(), share=0, fill=fill)
    assert not nothing.brightest.any() and not nothing.random.any()
    everything = cover(small_vit, images, maps, labels, generator(), share=1, fill=fill)
    cost = probability(small_vit, images, labels) - probability(small_vit, filled(small_vit, images, fill), labels)
    torch.testing.assert_close(everything.brightest, cost[:, None].expand(-1, 2), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(everything.random, cost[:, None].expand(-1, 5), rtol=1e-4, atol=1e-6)


def test_the_mean_fill_is_the_data_s_mean_and_a_blur_leaves_an_even_picture_alone(small_vit):
    small_vit.mean, small_vit.std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    image = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8, generator=generator())
    shown = small_vit.denormalize(filled(small_vit, small_vit.normalize(image), "mean"))
    assert shown[0, :, 5, 5].tolist() == [26, 128, 230] and (shown == shown[..., :1, :1]).all()
    even = torch.full((1, 3, 32, 32), 0.7)
    torch.testing.assert_close(filled(small_vit, even, "blur"), even)
    noisy = small_vit.normalize(image)
    assert (filled(small_vit, noisy, "blur").std((2, 3)) < noisy.std((2, 3)) / 5).all()


def test_the_brightest_patches_alone_are_covered(small_vit, pictures):
    images, labels, _ = pictures
    chosen = torch.zeros(6, 1, 64)
    chosen[:, 0, [9, 10, 17]] = 1  # rows 1 and 2 of 8
    by_hand = images.clone()
    by_hand[:, :, 4:8, 4:12] = by_hand[:, :, 8:12, 4:8] = 0
    found = cover(small_vit, images, chosen, labels, generator(), share=3 / 64)
    cost = probability(small_vit, images, labels) - probability(small_vit, by_hand, labels)
    torch.testing.assert_close(found.brightest[:, 0], cost, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("places", [(8, 8), (4, 2), (3, 5)])
def test_each_place_is_covered_by_itself_and_wholly_whatever_the_grid(places, small_vit, pictures):
    images, labels, _ = pictures
    rows, columns = ([(-(-8 * i // n), -(-8 * (i + 1) // n)) for i in range(n)] for n in places)
    before = probability(small_vit, images, labels)
    costs = []
    for top, bottom in rows:
        for left, right in columns:
            by_hand = images.clone()
            by_hand[:, :, 4 * top : 4 * bottom, 4 * left : 4 * right] = 0
            costs.append(before - probability(small_vit, by_hand, labels))
    found = occlusion(small_vit, images, labels, places)
    torch.testing.assert_close(found, torch.stack(costs, dim=1), rtol=1e-4, atol=1e-6)


def test_random_patches_lie_in_the_same_places_for_each_picture_and_map_and_repeat_with_the_seed(small_vit, pictures):
    images, labels, maps = pictures
    found = cover(small_vit, images, maps, labels, generator())
    alone = cover(small_vit, images[3:4], maps[3:4, :1], labels[3:4], generator())
    torch.testing.assert_close(found.random[3:4], alone.random, rtol=1e-4, atol=1e-6)
    other = cover(small_vit, images, maps, labels, torch.Generator().manual_seed(9))
    assert not torch.equal(found.random, other.random)
    torch.testing.assert_close(found.brightest, other.brightest)


def test_maps_without_information_cost_what_random_patches_cost_in_expectation(small_vit, pictures):
    images, labels, _ = pictures
    guesses = torch.rand(6, 300, 64, generator=torch.Generator().manual_seed(2))
    found = cover(small_vit, images, guesses, labels, generator(), draws=300)
    error = (found.brightest.var(1) / 300 + found.random.var(1) / 300).sqrt()
    assert ((found.brightest.mean(1) - found.random.mean(1)).abs() < 4 * error).all()


def test_areas_of_deletion_are_the_trapezoid_written_out_and_insertion_mirrors_deletion(small_vit, pictures):
    images, labels, maps = pictures
    deleted, inserted = deletion_insertion(small_vit, images, maps, labels, steps=4)
    points = [
        probability(small_vit, images, labels)[:, None]
        - cover(small_vit, images, maps, labels, generator(), share=share).brightest
        for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    area = (points[0] / 2 + points[1] + points[2] + points[3] + points[4] / 2) / 4
    torch.testing.assert_close(deleted, area, rtol=1e-4, atol=1e-5)
    mirrored, _ = deletion_insertion(small_vit, images, -maps, labels, steps=4)
    torch.testing.assert_close(inserted, mirrored, rtol=1e-4, atol=1e-5)  # darkest first, read from its end


def test_of_equal_values_as_many_are_covered_as_were_asked_for():
    assert _brightest(torch.zeros(1, 1, 64), 13).sum() == 13


def test_covering_costs_nothing_where_the_class_token_sees_no_patch(small_vit, pictures):
    images, labels, maps = pictures
    with torch.no_grad():
        for block in small_vit.blocks:
            block.attn.proj.weight.zero_()
            block.attn.proj.bias.zero_()
    found = cover(small_vit, images, maps, labels, generator())
    assert not found.brightest.any() and not found.random.any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"maps": torch.zeros(6, 2, 63)}, ["(6, M, 64)", "(6, 2, 63)"]),
        ({"maps": torch.full((6, 2, 64), torch.nan)}, ["finite"]),
        ({"classes": torch.zeros(5, dtype=torch.long)}, ["(6,)", "(5,)"]),
        ({"fill": "black"}, ["mean, blur", "'black'"]),
        ({"share": 1.2}, ["0 to 1", "1.2"]),
    ],
)
def test_what_does_not_fit_is_refused(change, words, small_vit, pictures):
    images, labels, maps = pictures
    with pytest.raises(ValueError) as error:
        cover(
            **(
                {"model": small_vit, "images": images, "maps": maps, "classes": labels, "generator": generator()}
                | change
            )
        )
    assert all(word in str(error.value) for word in words)


@pytest.mark.benchmark
@pytest.mark.parametrize("name", ["cifar10", "shapes"])
def test_one_picture_takes_less_than_a_second(name, judge):
    model = ViT.from_pretrained(f"checkpoints/{name}")
    images, maps = torch.zeros(1, 3, 32, 32), torch.rand(1, 1, math.prod(model.grid_size))
    started = time.perf_counter()
    for fill in FILLS:
        cover(model, images, maps, torch.tensor([0]), generator(), fill=fill)
    seconds = time.perf_counter() - started
    judge(seconds < 1, f"covering one picture by {name} takes {seconds:.2f} s; expected less than 1")
