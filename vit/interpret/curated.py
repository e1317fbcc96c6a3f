"""A dozen pictures worth looking at first, chosen by rule from what a model makes of many."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from vit.interpret.analysis import Analysis
from vit.interpret.telling import head_scores

DOZEN = 12
RULE = (
    "Of the pictures looked at, none twice: of those named rightly the one whose most telling head scores highest; of "
    "the two classes that are given most of each other's probability the picture of each, named rightly, that gives "
    "the other most; the two surest mistakes on different classes; of those named rightly the one with the head that "
    "has most on the object, or on the middle where no object is known; of those named rightly the one that was surest "
    "of another class before the last layer; then of each class the most telling that is left, until there are twelve, "
    "those that have none yet first."
)


@dataclass(frozen=True)
class Seen:
    """What the rule reads of a picture. telling, on_object: of its best head. before: before the last layer.

    probabilities, before: (classes,).
    """

    truth: int
    probabilities: Tensor
    before: Tensor
    telling: float
    on_object: float

    @classmethod
    def of(cls, analysis: Analysis, truth: int) -> "Seen":
        given = analysis.read[0][..., analysis.record.num_prefix_tokens :].float()
        objects = analysis.objects.flatten().to(given)
        shares = (given @ objects) / given.sum(-1).clamp_min(1e-9)
        lens, scores = analysis.lens[0], head_scores(analysis)
        before = lens[max(len(lens) - 2, 0)]
        return cls(truth, analysis.probabilities, before, scores.max().item(), shares.max().item())

    @property
    def said(self) -> int:
        return int(self.probabilities.argmax())

    @property
    def right(self) -> bool:
        return self.said == self.truth

    def other_before(self) -> float:
        """The largest probability of a class that it does not say in the end."""
        others = self.before.clone()
        others[self.said] = 0
        return others.max().item()


def curate(seen: Iterable[Seen]) -> list[tuple[int, str]]:
    """(place among the seen, why) of twelve, or of as many as there are, by RULE."""
    pictures = list(seen)
    chosen: dict[int, str] = {}

    def take(why: str, candidates: Iterable[int], score) -> None:
        left = [i for i in candidates if i not in chosen]
        if left:
            chosen[max(left, key=lambda i: (score(pictures[i]), -i))] = why

    everyone = range(len(pictures))
    right = [i for i in everyone if pictures[i].right]
    take("the most telling head", right, lambda one: one.telling)
    for truth, other in _confusing(pictures):
        of_it = [i for i in right if pictures[i].truth == truth]
        take("one of the two classes that it confuses most", of_it, lambda one, c=other: one.probabilities[c].item())
    wrong = {i for i in everyone if not pictures[i].right}
    for _ in range(2):
        take("a sure mistake", wrong, lambda one: one.probabilities.max().item())
        wrong -= {i for i in wrong if chosen and pictures[i].truth == pictures[list(chosen)[-1]].truth}
    take("a head that sees the object", right, lambda one: one.on_object)
    take("it changes its mind in the last layer", right, Seen.other_before)
    while len(chosen) < min(DOZEN, len(pictures)):
        counts = [sum(pictures[i].truth == truth for i in chosen) for truth in range(_classes(pictures))]
        fewest = min(count for truth, count in enumerate(counts) if _left(pictures, chosen, truth))
        truth = next(t for t, count in enumerate(counts) if count == fewest and _left(pictures, chosen, t))
        take("a telling head", _left(pictures, chosen, truth), lambda one: one.telling)
    return list(chosen.items())


def _left(pictures: list[Seen], chosen: dict[int, str], truth: int) -> list[int]:
    return [i for i, one in enumerate(pictures) if one.truth == truth and i not in chosen]


def _classes(pictures: list[Seen]) -> int:
    return len(pictures[0].probabilities)


def _confusing(pictures: list[Seen]) -> list[tuple[int, int]]:
    """The two classes that give each other most on average, as (class, the other), both ways; none below two."""
    n = _classes(pictures) if pictures else 0
    if n < 2:
        return []
    given, counts = torch.zeros(n, n), torch.zeros(n, 1)
    for one in pictures:
        given[one.truth] += one.probabilities
        counts[one.truth] += 1
    shares = (given / counts.clamp_min(1)).fill_diagonal_(0)
    a, b = divmod(int((shares + shares.T).argmax()), n)
    return [(a, b), (b, a)]
