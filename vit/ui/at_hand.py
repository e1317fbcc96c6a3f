"""What each word of the glossary is in the view at hand: a sentence with numbers, and a map where that says more."""

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

from torch import Tensor

from vit.interpret import probing
from vit.interpret.analysis import Analysis
from vit.interpret.attention import entropy_of
from vit.interpret.lesson import Asking, asking, layer_of, token_name
from vit.interpret.telling import telling_heads
from vit.live import models
from vit.ui import pictures
from vit.ui.asking import answer
from vit.ui.checks import check, one_of

BEGINS = 3  # numbers that stand for a vector
PLAIN = "plain"  # the picture as it is, in place of a map


class Told(NamedTuple):
    """map: (h*w,) numbers to color the picture by, from 0 to `top`, or PLAIN. patch: that is marked, -1 for none."""

    says: str
    map: Tensor | str | None = None
    top: float = 1.0
    patch: int = -1


class View:
    """Who asks in which head: what a tab shows, else the head that tells most, asked by what is read in the end."""

    def __init__(self, analysis: Analysis, at: str):
        self.analysis, self.model, self.record = analysis, analysis.model, analysis.record
        self.prefix, (self.h, self.w) = self.model.num_prefix_tokens, self.model.grid_size
        layer, head, query = _numbers(at) or (-1, -1, -1)
        chosen = 0 <= layer < analysis.depth and 0 <= head < self.model.num_heads
        told = None if chosen else telling_heads(analysis, 1)[0]
        self.layer, self.head = (told.layer, told.head) if told else (layer, head)
        self.read_out = self.layer == len(self.record.layers)
        asks = query if 0 <= query < self.h * self.w else -1 if self.model.num_class_tokens else self.middle
        self.token = 0 if self.read_out else 0 if asks < 0 else self.prefix + asks
        self.who = "the read-out" if self.read_out else self.named(self.token)
        self.where = "the read-out" if self.read_out else f"layer {self.layer + 1}"

    @property
    def middle(self) -> int:
        """The patch with most of the object, or of the picture's middle."""
        return int(self.analysis.objects.flatten().argmax())

    @property
    def patch(self) -> int:
        """The patch that asks, else the one with most of the object."""
        return self.middle if self.read_out or self.token < self.prefix else self.token - self.prefix

    @cached_property
    def asking(self) -> Asking:
        return asking(self.record, self.layer, self.head, self.token)

    @property
    def here(self) -> str:
        return f"In {self.where}, head {self.head + 1},"

    @property
    def cosines(self) -> Tensor:
        """Of the patch's position embedding with every place's, (h*w,)."""
        return probing.position_similarity(self.model)[self.patch].flatten()

    def named(self, token: int) -> str:
        return token_name(self.model, token)

    def place(self, patch: int) -> str:
        return f"row {patch // self.w + 1}, column {patch % self.w + 1}"


def _numbers(at: str) -> tuple[int, ...] | None:
    """Layer, head and query from 0, the query a patch or -1: as the page's links have them, with points between."""
    parts = at.split(".")
    whole = len(parts) == 3 and all(part.removeprefix("-").isdecimal() and len(part) < 10 for part in parts)
    return tuple(map(int, parts)) if whole else None


def _patch(view: View) -> Told:
    size = view.model.config["patch_size"]
    says = f"Here {view.h * view.w} patches of {size} × {size} pixels; marked is the one in {view.place(view.patch)}."
    return Told(says, PLAIN, patch=view.patch)


def _token(view: View) -> Told:
    token = view.prefix + view.patch if view.read_out else view.token
    numbers = view.record.layers[-1].output[0, token]
    return Told(
        f"Here {view.model.num_tokens} tokens of {len(numbers)} numbers each; {view.named(token)} is in the end "
        f"{_beginning(numbers)}."
    )


def _class_token(view: View) -> Told:
    if not view.model.has_readout:
        return _looks(view, "its class token")
    return Told(f"This model has none: in the end a read-out asks its {view.h * view.w} patches.")


def _read_out(view: View) -> Told:
    if view.model.has_readout:
        return _looks(view, "its read-out")
    return Told(f"This model has none: the {view.model.config['embed_dim']} numbers of its class token are read.")


def _looks(view: View, who: str) -> Told:
    grid = view.analysis.grid(view.analysis.depth - 1).flatten()
    most = int(grid.argmax())
    return Told(
        f"The colors: what {who} gives each patch in the end, mean of the heads; most, {_percent(grid[most])}, in "
        f"{view.place(most)}.",
        grid,
        grid[most].item(),
    )


def _position_embedding(view: View) -> Told:
    cosines, nearest = view.cosines, _nearest(view)
    return Told(
        f"Here {len(cosines)} places with {view.model.config['embed_dim']} numbers each. The colors: how much each is "
        f"like the marked one; most, {_signed(cosines[nearest])}, in {view.place(nearest)}.",
        cosines.clamp_min(0),
        patch=view.patch,
    )


def _cosine(view: View) -> Told:
    nearest = _nearest(view)
    return Told(
        f"Here the position embeddings of {view.place(view.patch)} and {view.place(nearest)} have "
        f"{_signed(view.cosines[nearest])}; no other place is more like the first."
    )


def _nearest(view: View) -> int:
    """The place that is most like the patch's, besides itself."""
    others = view.cosines.clone()
    others[view.patch] = -2
    return int(others.argmax())


