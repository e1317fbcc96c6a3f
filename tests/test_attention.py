"""Maps as numbers, and the figure of them."""

import numpy as np
import pytest
import torch

from vit import ViT
from vit.attention import attention_maps, cls_attention
from vit.figures import attention_figure, overlay


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
def test_an_image_still_normalised_or_misshapen_is_refused(image):
    with pytest.raises(ValueError, match="undo the normalisation"):
        attention_figure(image, np.ones((2, 2)))


def test_attention_that_is_no_map_is_refused():
    with pytest.raises(ValueError, match="got shape"):
        attention_figure(np.zeros((8, 8, 3)), np.ones(4))
