"""The record of one forward pass is the forward pass."""

import pytest
import torch

from vit import ViT
from vit.interpret.trace import trace


@pytest.mark.parametrize(("dtype", "room"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("stem", ["patch", "conv"])
@pytest.mark.parametrize("distilled", [False, True])
def test_a_trace_is_the_models_own_forward_pass(stem, distilled, dtype, room):
    torch.manual_seed(0)
    model = ViT(embed_dim=24, depth=3, num_heads=3, stem=stem, distilled=distilled, drop_rate=0.2, drop_path_rate=0.2)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model = model.to(dtype).train()
    images = torch.randn(2, 3, 32, 32, dtype=dtype)
    record = trace(model, images)
    assert model.training and model.blocks[1].attn.training
    model.eval()
    _, maps = model(images, return_attention=True)
    torch.testing.assert_close(record.logits, model(images), atol=room, rtol=0)
    torch.testing.assert_close(record.maps, torch.stack(maps, dim=1), atol=room, rtol=0)
    torch.testing.assert_close(record.embeddings, model.embed(images), atol=room, rtol=0)
    x = record.embeddings
    for layer, block in zip(record.layers, model.blocks):
        assert torch.equal(layer.input, x)
        torch.testing.assert_close(layer.output, block(x), atol=room, rtol=0)
        torch.testing.assert_close((layer.q @ layer.k.mT / 8**0.5).softmax(-1), layer.map, atol=room, rtol=0)
        torch.testing.assert_close(layer.map @ layer.v, layer.heads, atol=room, rtol=0)
        attended = x + block.attn.proj(layer.heads.transpose(1, 2).flatten(2))
        torch.testing.assert_close(attended + layer.mlp, layer.output, atol=room, rtol=0)
        x = layer.output
    assert record.num_prefix_tokens == 1 + distilled and record.grid_size == (8, 8) and record.patch_size == 4
    assert not record.logits.requires_grad


def test_a_single_layer_of_a_single_head_is_traced():
    torch.manual_seed(0)
    model = ViT(img_size=8, patch_size=8, embed_dim=6, depth=1, num_heads=1, num_classes=2).eval()
    images = torch.randn(1, 3, 8, 8)
    record = trace(model, images)
    assert record.maps.shape == (1, 1, 1, 2, 2)
    torch.testing.assert_close(record.logits, model(images))
