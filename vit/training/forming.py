"""How far each thing that a recorded run shows had come at each moment, and what was half way first."""

import math

import torch
from torch import Tensor

from vit.training.moments import PARTS, Album, Snapshot


def ways(album: Album) -> dict[str, list[float]]:
    """For each part of a snapshot its share of the way from the first moment to the last, a number a moment.

    1 - |now - last| / |first - last|, Euclidean: 0 at the first moment, 1 at the last, below 0 on a detour. Parts that
    never changed are left out, and so is all of a run with fewer than two moments.
    """
    moments, found = album.moments, {}
    for part in PARTS if len(moments) > 1 else ():
        arrays = [_array(moment.snapshot, part) for moment in moments]
        whole = (arrays[0] - arrays[-1]).norm()
        if whole > 0:
            found[part] = [(1 - (array - arrays[-1]).norm() / whole).item() for array in arrays]
    return found


def half_way(way: list[float]) -> int:
    """The first moment from which on more than half of the way lies behind."""
    return next(i for i in range(len(way)) if min(way[i:]) >= 0.5)


def _array(snapshot: Snapshot, part: str) -> Tensor:
    lengths = [math.prod(snapshot.shapes[name]) for name in PARTS]
    at = list(PARTS).index(part)
    start = sum(lengths[:at])
    return torch.frombuffer(bytearray(snapshot.data), dtype=torch.uint8)[start : start + lengths[at]].float()
