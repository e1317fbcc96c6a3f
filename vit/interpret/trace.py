"""One walk through the model: every intermediate of a forward pass, by its name.

The model is a `vit.model.ViT` and comes as an argument; its weights and the mode of each module stay as they were.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from vit.model import TransformerBlock, ViT


@dataclass(frozen=True)
class Layer:
    """One block: x + heads' outputs projected, then x + MLP (Dosovitskiy et al. 2021, Eq. 2, 3 and 5 to 8).

    input, mlp, output: (B, N, D); mlp is the MLP's output, before it is added. q, k, v: (B, heads, N, D/heads).
    map: (B, heads, N, N) after softmax, rows are queries and sum to 1. heads: (B, heads, N, D/heads), map @ v, what
    each head hands to the projection.
    """

    input: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    map: Tensor
    heads: Tensor
    mlp: Tensor
    output: Tensor


@dataclass(frozen=True)
class Trace:
    """One forward pass in eval mode.

    embeddings: (B, N, D), prefix tokens first, then h*w patches row by row. layers: L of them, in order. logits:
    (B, classes), equal to model(images). grid_size: (h, w); patch_size in pixels.
    """

    embeddings: Tensor
    layers: tuple[Layer, ...]
    logits: Tensor
    grid_size: tuple[int, int]
    num_prefix_tokens: int
    patch_size: int

    @property
    def maps(self) -> Tensor:
        """All layers' maps, (B, L, heads, N, N)."""
        return torch.stack([layer.map for layer in self.layers], dim=1)


@torch.no_grad()
def trace(model: ViT, images: Tensor) -> Trace:
    """Runs the model and keeps everything. images: normalized, (B, C, H, W), on the model's device.

    A picture takes about L * N * (heads * N + 10 * D) numbers: studies over many pictures keep less, see heads.py.
    """
    with evaluating(model):
        embeddings = model.embed(images)
        layers, x = [], embeddings
        for block in model.blocks:
            layers.append(_trace_block(block, x))
            x = layers[-1].output
        logits = model.classify(x)
    patch_size = model.config["patch_size"]
    return Trace(embeddings, tuple(layers), logits, model.grid_size, model.num_prefix_tokens, patch_size)


def _trace_block(block: TransformerBlock, x: Tensor) -> Layer:
    attention, (B, N, D) = block.attn, x.shape
    qkv = attention.qkv(block.norm1(x)).reshape(B, N, 3, attention.num_heads, attention.head_dim)
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N, D/heads)
    attn = (q @ k.transpose(-2, -1) * attention.head_dim**-0.5).softmax(dim=-1)  # (B, heads, N, N)
    heads = attn @ v  # (B, heads, N, D/heads)
    attended = x + attention.proj(heads.transpose(1, 2).reshape(B, N, D))
    mlp = block.mlp(block.norm2(attended))
    return Layer(x, q, k, v, attn, heads, mlp, attended + mlp)


@contextlib.contextmanager
def evaluating(model: ViT) -> Iterator[None]:
    """Eval mode, and afterwards each module in the mode it was in. Never held across a yield to the caller."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
