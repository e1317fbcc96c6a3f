"""Which heads tell most of a picture: where to look first, and a tour through heads that differ."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from vit.interpret.analysis import Analysis
from vit.interpret.attention import entropy_of
from vit.interpret.describe import percent

TOUR = 5  # heads
HALF = 0.5  # of a head's attention, whose patches are counted


@dataclass(frozen=True)
class TellingHead:
    """layer, head: from 0, a read-out counted as a layer. score: in [0, 1]. sentence: what is lit."""

    layer: int
    head: int
    score: float
    sentence: str


def telling_heads(analysis: Analysis, count: int = TOUR) -> list[TellingHead]:
    """The most telling head of what is read, then those that differ most from the ones before, and tell much.

    A head tells the more the more it gives to patches, the more it picks some of them, yet more than a few dots (by
    entropy, between a quarter and half of ln N is best), the less it is like the layer's other heads (Jensen-Shannon
    divergence) and, where the object is known, the better it covers that (squared Bhattacharyya coefficient with an
    even share of the object, 1 where they are the same): the score is their product.
    """
    given = _given(analysis)
    scores = _scores(analysis, given).flatten()
    shares = _shares(given).flatten(0, 1)  # (L * heads, P)
    heads, chosen = given.shape[1], [int(scores.argmax())]
    while len(chosen) < min(count, len(scores)):
        unlike = torch.stack([_divergence(shares, shares[i]) for i in chosen]).amin(0)
        unlike[chosen] = -1
        chosen.append(int((unlike * (scores / scores.max().clamp_min(1e-9)).sqrt()).argmax()))
    chosen = list(dict.fromkeys(chosen))  # heads that are all alike give the same one again
    return [
        TellingHead(i // heads, i % heads, scores[i].item(), _sentence(analysis, i // heads, i % heads, given))
        for i in chosen
    ]


def head_scores(analysis: Analysis) -> Tensor:
    """How much each head tells, (L, heads), in [0, 1], by what `telling_heads` says."""
    return _scores(analysis, _given(analysis))


def _given(analysis: Analysis) -> Tensor:
    """(L, heads, P): what is read gives each patch."""
    return analysis.read[0][..., analysis.record.num_prefix_tokens :].float()


def _shares(given: Tensor) -> Tensor:
    return given / given.sum(-1, keepdim=True).clamp_min(1e-9)


def _scores(analysis: Analysis, given: Tensor) -> Tensor:
    """(L, heads), in [0, 1]."""
    shares, heads, patches = _shares(given), given.shape[1], given.shape[2]
    spread = entropy_of(shares) / math.log(max(patches, 2))
    picks = (2 - 2 * spread).clamp(max=1) * (4 * spread).clamp(max=1)
    others = (shares.sum(1, keepdim=True) - shares) / max(heads - 1, 1)
    unlike = _divergence(shares, others) / math.log(2) if heads > 1 else torch.ones_like(picks)
    covers = torch.ones_like(picks)
    if analysis.mask is not None:
        on_object = analysis.objects.flatten().to(shares)
        covers = (shares * on_object / on_object.sum().clamp_min(1e-9)).sqrt().sum(-1) ** 2
    return (given.sum(-1) * picks * unlike * covers).clamp(0, 1)


def _divergence(first: Tensor, second: Tensor) -> Tensor:
    """Jensen-Shannon, in nats: 0 to ln 2."""
    middle = (first + second) / 2
    return (entropy_of(middle) - (entropy_of(first) + entropy_of(second.expand_as(first))) / 2).clamp_min(0)


def _sentence(analysis: Analysis, layer: int, head: int, given: Tensor) -> str:
    shares, (h, w) = _shares(given)[layer, head], analysis.record.grid_size
    order = shares.sort(descending=True)
    few = int((order.values.cumsum(0) < HALF).sum()) + 1
    at = int(order.indices[0])
    times = shares[at].item() * h * w
    lit = (
        f"Half of what it gives patches goes to {few} of {h * w}; the brightest, in row {at // w + 1}, "
        f"column {at % w + 1}, gets {times:.1f} times an even share."
    )
    if analysis.mask is None:
        return lit
    objects = analysis.objects.flatten().to(shares)
    on, area = (shares * objects).sum().item(), objects.mean().item()
    return f"{lit} {percent(on)} falls on the object, which is {percent(area)} of the picture."