def _query(view: View) -> Told:
    query = view.asking.query
    return Told(f"Here {len(query)} numbers. {view.here} that of {view.who} is {_beginning(query)}.")


def _key(view: View) -> Told:
    products, most = view.asking.products, view.named(int(view.asking.products.argmax()))
    return Told(
        f"Here {len(view.asking.query)} numbers. {view.here} that of {most} fits the query of {view.who} best: their "
        f"product is {_signed(products.max())}."
    )


def _value(view: View) -> Told:
    most = int(view.asking.weights.argmax())
    value = layer_of(view.record, view.layer).v[0, view.head, most]
    return Told(
        f"Here {len(value)} numbers. {view.here} {view.who} takes most, {_percent(view.asking.weights[most])}, from "
        f"{view.named(most)}, whose value is {_beginning(value)}."
    )


def _head(view: View) -> Told:
    weights = view.asking.weights
    patches, most = weights[view.prefix :], int(weights.argmax())
    return Told(
        f"Here {view.model.num_heads} in each of {len(view.record.layers)} layers. {view.here} {view.who} gives most, "
        f"{_percent(weights[most])}, to {view.named(most)}.",
        patches,
        patches.max().item(),
        -1 if view.read_out else view.token - view.prefix,
    )


def _logit(view: View) -> Told:
    if models.headless(view.model):
        return Told("This model has no class head, so there are none.")
    logits, names = view.record.logits[0], view.model.classes
    low, high = int(logits.argmin()), int(logits.argmax())
    return Told(
        f"Here {len(logits)}, one for each class: from {_signed(logits[low])} for {names[low]} to "
        f"{_signed(logits[high])} for {names[high]}."
    )


def _softmax(view: View) -> Told:
    scores, weights = view.asking.scores[view.asking.scores.isfinite()], view.asking.weights
    return Told(
        f"{view.here} it makes of {len(scores)} numbers of {view.who}, from {_signed(scores.min())} to "
        f"{_signed(scores.max())}, weights up to {_percent(weights.max())}, which sum to 100%."
    )


def _entropy(view: View) -> Told:
    asked = int(view.asking.scores.isfinite().sum())
    spread, most = entropy_of(view.asking.weights), view.asking.weights.new_tensor(asked).log()
    return Told(
        f"{view.here} the attention of {view.who} has {spread.item():.2f} nats, of at most {most.item():.2f} over "
        f"{asked} tokens."
    )


def _nats(view: View) -> Told:
    spread = entropy_of(view.asking.weights)
    return Told(
        f"{view.here} the attention of {view.who} has {spread.item():.2f}: as wide as {spread.exp().item():.1f} tokens "
        "with equal weights."
    )


def _rollout(view: View) -> Told:
    depth = view.analysis.depth
    grid = view.analysis.grid(depth - 1, rolled=True).flatten()
    most = int(grid.argmax())
    layers = len(view.model.blocks)
    through = (f"all {layers} layers" if layers > 1 else "its one layer") + " and the read-out" * view.model.has_readout
    says = f"The colors: what comes from each patch through {through}; most, {_percent(grid[most])}, from"
    return Told(f"{says} {view.place(most)}.", grid, grid[most].item())


def _relevance(view: View) -> Told:
    if models.headless(view.model):
        return Told("This model has no class head: there is no class for a patch to speak for.")
    best = int(view.analysis.probabilities.argmax())
    grid, name = view.analysis.relevance([best])[0].flatten(), view.model.classes[best]
    most = int(grid.argmax())
    says = f"The colors: what speaks for {name}; most, {grid[most].item():.4f}, in {view.place(most)}."
    return Told(says, grid, grid[most].item())


WORDS: dict[str, Callable[[View], Told]] = {
    "patch": _patch,
    "token": _token,
    "class token": _class_token,
    "read-out": _read_out,
    "position embedding": _position_embedding,
    "query": _query,
    "key": _key,
    "value": _value,
    "head": _head,
    "logit": _logit,
    "softmax": _softmax,
    "entropy": _entropy,
    "nats": _nats,
    "rollout": _rollout,
    "relevance": _relevance,
    "cosine": _cosine,
}


@answer
def at_hand(analysis: Analysis, question: dict) -> dict:
    """A word in the view that is shown. word: of the glossary; at: "layer.head.query" as a tab shows it, or "".

    says and of, the model that it is said of; with a picture: image, grid, patch, and unless it is plain map and top.
    """
    word = one_of("word", question.get("word"), tuple(WORDS))
    told = WORDS[word](View(analysis, check("at", question.get("at", ""), str)))
    said = {"says": told.says, "of": models.name(analysis.model)}
    if told.map is None:
        return said
    said |= {"image": pictures.data_uri(analysis.pixels), "grid": list(analysis.model.grid_size), "patch": told.patch}
    return said if isinstance(told.map, str) else {**said, "map": told.map.tolist(), "top": max(told.top, 1e-9)}


def _beginning(numbers: Tensor) -> str:
    return f"{', '.join(map(_signed, numbers[:BEGINS]))}, …"


def _signed(number: Tensor) -> str:
    """Two digits after the point, and a true minus."""
    return f"{number.item():.2f}".replace("-0.00", "0.00").replace("-", "−")


def _percent(share: Tensor) -> str:
    return f"{100 * share.item():.1f}%"
