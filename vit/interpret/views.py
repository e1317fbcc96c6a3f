"""Ways to see a layer's attention, its heads, their mean and the rollout, and what can be measured of one.

A measure is a function of a View and of the rows that count; the table of them is in statistics.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.interpret.attention import entropy_of, patch_distances, rollout
from vit.interpret.trace import Trace

RESIDUAL = 0.5  # of the rollout


@dataclass(frozen=True)
class View:
    """Maps of one layer, of C heads or of what is made from them, and what belongs to them.

    map: (B, C, N, N), rows sum to 1. v: (B, C, N, D/heads), and heads, map @ v; None for the mean of heads and the
    rollout, which no head computed. objects: (B, h, w), how much of each patch is on the object or another region, in
    [0, 1]; None where there is no region. A read-out's maps have one row. num_class_tokens: as a Trace's.
    """

    map: Tensor
    v: Tensor | None
    heads: Tensor | None
    grid_size: tuple[int, int]
    num_prefix_tokens: int
    patch_size: int
    objects: Tensor | None = None
    num_class_tokens: int = 1


def layer_views(
    record: Trace, objects: Tensor | None = None, rolled: Tensor | None = None
) -> Iterator[tuple[View, View, View]]:
    """For each layer, the read-out among them, its heads, the mean of its heads, and the rollout up to it.

    rolled: rollout(record.maps, RESIDUAL), where that is known.

    Of the rollout, the share RESIDUAL^l that skip connections alone carried is left out and the rest made to sum to 1.
    So the first layer's is exactly the mean of its heads, and one measure says local or global of all three.
    """
    geometry = geometry_of(record, objects)
    rolled = rollout(record.maps, RESIDUAL) if rolled is None else rolled
    for i, layer in enumerate(record.layers):
        stayed = RESIDUAL ** (i + 1)
        moved = rolled[:, i].clone()
        moved.diagonal(dim1=-2, dim2=-1).sub_(stayed)
        moved.clamp_min_(0).div_(1 - stayed)
        yield (
            View(layer.map, layer.v, layer.heads, *geometry),
            View(layer.map.mean(1, keepdim=True), None, None, *geometry),
            View(moved[:, None], None, None, *geometry),
        )
    if record.readout is not None:
        mean = record.readout.map.mean(1, keepdim=True)
        yield (
            View(record.readout.map, record.readout.v, record.readout.heads, *geometry),
            View(mean, None, None, *geometry),
            View(mean @ moved[:, None], None, None, *geometry),
        )


def middle_of_picture(grid_size: tuple[int, int]) -> Tensor:
    """How much of each patch lies in the middle half of each side, a quarter of the picture: (h, w), in [0, 1]."""
    sides = [torch.arange(size + 1.0).clamp(size / 4, 3 * size / 4).diff() for size in grid_size]
    return torch.outer(*sides)


def fixed_regions(grid_size: tuple[int, int]) -> Tensor:
    """How much of each patch lies in the center and in the border: (2, h, w), in [0, 1]."""

    def middle(size: int, margin: float) -> Tensor:  # share of each of `size` slots inside [margin, 1 - margin]
        return torch.arange(size + 1.0).clamp(margin * size, (1 - margin) * size).diff()

    def box(margin: float) -> Tensor:
        return torch.outer(middle(grid_size[0], margin), middle(grid_size[1], margin))

    return torch.stack([middle_of_picture(grid_size), 1 - box(1 / 8)])


def geometry_of(record: Trace, objects: Tensor | None) -> tuple:
    return record.grid_size, record.num_prefix_tokens, record.patch_size, objects, record.num_class_tokens


def distance(view: View, rows: slice) -> Tensor:
    """Mean distance from a patch to what it gives patches, pixels (Dosovitskiy et al. 2021, Fig. 11)."""
    prefix = view.num_prefix_tokens
    distances = patch_distances(view.grid_size, view.patch_size).to(view.map)
    patches = view.map[:, :, rows, prefix:]
    far = (patches * distances[rows.start - prefix : rows.stop - prefix : rows.step]).sum(-1)
    return far / patches.sum(-1).clamp_min(torch.finfo(far.dtype).tiny)


def entropy(view: View, rows: slice) -> Tensor:
    """Of attention over all N tokens, nats: 0 on a single token, ln N on all alike."""
    weights = view.map[:, :, rows]
    return entropy_of(weights)


def attention_to_cls(view: View, rows: slice) -> Tensor | None:
    """What the rows give the class token."""
    return view.map[:, :, rows, 0] if view.num_class_tokens else None


def prefix_share(view: View, rows: slice) -> Tensor | None:
    """What the rows give all prefix tokens: a head that gives them nearly all is a sink."""
    if not view.num_prefix_tokens:
        return None
    return view.map[:, :, rows, : view.num_prefix_tokens].sum(-1)


def object_share(view: View, rows: slice) -> Tensor | None:
    """The part of what a row gives patches that is on the object."""
    if view.objects is None:
        return None
    patches = view.map[:, :, rows, view.num_prefix_tokens :]
    on_object = torch.einsum("bcqp,bp->bcq", patches, view.objects.flatten(1).to(patches))
    return on_object / patches.sum(-1).clamp_min(torch.finfo(patches.dtype).tiny)


def cosine(view: View, rows: slice) -> Tensor | None:
    """Mean cosine of a row's attention to patches with the same row's in the layer's other heads."""
    C = view.map.shape[1]
    if view.v is None or C == 1:
        return None
    patches = F.normalize(view.map[:, :, rows, view.num_prefix_tokens :], dim=-1)
    together = patches.sum(1, keepdim=True)
    return ((patches * together).sum(-1) - patches.square().sum(-1)) / (C - 1)


