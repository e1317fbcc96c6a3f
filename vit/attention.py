"""Attention maps as numbers. Maps are (B, heads, N, N) a layer, rows are queries; nothing but torch is imported."""

import torch
from torch import Tensor, nn


@torch.no_grad()
def attention_maps(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and the attention of all layers, from one forward pass in eval mode.

    images: normalised, (B, C, H, W), on the model's device. Returns logits (B, classes) and maps (B, L, heads, N, N);
    every row sums to 1.
    """
    was_training = model.training
    model.eval()
    logits, maps = model(images, return_attention=True)
    model.train(was_training)
    return logits, torch.stack(maps, dim=1)


def cls_attention(
    maps: Tensor, grid_size: tuple[int, int], num_prefix_tokens: int = 1, layer: int = -1, head: int | None = None
) -> Tensor:
    """How much the class token attends to each patch, as a grid (Dosovitskiy et al. 2021, Fig. 6, one layer of it).

    maps: (B, L, heads, N, N) with N = num_prefix_tokens + h * w. layer: 0 to L - 1, or negative from the last.
    head: 0 to heads - 1, or None for the mean of heads. Returns (B, h, w), values in [0, 1]; they sum to 1 less what
    goes to the prefix tokens. Raises ValueError on a layer, head or grid that is not there.
    """
    _, L, heads, N, _ = maps.shape
    h, w = grid_size
    if num_prefix_tokens + h * w != N:
        raise ValueError(
            f"The maps have {N} tokens, but {num_prefix_tokens} prefix tokens and a {h} x {w} grid make "
            f"{num_prefix_tokens + h * w}; take grid_size and num_prefix_tokens from the model."
        )
    if not -L <= layer < L:
        raise ValueError(f"The maps have {L} layers, 0 to {L - 1}, got layer {layer}.")
    if head is not None and not -heads <= head < heads:
        raise ValueError(f"The maps have {heads} heads, 0 to {heads - 1}, got head {head}; None is their mean.")
    attn = maps[:, layer].mean(dim=1) if head is None else maps[:, layer, head]  # (B, N, N)
    return attn[:, 0, num_prefix_tokens:].unflatten(1, (h, w))
