"""What the page asks for to compare patches: the similarity of their features, and their first components as colors."""

import base64

import torch
from torch import Tensor

from vit.interpret.analysis import Analysis
from vit.interpret.features import COMPONENTS, cosines, in_components, patch_features, principal_components
from vit.ui.asking import answer

EDGES = 0.02, 0.98  # quantiles of a component that get the ends of a color: one odd patch must not gray all others


@answer
def features(analysis: Analysis, question: dict) -> dict:
    """For each layer whose patches are told apart: coordinates, (L, P, count) bytes, whose products are cosines, at
    most `rounding` off; colors, (L, P, 3) bytes; and the three components' shares of the variance."""
    found = patch_features(analysis.model, analysis.record)
    coordinates = (in_components(found) * 127).round()
    # A layer at a time: of 37 x 37 patches all products together would be 90 MB, three times.
    lost = [(own @ own.mT / 127**2 - cosines(layer)).abs().amax() for own, layer in zip(coordinates, found)]
    components, shares = principal_components(found)
    return {
        "count": COMPONENTS,
        "coordinates": _packed(coordinates + 128),
        "rounding": max(lost).item(),
        "colors": _packed(_stretched(components) * 255),
        "shares": shares.tolist(),
    }


def _stretched(components: Tensor) -> Tensor:
    """(L, P, 3) to 0 to 1, each component of a layer by itself."""
    low, high = components.quantile(torch.tensor(EDGES).to(components), dim=1, keepdim=True)
    return ((components - low) / (high - low).clamp_min(1e-9)).clamp(0, 1)


def _packed(values: Tensor) -> str:
    return base64.b64encode(values.round().clamp(0, 255).byte().contiguous().numpy().tobytes()).decode()
