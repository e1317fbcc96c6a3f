"""The exact maps of a clicked patch, where there are too many patches to send those of all."""

import base64
import zlib

import torch

from vit.interpret.analysis import Analysis
from vit.ui.analysis import quantize
from vit.ui.asking import answer
from vit.ui.checks import one_of, whole


@answer
def row(analysis: Analysis, question: dict) -> dict:
    """What a patch gives each patch ("to"), or gets from each ("by"): of every layer, head, and the rollout.

    bytes: base64 of zlib of weights, (L, heads + 1, h*w) in 255ths of their peaks, and peaks, (L, heads + 1) float32.
    """
    prefix, layers = analysis.record.num_prefix_tokens, len(analysis.record.layers)
    patches = analysis.maps.shape[-1] - prefix
    at = prefix + whole("patch", question.get("patch"), 0, patches - 1)
    to = one_of("direction", question.get("direction"), ("to", "by")) == "to"
    maps, rolled = analysis.maps[0], analysis.rollout[0]
    heads, rollout = (maps[:, :, at], rolled[:, at]) if to else (maps[..., at], rolled[..., at])
    weights = torch.cat([heads, rollout[:, None]], dim=1)[..., prefix:]
    missing = weights.new_zeros(analysis.depth - layers, *weights.shape[1:])  # in a read-out no patch asks
    weights, peaks = quantize(torch.cat([weights, missing]))
    raw = weights.contiguous().numpy().tobytes() + peaks.contiguous().numpy().tobytes()
    return {"bytes": base64.b64encode(zlib.compress(raw, 1)).decode()}
