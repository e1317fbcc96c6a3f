"""What patches have in common: features of each layer, their cosines, and their first principal components."""

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.interpret.trace import Trace
from vit.model import ViT

COMPONENTS = 32  # in which cosines are sent: of the patches of one picture they lose a few hundredths at most


@torch.no_grad()
def patch_features(model: ViT, record: Trace) -> Tensor:
    """One picture's patches after each layer and the model's last norm, (L, h*w, D): after the last, DINO's features.

    record: `trace` of the same model. Raises ValueError on a batch of several.
    """
    if len(record.logits) != 1:
        raise ValueError(f"Features are those of one picture, got {len(record.logits)}.")
    prefix = record.num_prefix_tokens
    return torch.stack([model.norm(layer.output[0, prefix:]) for layer in record.layers])


def cosines(features: Tensor) -> Tensor:
    """(..., P, D) -> (..., P, P): of each patch with every other, in [-1, 1]."""
    units = F.normalize(features, dim=-1)
    return units @ units.mT


def in_components(features: Tensor, count: int = COMPONENTS) -> Tensor:
    """(L, P, D) -> (L, P, count): coordinates whose products are as near to the cosines as so few can be.

    The patches' directions in their own first singular vectors (Eckart & Young 1936); exact where count is D or P.
    """
    return _in_first_directions(F.normalize(features, dim=-1), count)


def principal_components(features: Tensor, count: int = 3) -> tuple[Tensor, Tensor]:
    """Each layer's first principal components over its patches, (L, P, count), and their shares of the variance.

    Pearson 1901; as colors first shown of DINOv2 (Oquab et al. 2023, arXiv:2304.07193, Fig. 1). A component's sign is
    free: here the patch farthest from the mean is positive. Shares: (L, count), 0 where all patches are the same.
    """
    centered = features - features.mean(1, keepdim=True)
    found = _in_first_directions(centered, count)
    farthest = found.gather(1, found.abs().argmax(1, keepdim=True))
    total = centered.square().sum((1, 2)).clamp_min(torch.finfo(found.dtype).tiny)
    return found * torch.where(farthest < 0, -1.0, 1.0), found.square().sum(1) / total[:, None]


def _in_first_directions(rows: Tensor, count: int) -> Tensor:
    """(L, P, D) -> (L, P, count): coordinates in each layer's first right singular vectors, 0 beyond the last.

    By the eigenvectors of the smaller square, found in two thirds of the time; a square needs twice the digits.
    """
    exact = rows.cpu().double()  # not every GPU has them
    tall = rows.shape[1] >= rows.shape[2]
    values, vectors = torch.linalg.eigh(exact.mT @ exact if tall else exact @ exact.mT)  # ascending
    values, vectors = values[:, -count:].flip(-1), vectors[..., -count:].flip(-1)
    found = exact @ vectors if tall else vectors * values.clamp_min(0).sqrt()[:, None]
    return F.pad(found, (0, count - found.shape[-1])).to(rows)
