"""The gallery of the test set: which pictures are on a page of it, by class, by number, by what the model says."""

from functools import lru_cache

import torch
from torch import Tensor

from vit.data.turns import turns
from vit.live import answers, models
from vit.live.answers import Answers
from vit.live.datasets import SOURCES
from vit.ui import pictures
from vit.ui.asking import answering
from vit.ui.checks import one_of, whole
from vit.ui.errors import BadInput
from vit.ui.pictures import Picture

ON_PAGE = 30
ORDERS = {
    "mixed": "All, mixed",
    "number": "All, by number",
    "mistakes": "Only mistakes",
    "unsure": "Least sure first",
    "wrong": "Most surely wrong first",
}
ASKING = ("mistakes", "unsure", "wrong")  # need the model's answers to all of the test set


def opening(key: str | None, picked: Picture, choices: list[tuple[str, str]]) -> dict:
    """What the gallery opens with: its first page, its choices, and which picture is picked.

    choices: (label, key) of the models that this page can compare with; earlier: what they were while they learned.
    """
    source = pictures.gallery_source(key)
    test = SOURCES[source].load().test
    return {
        "model": key,
        "source": source,
        "note": pictures.note(key, source),
        "classes": list(test.classes),
        "orders": ORDERS,
        "count": len(test),
        "picked": pictures.name_of(picked),
        "page": _page(source, _mixed(source, 0, _first(key, source)), 0, None),
        "models": choices,
        "earlier": [[label, moments] for label, key in choices if (moments := models.moments_of(key))],
    }


@answering
def browse(question: dict) -> dict:
    """A page of the gallery, or {"waiting": how far the model's answers are} where an order needs them.

    model: its key. order: of ORDERS. label: a class's index in the dataset, -1 for all. seed: of the mixture. page:
    from 0; beyond the last it is the last.
    """
    key = question.get("model")
    source = pictures.gallery_source(key)
    test = SOURCES[source].load().test
    order = one_of("order", question.get("order"), ORDERS)
    chosen = whole("label", question.get("label"), -1, len(test.classes) - 1)
    number = whole("page", question.get("page"), 0, 10**6)
    said = None
    if order in ASKING:
        said = answers.ask(key)
        if said.test.name != source:
            raise BadInput("The model's own test pictures are not at hand; choose all pictures.")
        if not said.complete:
            return waiting(said)
        indices = _asked(said, order)
    else:
        seed = whole("seed", question.get("seed"), 0, 10**6)
        first = () if seed else _first(key, source)
        indices = _mixed(source, seed, first) if order == "mixed" else torch.arange(len(test))
    if chosen >= 0:
        indices = indices[test.labels[indices] == chosen]
    return _page(source, indices, number, said)


def waiting(said: Answers) -> dict:
    """{"waiting": how far the answers are}, which go on; error: a sentence, or '', why they broke off before."""
    told = {"done": said.done, "of": len(said.test), "error": said.error}
    said.watch()  # which forgets the error: it begins anew
    return {"waiting": told}


def _asked(said: Answers, order: str) -> Tensor:
    """Indices in the test split: mistakes by number, all from the least sure on, mistakes from the surest on."""
    wrong = said.classes != said.test.labels
    if order == "unsure":
        return said.indices[said.probabilities.amax(1).argsort(stable=True)]
    return said.indices[wrong if order == "mistakes" else said.surest(wrong)]


def _first(key: str | None, source: str) -> tuple[int, ...]:
    """What was chosen for the model stands before the first mixture."""
    return tuple(pictures.worth_seeing(key, source))


@lru_cache(maxsize=20)
def _mixed(source: str, seed: int, first: tuple[int, ...] = ()) -> Tensor:
    """All indices, mixed, so that the classes take turns while each has pictures left, but for the first."""
    test = SOURCES[source].load().test
    mixed = torch.randperm(len(test), generator=torch.Generator().manual_seed(seed))
    labels = test.labels[mixed]
    mixed = mixed[(turns(labels) * len(test.classes) + labels).argsort(stable=True)]
    begins = torch.tensor(first, dtype=mixed.dtype)
    return torch.cat([begins, mixed[~torch.isin(mixed, begins)]])


def _page(source: str, indices: Tensor, number: int, said: Answers | None) -> dict:
    last = max(0, -(-len(indices) // ON_PAGE) - 1)
    number = min(number, last)
    shown = indices[number * ON_PAGE : (number + 1) * ON_PAGE].tolist()
    return {
        "pictures": [thumbnail(source, i, _verdict(said, i) if said else "") for i in shown],
        "page": number,
        "pages": last + 1,
        "count": len(indices),
    }


def thumbnail(source: str, index: int, verdict: str = "") -> dict:
    """A test picture as galleries show it."""
    test = SOURCES[source].load().test
    label = test.classes[test.labels[index]]
    name, title = f"{source}-{index}", f"{label}, no. {index}{verdict}"
    return {"src": pictures.shared_uri(test.images[index]), "label": label, "name": name, "title": title}


def _verdict(said: Answers, index: int) -> str:
    place = torch.searchsorted(said.indices, index).item()
    sure, best = said.probabilities[place].max(0)
    return f": it says {said.model.classes[best]}, {sure:.1%}"
