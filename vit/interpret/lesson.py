"""The numbers of the lesson's steps: one token that asks, what a block adds, tokens without their places.

Records are those of `trace`, of one picture; layers, heads and tokens count from 0, a read-out is one more layer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vit.interpret.trace import Layer, ReadOut, Trace, evaluating
from vit.model import ConvStem, ViT


@dataclass(frozen=True)
class Asking:
    """One token asks in one head (Dosovitskiy et al. 2021, Eq. 5 to 7), stage by stage.

    query: (D/heads,). products: (N,), the query times each key; -inf for tokens that have none, the prefix before a
    read-out. scores: products over sqrt(D/heads). weights: softmax of scores, sum to 1. value: (D/heads,), the mean of
    the values by weight.
    """

    query: Tensor
    products: Tensor
    scores: Tensor
    weights: Tensor
    value: Tensor


def asking(record: Trace, layer: int, head: int, token: int = 0) -> Asking:
    """token: who asks, prefix tokens first; 0 in a read-out, in which nobody else does. Raises IndexError."""
    asked = layer_of(record, layer)
    query, keys, values = asked.q[0, head, token], asked.k[0, head], asked.v[0, head]
    missing = keys.new_full((len(values) - len(keys),), -torch.inf)
    products = torch.cat([missing, keys @ query])
    scores = products * len(query) ** -0.5
    weights = scores.softmax(0)
    return Asking(query, products, scores, weights, weights @ values)


def layer_of(record: Trace, layer: int) -> Layer | ReadOut:
    """A layer, or after the last of them the read-out. Raises IndexError."""
    asked = [*record.layers, record.readout][layer] if layer >= 0 else None
    if asked is None:
        raise IndexError(f"There are {record.num_maps} layers with a read-out, from 0, got {layer}.")
    return asked


@dataclass(frozen=True)
class Added:
    """Lengths (Euclidean) of a block's input and of what its parts add to it, for each token.

    stream, attention, mlp: (N,). heads: (heads, N), of what each head's share of the projection adds, without its bias.
    mean, spread: (N,), of a token's D numbers before the first norm.
    """

    stream: Tensor
    attention: Tensor
    mlp: Tensor
    heads: Tensor
    mean: Tensor
    spread: Tensor


@torch.no_grad()
def added(model: ViT, record: Trace, layer: int) -> Added:
    """What one block adds. Raises IndexError where there is no such block, be it for a read-out, which adds nothing."""
    if not 0 <= layer < len(record.layers):
        raise IndexError(f"There are {len(record.layers)} blocks, from 0, got {layer}.")
    told, block = record.layers[layer], model.blocks[layer]
    shares = block.attn.proj.weight.unflatten(1, (model.num_heads, -1)).unbind(1)  # each (D, D/heads)
    heads = [block.ls1(head @ share.mT).norm(dim=-1) for head, share in zip(told.heads[0], shares, strict=True)]
    x, attention = told.input[0], told.output[0] - told.mlp[0] - told.input[0]
    spread = x.std(-1, correction=0)
    lengths = x.norm(dim=-1), attention.norm(dim=-1), told.mlp[0].norm(dim=-1)
    return Added(*lengths, torch.stack(heads), x.mean(-1), spread)


@torch.no_grad()
def rearranged(model: ViT, images: Tensor, order: Tensor | None = None, positions: bool = True) -> Tensor:
    """Logits (B, classes) with the patches' tokens in another order, and with or without position embeddings.

    order: (h*w,) int64, which patch stands at each place; None leaves them. positions: False takes away those of the
    patches. Without them no order makes a difference (the prefix tokens keep theirs).
    """
    prefix, places = model.num_prefix_tokens, model.pos_embed[:, model.num_prefix_tokens :]
    with evaluating(model):
        x = model.embed(images)
        patches = model.patch_embed(images)
        if order is not None:
            patches = patches[:, order]
        x = torch.cat([x[:, :prefix], patches + places if positions else patches], dim=1)
        for block in model.blocks:
            x = block(x)
        return model.classify(x)


def reach(model: ViT) -> int:
    """How many pixels beyond its own patch a token is made of, on each side: 0 for patches, more for a conv stem."""
    pixels, stride = 0, 1
    for layer in model.patch_embed.convs if isinstance(model.patch_embed, ConvStem) else ():
        if isinstance(layer, nn.Conv2d):
            pixels += (layer.kernel_size[0] // 2) * stride
        elif isinstance(layer, nn.MaxPool2d) and isinstance(layer.kernel_size, int):
            stride *= layer.kernel_size
    return pixels


def prefix_names(model: ViT) -> list[str]:
    """What the tokens before the patches are called."""
    classes = ["class token", "distillation token"][: model.num_class_tokens]
    return classes + [f"register {i + 1}" for i in range(model.num_prefix_tokens - len(classes))]


def token_name(model: ViT, token: int) -> str:
    """A token within a sentence. token: from 0, the prefix first."""
    names, width = prefix_names(model), model.grid_size[1]
    if token < len(names):
        return f"{'the ' * (token < model.num_class_tokens)}{names[token]}"
    row, column = divmod(token - len(names), width)
    return f"the patch in row {row + 1}, column {column + 1}"
