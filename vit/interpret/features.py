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
    """(L, P, D) -> (L, P, P): of each patch with every other, in [-1, 1]."""
    units = F.normalize(features, dim=-1)
    return units @ units.mT


def in_components(features: Tensor, count: int = COMPONENTS) -> Tensor:
    """(L, P, D) -> (L, P, count): coordinates whose products are as near to the cosines as so few can be.

    The patches' directions in their own first singular vectors (Eckart & Young 1936); exact where count is D or P.
    """
    units = F.normalize(features, dim=-1)
    u, s, _ = torch.linalg.svd(units, full_matrices=False)
    found = (u * s[:, None])[..., :count]
    return F.pad(found, (0, max(0, count - found.shape[-1])))


def principal_components(features: Tensor, count: int = 3) -> tuple[Tensor, Tensor]:
    """Each layer's first principal components over its patches, (L, P, count), and their shares of the variance.

    Pearson 1901; as colors first shown of DINOv2 (Oquab et al. 2023, arXiv:2304.07193, Fig. 1). A component's sign is
    free: here the patch farthest from the mean is positive. Shares: (L, count), 0 where all patches are the same.
    """
    u, s, _ = torch.linalg.svd(features - features.mean(1, keepdim=True), full_matrices=False)
    found, variances = (u * s[:, None])[..., :count], s.square()
    farthest = found.gather(1, found.abs().argmax(1, keepdim=True))
    total = variances.sum(-1, keepdim=True).clamp_min(torch.finfo(s.dtype).tiny)
    return found * torch.where(farthest < 0, -1.0, 1.0), variances[..., :count] / total
