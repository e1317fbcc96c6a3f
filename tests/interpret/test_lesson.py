"""The lesson's numbers are those of the forward pass, for every kind of model."""

import pytest
import torch

from tests.conftest import KINDS, of_kind
from vit.interpret.lesson import added, asking, reach, rearranged
from vit.interpret.trace import trace

CLOSE = {"atol": 1e-5, "rtol": 1e-4}


@pytest.fixture(params=KINDS)
def model(request):
    return of_kind(request.param)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_a_token_that_asks_gets_the_row_of_the_map_and_the_heads_output(model, images):
    record = trace(model, images)
    for layer in range(record.num_maps):
        told = record.layers[layer] if layer < len(record.layers) else record.readout
        for head in range(3):
            for token in (0, told.q.shape[2] - 1):
                step = asking(record, layer, head, token)
                torch.testing.assert_close(step.weights, told.map[0, head, token], **CLOSE)
                torch.testing.assert_close(step.value, told.heads[0, head, token], **CLOSE)
                torch.testing.assert_close(step.scores, step.products / 8**0.5, **CLOSE)
    if record.readout is None:
        with pytest.raises(IndexError, match="3 layers with a read-out"):
            asking(record, 3, 0)


def test_what_a_block_adds_is_what_its_parts_return(model, images):
    record = trace(model, images)
    for at, block in enumerate(model.blocks):
        lengths, x = added(model, record, at), record.layers[at].input
        with torch.no_grad():
            attended = block.ls1(block.attn(block.norm1(x)))
            mlp = block.ls2(block.mlp(block.norm2(x + attended)))
            off = [
                block.attn(block.norm1(x), head_mask=torch.eye(3)[head])[0] - block.attn.proj.bias for head in range(3)
            ]
        torch.testing.assert_close(lengths.attention, attended[0].norm(dim=-1), **CLOSE)
        torch.testing.assert_close(lengths.mlp, mlp[0].norm(dim=-1), **CLOSE)
        torch.testing.assert_close(lengths.heads, torch.stack(off).norm(dim=-1), **CLOSE)
        torch.testing.assert_close(lengths.stream, x[0].norm(dim=-1))
        normal = (x[0] - lengths.mean[:, None]) / lengths.spread[:, None]
        torch.testing.assert_close(normal.square().mean(-1), torch.ones(len(normal)))
    with pytest.raises(IndexError, match="3 blocks"):
        added(model, record, 3)


def test_without_positions_no_order_of_the_patches_makes_a_difference(model, images):
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(rearranged(model, images), model(images), **CLOSE)
    there = rearranged(model, images, positions=False)
    torch.testing.assert_close(rearranged(model, images, order, positions=False), there, **CLOSE)
    assert not torch.allclose(rearranged(model, images, order), model(images), **CLOSE)
    if model.config["stem"] == "patch":  # then shuffled tokens are those of a shuffled picture
        patches = images.unfold(2, 4, 4).unfold(3, 4, 4).reshape(3, 64, 4, 4)[:, order]
        shuffled = patches.reshape(3, 8, 8, 4, 4).permute(0, 1, 3, 2, 4).reshape(1, 3, 32, 32)
        torch.testing.assert_close(rearranged(model, images, order), model(shuffled), **CLOSE)


def test_a_token_is_made_of_its_patch_and_of_what_reaches_beyond_it(model, images):
    beyond, at = reach(model), 3 * 8 + 3
    with torch.no_grad():
        before, moved = model.patch_embed(images)[0, at], []
        for left in range(12 - beyond - 2, 12):  # columns of pixels up to the patch's left edge
            changed = images.clone()
            changed[..., left] += 50
            moved.append(not torch.equal(model.patch_embed(changed)[0, at], before))
    assert moved[:2] == [False, False] and (beyond == 0 or any(moved[2:4])) and sum(moved) <= beyond
