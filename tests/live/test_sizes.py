"""A model at another size of pictures: which sizes there are, what stays of it, and what its key is."""

import pytest
import torch

from tests.conftest import of_kind
from vit import CNN, ViT
from vit.live import models, sizes
from vit.model import Doubt


@pytest.mark.parametrize(
    ("own", "patch", "can"),
    [
        (32, 4, [32, 48, 64]),
        (48, 16, [32, 48, 64]),
        (224, 16, [224, 384]),
        (224, 8, [224]),
        (518, 14, [224, 392, 518]),
        (224, 32, [224, 384]),
    ],
)
def test_a_model_can_be_read_at_the_sizes_that_its_patches_divide(own, patch, can):
    with torch.device("meta"):
        assert sizes.sizes(ViT(img_size=own, patch_size=patch, embed_dim=24, depth=1, num_heads=3)) == can


def test_a_network_without_positions_has_one_size():
    assert sizes.sizes(CNN()) == [CNN().config["img_size"]]


@pytest.mark.parametrize("kind", ["class token", "registers", "attn", "conv stem"])
def test_at_another_size_all_but_the_positions_are_the_same_tensors(kind):
    model = of_kind(kind)
    model.trained, model.temperature = {"dataset": "shapes", "test_accuracy": 0.9}, 2.0
    model.doubt = Doubt("maximum", 0.3, 0.05)
    larger = sizes.at(model, 48)
    assert larger.grid_size == (12, 12) and model.grid_size == (8, 8)
    assert larger.trained == {"dataset": "shapes", "resized_from": 32} and "test_accuracy" in model.trained
    assert larger.temperature == 1 and larger.doubt is None and model.doubt
    for (name, ours), theirs in zip(model.named_parameters(), larger.parameters(), strict=True):
        assert (ours is theirs) == (name != "pos_embed"), name
    assert larger(torch.zeros(1, 3, 48, 48)).isfinite().all()
    assert sizes.at(model, 32) is model and sizes.at(model, 48) is larger


def test_a_size_is_part_of_a_models_key_and_its_own_size_is_none():
    assert models.at_size("shapes", 48) == "shapes@48px"
    assert models.at_size("shapes@48px", 64) == "shapes@64px" and models.at_size("shapes@64px", 32) == "shapes"
    assert models.find("shapes@48px").config["img_size"] == 48 and models.available("shapes@48px")
    assert not models.available("shapes@50px") and not models.available("nobody@48px")
    assert models.title("shapes@48px", {"shapes@48px": models.called("shapes@48px")}).startswith("At 48 px: ")
    with pytest.raises(ValueError, match="read at 32, 48, 64 px, got 50; choose another"):
        models.find("shapes@50px")
