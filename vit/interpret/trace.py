"""One walk through the model: every intermediate of a forward pass, by its name.

The model is a `vit.model.ViT` and comes as an argument; its weights and the mode of each module stay as they were.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vit.model import TransformerBlock, ViT


@dataclass(frozen=True)
class Layer:
    """One block: x + heads' outputs projected, then x + MLP (Dosovitskiy et al. 2021, Eq. 2, 3 and 5 to 8).

    input, mlp, output: (B, N, D); mlp is the MLP's output, before it is added. q, k, v: (B, heads, N, D/heads).
    mlp comes after LayerScale, where the model has it.
    map: (B, heads, N, N) after softmax, rows are queries and sum to 1. heads: (B, heads, N, D/heads), map @ v:
    what each head hands to the projection.
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
class ReadOut:
    """What takes the class token's place: one query that asks the last layer's tokens.

    q: (B, heads, 1, D/heads). k: (B, heads, h*w, D/heads), of the patches alone: the prefix tokens get nothing.
    map: (B, heads, 1, N), the row sums to 1. v: (B, heads, N, D/heads). heads: (B, heads, 1, D/heads), as in Layer.
    """

    q: Tensor
    k: Tensor
    map: Tensor
    v: Tensor
    heads: Tensor


@dataclass(frozen=True)
class Trace:
    """One forward pass in eval mode.

    embeddings: (B, N, D), prefix tokens first, then h*w patches row by row. layers: those whose tokens attend to each
    other, in order. maps: (B, L, heads, N, N), those of all layers, without the read-out's. logits: (B, classes), equal
    to model(images). grid_size: (h, w); patch_size in pixels. num_class_tokens: how many tokens, from the first, are
    read after the last layer; 0 where a read-out is, the last of the maps then.
    """

    embeddings: Tensor
    layers: tuple[Layer, ...]
    maps: Tensor
    logits: Tensor
    grid_size: tuple[int, int]
    num_prefix_tokens: int
    patch_size: int
    num_class_tokens: int = 1
    readout: ReadOut | None = None

    @property
    def num_maps(self) -> int:
        """Layers, and the read-out."""
        return len(self.layers) + (self.readout is not None)

    @property
    def rows(self) -> Tensor:
        """`read_rows` of all maps: (B, num_maps, heads, N)."""
        return read_rows(self.maps, None if self.readout is None else self.readout.map, self.num_prefix_tokens)


def read_rows(maps: Tensor, readout: Tensor | None, num_prefix_tokens: int) -> Tensor:
    """What is asked of the picture as a whole: the class token's row in each layer, (B, L, heads, N).

    Where a read-out takes the class token's place: the mean of the patches' rows in each layer, then the read-out's,
    (B, L + 1, heads, N). maps: (B, L, heads, N, N). readout: (B, heads, 1, N) or None.
    """
    if readout is None:
        return maps[:, :, :, 0]
    return torch.cat([maps[:, :, :, num_prefix_tokens:].mean(3), readout[:, None, :, 0]], dim=1)


@torch.no_grad()
def trace(model: ViT, images: Tensor) -> Trace:
    """Runs the model and keeps everything. images: normalized, (B, C, H, W), on the model's device.

    A picture takes about L * N * (heads * N + 10 * D) numbers: studies over many pictures keep less, see heads.py.
    """
    with evaluating(model):
        embeddings = model.embed(images)
        (B, N, _), heads = embeddings.shape, model.num_heads
        maps = embeddings.new_empty(len(model.blocks), B, heads, N, N)  # at once: with 37 x 37 patches they are 0.5 GB
        layers, x = [], embeddings
        for block, attn in zip(model.blocks, maps):
            layers.append(_trace_block(block, x, attn))
            x = layers[-1].output
        logits, readout = model.classify(x), _trace_readout(model, x)
    shape = (model.grid_size, model.num_prefix_tokens, model.config["patch_size"], model.num_class_tokens)
    return Trace(embeddings, tuple(layers), maps.transpose(0, 1), logits, *shape, readout)


def _trace_readout(model: ViT, x: Tensor) -> ReadOut | None:
    _, attn = model.read_out(x)
    if attn is None or model.attn_pool is None:
        return None
    tokens, pool = model.norm(x), model.attn_pool
    patches = tokens[:, model.num_prefix_tokens :]
    asked = pool.q(patches.mean(1, keepdim=True) + model.cls_token), pool.k(patches), tokens
    q, k, v = (part.unflatten(2, (model.num_heads, -1)).transpose(1, 2) for part in asked)
    return ReadOut(q, k, attn, v, attn @ v)


def _trace_block(block: TransformerBlock, x: Tensor, attn: Tensor) -> Layer:
    """attn: where the map goes, (B, heads, N, N)."""
    attention, (B, N, D) = block.attn, x.shape
    q, k, v = _queries_keys_values(block, x)
    torch.matmul(q * attention.head_dim**-0.5, k.transpose(-2, -1), out=attn)
    torch.softmax(attn, dim=-1, out=attn)
    heads = attn @ v  # (B, heads, N, D/heads)
    attended = x + block.ls1(attention.proj(heads.transpose(1, 2).reshape(B, N, D)))
    mlp = block.ls2(block.mlp(block.norm2(attended)))
    return Layer(x, q, k, v, attn, heads, mlp, attended + mlp)


def _queries_keys_values(block: TransformerBlock, x: Tensor) -> tuple[Tensor, ...]:
    """Each (B, heads, N, D/heads)."""
    qkv = block.attn.qkv(block.norm1(x)).unflatten(2, (3, block.attn.num_heads, block.attn.head_dim))
    return qkv.permute(2, 0, 3, 1, 4).unbind(0)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode, and afterwards each module in the mode it was in. Never held across a yield to the caller."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
