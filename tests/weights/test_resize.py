"""Resized weights: equal to timm's, undone by going back, and a model of another size that says nearly the same."""

import pytest
import timm
import torch

from tests.conftest import KINDS, of_kind
from vit import ViT
from vit.weights.resize import resize_patches, resize_positions, resized, set_image_size


@pytest.mark.parametrize("prefix", [0, 1, 2, 5])
@pytest.mark.parametrize(("old", "new"), [((8, 8), (16, 16)), ((14, 14), (8, 8)), ((6, 4), (3, 9)), ((4, 4), (4, 4))])
def test_positions_are_timms(old, new, prefix):
    positions = torch.randn(1, prefix + old[0] * old[1], 12, generator=torch.Generator().manual_seed(0))
    expected = timm.layers.resample_abs_pos_embed(positions, list(new), list(old), prefix)
    found = resize_positions(positions, old, new, prefix)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert torch.equal(found[:, :prefix], positions[:, :prefix])
    assert resize_positions(positions.half(), old, new, prefix).dtype == torch.float16


@pytest.mark.parametrize(("old", "new"), [((4, 4), (8, 8)), ((4, 4), (2, 2)), ((16, 16), (4, 4)), ((3, 5), (6, 4))])
def test_patch_kernels_are_timms(old, new):
    kernel = torch.randn(6, 3, *old, generator=torch.Generator().manual_seed(0))
    expected = timm.layers.patch_embed.resample_patch_embed(kernel, list(new))
    torch.testing.assert_close(resize_patches(kernel, new), expected, atol=1e-5, rtol=1e-5)
    assert resize_patches(kernel.double(), new).dtype == torch.float64


def test_larger_patches_give_what_the_smaller_ones_gave():
    """Of pictures that were enlarged as patches are: each patch for itself, as the kernel's inverse is."""
    kernel, patches = torch.randn(6, 3, 4, 4), torch.randn(5, 3, 4, 4)
    larger = torch.nn.functional.interpolate(patches, (8, 8), mode="bicubic", antialias=True)
    before = torch.einsum("dchw,bchw->bd", kernel, patches)
    after = torch.einsum("dchw,bchw->bd", resize_patches(kernel, (8, 8)), larger)
    torch.testing.assert_close(after, before, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_any_kind_takes_another_models_weights(kind):
    model = of_kind(kind)
    model.classes, model.trained, model.temperature = ("a", "b"), {"dataset": "d", "test_accuracy": 0.5}, 0.5
    images = torch.randn(2, 3, 32, 32)
    same = resized(model)
    assert torch.equal(same(images), model(images)) and same is not model
    if kind == "conv stem":
        with pytest.raises(ValueError, match="resize img_size alone"):
            resized(model, patch_size=2)
    finer = resized(model, img_size=64) if kind == "conv stem" else resized(model, patch_size=2)
    images = torch.randn(2, 3, finer.config["img_size"], finer.config["img_size"])
    assert finer.grid_size == (16, 16) and finer(images).shape == (2, 10)
    larger = resized(model, img_size=48)
    assert larger.grid_size == (12, 12) and larger(torch.randn(2, 3, 48, 48)).isfinite().all()
    assert larger.classes == ("a", "b") and larger.trained == {"dataset": "d"} and larger.temperature == 1
    kept = [name for name, weight in larger.state_dict().items() if torch.equal(weight, model.state_dict().get(name))]
    assert set(model.state_dict()) - set(kept) == {"pos_embed"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_set_to_another_size_in_place_as_a_new_one_would_be(kind):
    model = of_kind(kind)
    model.trained, model.temperature = {"dataset": "d", "test_accuracy": 0.5}, 0.5
    expected, kernel, weights = resized(model, img_size=48), model.patch_embed.state_dict(), model.blocks[0].attn.qkv
    assert set_image_size(model, 48) is model
    images = torch.randn(2, 3, 48, 48)
    assert torch.equal(model(images), expected(images)) and model.config == expected.config
    assert (model.trained, model.temperature) == ({"dataset": "d"}, 1.0)
    assert model.blocks[0].attn.qkv is weights
    assert all(torch.equal(tensor, kernel[name]) for name, tensor in model.patch_embed.state_dict().items())
    with pytest.raises(ValueError, match="img_size=30"):
        set_image_size(model, 30)
    assert model.grid_size == (12, 12) and torch.equal(model(images), expected(images))


def test_an_enlarged_picture_in_larger_patches_is_seen_as_before():
    """What the patches become is exact but for the picture's interpolation across their edges."""
    torch.manual_seed(0)
    model = ViT(embed_dim=24, depth=1, num_heads=3)
    smooth = torch.nn.functional.interpolate(torch.randn(4, 3, 4, 4), (32, 32), mode="bicubic")
    larger = torch.nn.functional.interpolate(smooth, (64, 64), mode="bicubic")
    before, after = model.patch_embed(smooth), resized(model, img_size=64, patch_size=8).patch_embed(larger)
    assert (after - before).norm() < 0.1 * before.norm()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: resize_positions(torch.zeros(1, 17, 3), (4, 4), (8, 8), 0), r"\(1, 16, D\) of 0 prefix tokens"),
        (lambda: resize_positions(torch.zeros(1, 17, 3), (4, 4), (0, 8), 1), "new_grid_size must be"),
        (lambda: resize_patches(torch.zeros(3, 4, 4), (2, 2)), "Expected a kernel"),
        (lambda: resize_patches(torch.zeros(2, 3, 4, 4), (2, -2)), "new_size must be"),
        (lambda: resized(ViT(embed_dim=24, depth=1), patch_size=5), "divisible by patch_size"),
    ],
)
def test_sizes_that_do_not_fit_are_named(build, words):
    with pytest.raises(ValueError, match=words):
        build()
