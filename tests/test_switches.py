"""What a ViT may have beside the paper: another read-out, and registers."""

import pytest
import timm
import torch

from tests.conftest import KINDS, of_kind
from vit import ViT
from vit.model import AttentionPooling
from vit.weights.checkpoint import from_pretrained, save_pretrained


@pytest.mark.parametrize("kind", KINDS)
def test_the_maps_of_every_kind_are_as_the_contract_says(kind):
    model = of_kind(kind)
    images = torch.randn(2, 3, 32, 32)
    logits, maps = model(images, return_attention=True)
    N = model.num_prefix_tokens + 64
    assert len(maps) == model.num_maps
    squares = maps[:-1] if model.has_readout else maps
    assert [tuple(attn.shape) for attn in squares] == [(2, 3, N, N)] * len(model.blocks)
    if model.has_readout:
        assert maps[-1].shape == (2, 3, 1, N)
    for attn in maps:
        torch.testing.assert_close(attn.sum(-1), torch.ones(attn.shape[:-1]))
        assert attn.min() >= 0
    torch.testing.assert_close(model(images), logits, atol=1e-5, rtol=1e-5)
    assert model(images).std() > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_saved_and_loaded_bit_by_bit_and_learns(kind, tmp_path):
    model, images = of_kind(kind), torch.randn(4, 3, 32, 32)
    loaded = from_pretrained(save_pretrained(model, tmp_path))
    assert loaded.config == model.config
    assert torch.equal(loaded(images), model(images))
    model.train()(images, keep=torch.arange(32).expand(4, -1)).square().sum().backward()
    still = [name for name, parameter in model.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    softmax_shifts = (
        "attn.qkv.bias",
        "attn_pool.k.bias",
    )  # keys' biases alone move no softmax; some of these are keys'
    assert [name for name in still if not name.endswith(softmax_shifts)] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_head_that_is_off_can_be_any_of_the_maps(kind):
    model, images = of_kind(kind), torch.randn(1, 3, 32, 32)
    everything = torch.ones(model.num_maps, model.num_heads)
    torch.testing.assert_close(model(images, head_mask=everything), model(images), atol=1e-5, rtol=1e-5)
    for layer in range(model.num_maps):
        mask = everything.clone()
        mask[layer, 0] = 0
        assert not torch.allclose(model(images, head_mask=mask), model(images), atol=1e-4)
    with pytest.raises(ValueError, match=r"head_mask must be"):
        model(images, head_mask=torch.ones(model.num_maps + 1, model.num_heads))


def test_timm_weights_with_registers_load_unchanged_and_give_the_same_logits():
    shape = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "num_classes": 5}
    torch.manual_seed(0)
    theirs = timm.models.VisionTransformer(**shape, reg_tokens=4).eval()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    ours = ViT(**shape, reg_tokens=4).eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), atol=1e-5, rtol=0)
        torch.testing.assert_close(ours(images, return_attention=True)[0], theirs(images), atol=1e-5, rtol=0)


def test_an_even_read_out_is_the_mean_of_the_patches_and_a_sure_one_is_a_patch():
    pool, x, token = AttentionPooling(12, 3), torch.randn(2, 9, 12), torch.randn(1, 1, 12)
    torch.nn.init.zeros_(pool.q.weight)
    torch.nn.init.zeros_(pool.q.bias)
    pooled, attn = pool(x, token, prefix=2)
    torch.testing.assert_close(pooled[:, 0], x[:, 2:].mean(1))
    assert torch.equal(attn[..., :2], torch.zeros(2, 3, 1, 2))
    with torch.no_grad():
        pool.q.bias.fill_(1.0)
        pool.k.weight.copy_(torch.eye(12))
        pool.k.bias.zero_()
    x[:, 5] = 1000.0  # the one whose key agrees with the query
    torch.testing.assert_close(pool(x, token, prefix=2)[0][:, 0], x[:, 5])


def test_a_read_out_does_not_know_the_order_of_patches():
    model = of_kind("attn")
    x, order = torch.randn(2, 9, 24), torch.randperm(9)
    torch.testing.assert_close(model.classify(x[:, order]), model.classify(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"global_pool": "map"}, "global_pool must be one of"),
        ({"reg_tokens": -1}, "reg_tokens must be 0 or more"),
        ({"global_pool": "attn", "distilled": True}, "needs global_pool='token'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_remedy(wrong, words):
    with pytest.raises(ValueError, match=words):
        ViT(**{"embed_dim": 24, "depth": 2, "num_heads": 3, **wrong})
