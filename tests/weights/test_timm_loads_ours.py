"""A plain ViT of ours, from a folder or the Hub, by timm.create_model alone: the same logits, no code of ours."""

import pytest
import timm
import torch
from huggingface_hub import constants

from tests.conftest import KINDS, of_kind
from tests.weights.small_hub import hub_in_this_process
from vit import ViT
from vit.weights.timm_config import timm_config

SHAPES = [
    {},
    {"qkv_bias": False, "mlp_ratio": 2.5, "num_classes": 3},
    {"img_size": 48, "patch_size": 8, "in_chans": 1},
    {"distilled": True},
    {"reg_tokens": 3, "init_values": 0.1},
    {"num_classes": 0},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_timm_answers_as_we_do(shape, tmp_path):
    torch.manual_seed(0)
    model = ViT(**{"embed_dim": 24, "depth": 2, "num_heads": 3, **shape}).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.mean = model.std = (0.25,) * model.config["in_chans"]
    theirs = timm.create_model(f"local-dir:{model.save_pretrained(tmp_path / 'saved')}", pretrained=True).eval()
    images = torch.randn(2, model.config["in_chans"], model.config["img_size"], model.config["img_size"])
    expected = model(images) if model.config["num_classes"] else model.read_out(_trunk(model, images))[0][:, 0]
    torch.testing.assert_close(theirs(images), expected, atol=1e-5, rtol=1e-5)
    assert theirs.pretrained_cfg["mean"] == list(model.mean)


def _trunk(model, images):
    x = model.embed(images)
    for block in model.blocks:
        x = block(x)
    return x


def test_timm_loads_it_from_the_hub(tmp_path, monkeypatch, small_vit):
    with hub_in_this_process(tmp_path) as hub:
        hub.folders["somebody/ours"] = small_vit.save_pretrained(tmp_path / "saved")
        theirs = timm.create_model("hf-hub:somebody/ours", pretrained=True).eval()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        ours = ViT.from_pretrained("somebody/ours")
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(theirs(images), ours(images), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_timm_does_not_have_is_not_said_to_be_timms(kind, tmp_path):
    model = of_kind(kind)
    assert bool(timm_config(model)) == (kind in ("class token", "distilled", "registers"))
    assert ViT.from_pretrained(model.save_pretrained(tmp_path)).config == model.config
