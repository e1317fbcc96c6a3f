"""Numbers of each patch's own map: how far it looks, how focused, and where most; and the same of what looks at it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vit.interpret.attention import rollout
from vit.interpret.statistics import RESIDUAL, View, distance, entropy, layer_views
from vit.interpret.trace import Trace


@dataclass(frozen=True)
class PatchNumbers:
    """What is told of a patch's map, each (2, L, heads + 2, h*w): of what it attends to, then of what attends to it.

    distance, entropy: the table's functions, of the patch's row; of its column, made to sum to 1 over the patches.
    peak: the largest weight that is drawn, of or on another patch or itself. place: which patch has it.
    """

    distance: Tensor
    entropy: Tensor
    peak: Tensor
    place: Tensor


def patch_numbers(record: Trace) -> PatchNumbers:
    """Numbers of each patch of one picture, in every view of the layers, in which patches ask: without a read-out.

    Raises ValueError on a batch of several.
    """
    if len(record.logits) != 1:
        raise ValueError(f"Numbers of patches are those of one picture, got {len(record.logits)}.")
    prefix, rolled = record.num_prefix_tokens, rollout(record.maps, RESIDUAL)[0]
    layers = []
    for i, views in zip(range(len(record.layers)), layer_views(record)):
        maps = torch.cat([view.map for view in views], dim=1)  # (1, C, N, N)
        drawn = torch.cat([maps[0, :-1], rolled[None, i]])[:, prefix:, prefix:]  # with skip connections
        asked = _of_rows(*_columns(maps, drawn, prefix), record, 0)
        layers.append(torch.stack([_of_rows(maps, drawn, record, prefix), asked]))
    return PatchNumbers(*torch.stack(layers, dim=1).unbind(-1))  # (2, L, C, P, 4)


def _columns(maps: Tensor, drawn: Tensor, prefix: int) -> tuple[Tensor, Tensor]:
    """What attends to each patch, as rows: shares that sum to 1, and the weights."""
    columns = maps[..., prefix:, prefix:].mT
    return columns / columns.sum(-1, keepdim=True).clamp_min(torch.finfo(columns.dtype).tiny), drawn.mT


def _of_rows(maps: Tensor, drawn: Tensor, record: Trace, prefix: int) -> Tensor:
    """(C, h*w, 4): distance, entropy, peak, place of each patch's row."""
    view, rows = View(maps, None, None, record.grid_size, prefix, record.patch_size), slice(prefix, maps.shape[-1])
    peak, place = drawn.max(-1)
    return torch.stack([distance(view, rows)[0], entropy(view, rows)[0], peak, place.to(peak)], dim=-1)
