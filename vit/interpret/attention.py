"""Attention maps as numbers. Maps are (B, L, heads, N, N) after softmax, rows are queries.

What is said of the class token holds for a read-out, which takes its place in some models: functions that look at its
row alone take (B, L, heads, 1, N), too, as `read_rows` gives them.

Nothing but torch is imported. What has to run a model on purpose is in probing.py, and over a set in heads.py; which
numbers of a head are told, and of which rows, is in statistics.py.
"""

from functools import lru_cache

import torch
from torch import Tensor, nn

from vit.interpret.trace import evaluating, read_rows
from vit.model import ViT


def attention_maps(model: ViT, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and the attention of all layers, from one forward pass in eval mode.

    images: normalized, (B, C, H, W), on the model's device. Returns logits (B, classes) and maps (B, L, heads, N, N);
    every row sums to 1; of a model with a read-out, all but that one. The model, with the mode of each of its modules,
    stays as it was.
    """
    logits, maps, _ = _run(model, images)
    return logits, maps


def read_attention(model: ViT, images: Tensor, residual: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, `read_rows` of all maps (B, num_maps, heads, N), and those of the rollout (B, num_maps, N).

    images and model as in `attention_maps`, residual as in `rollout`. So this is the same for every kind of model.
    """
    logits, maps, readout = _run(model, images)
    prefix = model.num_prefix_tokens
    return logits, read_rows(maps, readout, prefix), read_rollout(rollout(maps, residual), readout, prefix)


@torch.no_grad()
def _run(model: ViT, images: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits, the layers' maps (B, L, heads, N, N), and the read-out's (B, heads, 1, N), where there is one."""
    with evaluating(model):
        logits, maps = model(images, return_attention=True)
    readout = maps.pop() if model.has_readout else None
    return logits, torch.stack(maps, dim=1), readout


def read_rollout(rolled: Tensor, readout: Tensor | None, num_prefix_tokens: int) -> Tensor:
    """`read_rows` of a rollout (B, L, N, N): (B, L, N), or (B, L + 1, N) with a read-out, which no skip passes by."""
    if readout is None:
        return rolled[:, :, 0]
    last = readout.mean(1) @ rolled[:, -1]  # (B, 1, N)
    return torch.cat([rolled[:, :, num_prefix_tokens:].mean(2), last], dim=1)


def cls_attention(
    maps: Tensor, grid_size: tuple[int, int], num_prefix_tokens: int = 1, layer: int = -1, head: int | None = None
) -> Tensor:
    """How much the class token attends to each patch, as a grid (Dosovitskiy et al. 2021, Fig. 6, one layer of it).

    maps: (B, L, heads, N, N) with N = num_prefix_tokens + h * w. layer: 0 to L - 1, or negative from the last.
    head: 0 to heads - 1, or None for the mean of heads. Returns (B, h, w), values in [0, 1]; they sum to 1 less what
    goes to the prefix tokens. Raises ValueError on a layer, head or grid that is not there.
    """
    _check_tokens(maps, grid_size, num_prefix_tokens, square=False)
    _, L, heads, _, _ = maps.shape
    if not -L <= layer < L:
        raise ValueError(f"The maps have {L} layers, 0 to {L - 1}, got layer {layer}.")
    if head is not None and not -heads <= head < heads:
        raise ValueError(f"The maps have {heads} heads, 0 to {heads - 1}, got head {head}; None is their mean.")
    attn = maps[:, layer].mean(dim=1) if head is None else maps[:, layer, head]  # (B, N, N)
    return attn[:, 0, num_prefix_tokens:].unflatten(1, tuple(grid_size))


def rollout(maps: Tensor, residual: float = 0.5) -> Tensor:
    """Attention from each layer's tokens back to the input's, multiplied through the layers (heads averaged).

    Abnar & Zuidema 2020, Eq. 1 (arXiv:2005.00928). maps: (B, L, heads, N, N). residual: weight of the skip
    connection, in [0, 1]; the paper's is 0.5. Returns (B, L, N, N): [:, l] reaches from the output of layer l to the
    input, [:, -1] is the paper's; rows sum to 1. Raises ValueError on maps of another shape and on another residual.
    """
    _check_maps(maps)
    if not 0 <= residual <= 1:
        raise ValueError(f"residual is the skip connection's weight, 0 to 1, got {residual}; the paper's is 0.5.")
    reached = maps.mean(dim=2).mul_(1 - residual)  # (B, L, N, N): first each layer's step, then all up to it
    reached.diagonal(dim1=-2, dim2=-1).add_(residual)
    reached /= reached.sum(dim=-1, keepdim=True)
    for layer in range(1, reached.shape[1]):
        reached[:, layer] = reached[:, layer] @ reached[:, layer - 1]
    return reached


def attention_distance(maps: Tensor, grid_size: tuple[int, int], num_prefix_tokens: int, patch_size: int) -> Tensor:
    """How far each head looks: mean distance in pixels between the centers of a patch and the patches it attends to.

    Dosovitskiy et al. 2021, Fig. 11; Raghu et al. 2021 (arXiv:2108.08810). Queries and keys are patches: attention to
    prefix tokens is left out and the rest made to sum to 1; a query that gives patches nothing counts as 0. Returns
    (B, L, heads), from 0 (each patch sees itself alone) to below the diagonal. Raises ValueError on a wrong grid.
    """
    _check_tokens(maps, grid_size, num_prefix_tokens)
    # Prefix tokens get distance 0 and weight 0 as keys, so that the maps need not be copied to cut them off.
    distances = maps.new_zeros(maps.shape[-2:])
    distances[num_prefix_tokens:, num_prefix_tokens:] = patch_distances(grid_size, patch_size).to(maps)
    is_patch = (torch.arange(maps.shape[-1], device=maps.device) >= num_prefix_tokens).to(maps)
    weighted = torch.einsum("blhqk,qk->blhq", maps, distances)
    far = weighted / (maps @ is_patch).clamp_min(torch.finfo(maps.dtype).tiny)  # (B, L, heads, N)
    return far[..., num_prefix_tokens:].mean(dim=-1)


def uniform_distance(grid_size: tuple[int, int], patch_size: int) -> float:
    """`attention_distance` of a head that attends everywhere alike, in pixels: what the others compare to."""
    return patch_distances(grid_size, patch_size).mean().item()


def attention_entropy(maps: Tensor) -> Tensor:
    """Entropy of each query's attention over all N tokens, in nats: 0 on a single token, ln N on all alike.

    maps: (B, L, heads, N, N). Returns (B, L, heads, N); [..., 0] is the class token's. exp of it is the number of
    tokens attended to, had they equal weights. Raises ValueError on maps of another shape.
    """
    _check_maps(maps, square=False)
    return entropy_of(maps)


def entropy_of(weights: Tensor) -> Tensor:
    """Of weights (..., n) that sum to 1, in nats: (...)."""
    tiny = torch.finfo(weights.dtype).tiny  # 0 ln 0 is 0; torch.xlogy knows that, and takes twice as long
    return -(weights.clamp_min(tiny).log() * weights).sum(dim=-1)


def patch_coverage(masks: Tensor, grid_size: tuple[int, int], patch_size: int) -> Tensor:
    """Share of each patch that a mask covers, in [0, 1]: (..., H, W) bool pixels -> (..., h, w).

    Raises ValueError unless the mask has the size of the picture, h * patch_size by w * patch_size.
    """
    h, w = grid_size
    if masks.ndim < 2 or tuple(masks.shape[-2:]) != (h * patch_size, w * patch_size):
        raise ValueError(
            f"A {h} x {w} grid of {patch_size} px patches needs a mask of {h * patch_size} x {w * patch_size} pixels, "
            f"got {tuple(masks.shape)}; resize the mask as the picture was resized."
        )
    return masks.float().unflatten(-1, (w, patch_size)).unflatten(-3, (h, patch_size)).mean(dim=(-3, -1))


def region_shares(maps: Tensor, regions: Tensor, num_prefix_tokens: int) -> Tensor:
    """Share of the class token's attention to patches that falls on each region, in [0, 1].

    regions: (B, R, h, w), how much of each patch belongs to each region, in [0, 1]: `patch_coverage` of masks, or
    one-hot labels of parts. Attention to prefix tokens is left out. Returns (B, L, heads, R);
    regions.mean((-2, -1)) are the shares of a head that doesn't look. Raises ValueError where shapes do not fit.
    """
    _check_maps(maps, square=False)
    if regions.ndim != 4 or len(regions) != len(maps):
        raise ValueError(f"regions must be (B, R, h, w) with B = {len(maps)}, got {tuple(regions.shape)}.")
    h, w = regions.shape[-2:]
    _check_tokens(maps, (h, w), num_prefix_tokens, square=False)
    patches = maps[:, :, :, 0, num_prefix_tokens:]  # (B, L, heads, h*w)
    patches = patches / patches.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
    return torch.einsum("blhp,brp->blhr", patches, regions.flatten(2).to(maps))


def head_similarity(maps: Tensor, num_prefix_tokens: int) -> Tensor:
    """Cosine between any two heads' maps of the class token's attention to patches, in [0, 1].

    Returns (B, L*heads, L*heads), head h of layer l at l * heads + h. Attention has no negative values: two uniform
    heads already have 1, and unrelated ones are well above 0. Raises ValueError on maps of another shape.
    """
    _check_maps(maps, square=False)
    patches = maps[:, :, :, 0, num_prefix_tokens:].flatten(1, 2)  # (B, L*heads, h*w)
    patches = nn.functional.normalize(patches, dim=-1)
    return patches @ patches.transpose(1, 2)


def patch_distances(grid_size: tuple[int, int], patch_size: int) -> Tensor:
    """Euclidean distances between the centers of any two patches, in pixels: (h*w, h*w), one for all who ask."""
    return _distances(*grid_size, patch_size)


@lru_cache(maxsize=4)
def _distances(h: int, w: int, patch_size: int) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    centers = torch.stack([rows, columns], dim=-1).flatten(0, 1).float() * patch_size
    return (centers[:, None] - centers).norm(dim=-1)


def _check_maps(maps: Tensor, square: bool = True) -> None:
    """square: whether all rows are needed; else the first alone will do."""
    if maps.ndim != 5 or maps.shape[-2] not in ((maps.shape[-1],) if square else (maps.shape[-1], 1)):
        raise ValueError(
            f"Expected maps of shape (B, L, heads, N, N), got {tuple(maps.shape)}; attention_maps makes them so."
        )


def _check_tokens(maps: Tensor, grid_size: tuple[int, int], num_prefix_tokens: int, square: bool = True) -> None:
    _check_maps(maps, square)
    (h, w), N = grid_size, maps.shape[-1]
    if num_prefix_tokens + h * w != N:
        raise ValueError(
            f"The maps have {N} tokens, but {num_prefix_tokens} prefix tokens and a {h} x {w} grid make "
            f"{num_prefix_tokens + h * w}; take grid_size and num_prefix_tokens from the model."
        )