def divergence(view: View, rows: slice) -> Tensor | None:
    """Mean Jensen-Shannon divergence of a row from the same row in the layer's other heads, nats, 0 to ln 2.

    Of attention over all N tokens (Lin 1991); its mean over a layer's heads is the mean over their pairs.
    """
    C = view.map.shape[1]
    if view.v is None or C == 1:
        return None
    weights, own = view.map[:, :, rows], entropy(view, rows)
    apart = torch.zeros_like(own)
    for i in range(C - 1):
        mixed = (weights[:, i : i + 1] + weights[:, i + 1 :]) / 2
        pairs = entropy_of(mixed) - (own[:, i : i + 1] + own[:, i + 1 :]) / 2
        pairs = pairs.clamp_min(0)  # rounding
        apart[:, i] += pairs.sum(1)
        apart[:, i + 1 :] += pairs
    return apart / (C - 1)


def value_norm(view: View, rows: slice) -> Tensor | None:
    """Norm of the values that a row takes, over the mean norm of all N: near 0 it takes nothing.

    Kobayashi et al. 2020 (arXiv:2004.10102): a weight moves only as much as the value under it is long.
    """
    if view.v is None:
        return None
    norms = view.v.norm(dim=-1)  # (B, C, N)
    taken = (view.map[:, :, rows] @ norms[..., None])[..., 0]
    return taken / norms.mean(-1, keepdim=True).clamp_min(torch.finfo(norms.dtype).tiny)


def output_rank(view: View, rows: slice) -> Tensor | None:
    """Effective rank of what the head writes into the rows: exp of the entropy of its singular values' shares.

    Roy & Vetterli 2007. 1 where every row gets the same vector, whatever its length; at most D/heads.
    """
    if view.heads is None or rows.stop - rows.start < 2:  # one row has always rank 1
        return None
    # The eigenvalues of a square are found faster and need the digits, which not every GPU has.
    written = view.heads[:, :, rows].cpu().double()
    singular = torch.linalg.eigvalsh(written.mT @ written).clamp_min(0).sqrt().to(view.heads)
    shares = singular / singular.sum(-1, keepdim=True).clamp_min(torch.finfo(singular.dtype).tiny)
    return entropy_of(shares)[..., None].exp()
