"""The one table of head statistics: what each is called and means, its function, and which tokens count.

Tables, endpoints, the command line and the page's script all read TABLE. Another statistic is a function of a View and
a row here. Only what follows reads counts: after the last layer the class token alone is read, with the distillation
token where there is one, so its patches' and registers' rows change nothing and no statistic has them. A read-out that
takes the class token's place is a layer of its own, of one row, and reads the patches of the layer before.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vit.interpret.attention import head_similarity
from vit.interpret.trace import Trace
from vit.interpret.views import (
    View,
    attention_to_cls,
    cosine,
    distance,
    divergence,
    entropy,
    geometry_of,
    layer_views,
    object_share,
    output_rank,
    prefix_share,
    value_norm,
)

EXACT = 600  # patches, up to which every row counts
SAMPLE = 200  # rows, or some more, that count where there are more


@dataclass(frozen=True)
class Rows:
    """The rows of a layer's maps that count. asked: the class token's, or the read-out's. Slices, empty for none."""

    asked: slice
    patches: slice
    all: slice


@dataclass(frozen=True)
class HeadStatistic:
    """A row of the table.

    name: in JSON and CSV. title: on the page. unit: "px", "nats", "%", or "" for a plain number. digits: after the
    point (of the percentage, for a share). meaning: a sentence. reference: what `uniform attention` is to be called
    here. queries: whose rows count, "class token" (or the read-out in its place), "patches" or "all". top: where a
    chart's scale ends, a function of the reference and the largest value.
    function: of a View and the (slice of) rows that count; numbers (B, C, rows), whose mean is the statistic, or
    (B, C, 1) where it is a number of all rows together. None where the view has no such number.
    """

    name: str
    title: str
    unit: str
    digits: int
    meaning: str
    reference: str
    queries: str
    top: Callable[[float, float], float]
    function: Callable[[View, slice], Tensor | None]

    def rows(self, counted: Rows) -> slice:
        return {"class token": counted.asked, "patches": counted.patches, "all": counted.all}[self.queries]


def _share_top(reference: float, largest: float) -> float:
    return max(2 * reference, 1.1 * largest)


# fmt: off
TABLE: tuple[HeadStatistic, ...] = (
    HeadStatistic(
        "distance", "Distance", "px", 1, "Mean distance between a patch and the patches it attends to",
        "uniform", "patches", lambda reference, largest: max(1.6 * reference, 1.1 * largest), distance,
    ),
    HeadStatistic(
        "entropy", "Entropy", "nats", 2, "How spread the attention is: 0 on one token, ln N on all N alike",
        "ln N", "all", lambda reference, largest: 1.1 * reference, entropy,
    ),
    HeadStatistic(
        "cls_entropy", "Entropy of the class token", "nats", 2, "How spread the class token's own attention is",
        "ln N", "class token", lambda reference, largest: 1.1 * reference, entropy,
    ),
    HeadStatistic(
        "attention_to_cls", "Patches to the class token", "%", 1, "What a patch gives the class token",
        "1/N", "patches", _share_top, attention_to_cls,
    ),
    HeadStatistic(
        "cls_to_itself", "Class token to itself", "%", 1, "What the class token gives itself",
        "1/N", "class token", _share_top, attention_to_cls,
    ),
    HeadStatistic(
        "prefix_share", "To the prefix tokens", "%", 1,
        "What goes to tokens that are no patches, such as the class token, and so not to the picture",
        "even", "all", _share_top, prefix_share,
    ),
    HeadStatistic(
        "object_share", "On the object", "%", 1, "The part of what the class token gives patches that falls there",
        "its area", "class token", lambda reference, largest: 1.0, object_share,
    ),
    HeadStatistic(
        "head_cosine", "Like the other heads", "", 2,
        "Mean cosine of its attention to patches with that of the layer's other heads: 1 is the same map",
        "uniform", "all", lambda reference, largest: 1.1, cosine,
    ),
    HeadStatistic(
        "head_divergence", "Unlike the other heads", "nats", 2,
        "Mean Jensen-Shannon divergence of its attention from that of the layer's other heads: at most ln 2 = 0.69",
        "uniform", "all", lambda reference, largest: math.log(2), divergence,
    ),
    HeadStatistic(
        "value_norm", "Values it takes", "", 2,
        "Norm of the values it takes, by attention, over the mean norm of all values: near 0 it does nothing",
        "uniform", "all", lambda reference, largest: max(2.0, 1.1 * largest), value_norm,
    ),
    HeadStatistic(
        "output_rank", "Rank of its output", "", 1,
        "In how many directions what it writes differs, by effective rank: 1 writes the same into every token",
        "uniform", "all", lambda reference, largest: 1.1 * max(largest, 2.0), output_rank,
    ),
)
# fmt: on


@dataclass(frozen=True)
class HeadStatistics:
    """All numbers of all heads, of one picture or the mean of a batch.

    values: by name, (L, heads + 2): each head, their mean, the rollout up to this layer. NaN where a view has no such
    number, or none of its rows counts. uniform: by name, what uniform attention has; NaN where nothing can be said.
    similarity: `head_similarity`, (L*heads, L*heads). region: what the shares of the object are shares of; None where
    no objects were given. area: its part of the picture.
    """

    values: dict[str, Tensor]
    uniform: dict[str, float]
    similarity: Tensor
    heads: int
    grid_size: tuple[int, int]
    num_prefix_tokens: int
    head_dim: int
    region: str | None
    area: float | None
    num_class_tokens: int = 1

    @property
    def depth(self) -> int:
        return len(self.similarity) // self.heads

    @property
    def tokens(self) -> int:
        return self.num_prefix_tokens + self.grid_size[0] * self.grid_size[1]

    @property
    def has_readout(self) -> bool:
        """Whether the last layer here is a read-out, which takes the class token's place."""
        return not self.num_class_tokens

    def of_heads(self, name: str) -> Tensor:
        """(L, heads), without the mean and the rollout."""
        return self.values[name][:, : self.heads]

    def get(self, name: str, layer: int, view: int) -> float | None:
        """One number; None where there is none."""
        return finite(self.values[name][layer, view].item())

    def number(self, name: str, layer: int, view: int) -> float:
        """As get, of a statistic that always has one, as those of the class token's row."""
        value = self.get(name, layer, view)
        assert value is not None, f"{name} of the class token has a number in each layer"
        return value


def head_statistics(
    record: Trace,
    objects: Tensor | None = None,
    region: str = "the object",
    table: Sequence[HeadStatistic] = TABLE,
    rolled: Tensor | None = None,
) -> HeadStatistics:
    """Every statistic of the table, of every layer's heads, their mean and the rollout.

    objects: (B, h, w), how much of each patch is on the region, in [0, 1]: `patch_coverage` of a mask, or
    `middle_of_picture`. rolled: as layer_views takes it. Raises ValueError where objects have another shape.
    """
    B, (h, w) = len(record.logits), record.grid_size
    if objects is not None and tuple(objects.shape) != (B, h, w):
        raise ValueError(
            f"objects must be (B, h, w) = {(B, h, w)}, got {tuple(objects.shape)}; "
            f"patch_coverage turns a mask of pixels into patches."
        )
    rows = [  # (L, statistics, heads + 2)
        torch.stack([torch.cat([_mean(statistic, view, counted) for view in views]) for statistic in table])
        for counted, views in zip(_counted(record), layer_views(record, objects, rolled), strict=True)
    ]
    values = {statistic.name: torch.stack([row[i] for row in rows]) for i, statistic in enumerate(table)}
    heads, head_dim = record.layers[0].v.shape[1::2]
    return HeadStatistics(
        values=values,
        uniform=_uniform(record, objects, table),
        similarity=head_similarity(record.rows[..., None, :], record.num_prefix_tokens).mean(0),
        heads=heads,
        grid_size=record.grid_size,
        num_prefix_tokens=record.num_prefix_tokens,
        head_dim=head_dim,
        region=None if objects is None else region,
        area=None if objects is None else objects.float().mean().item(),
        num_class_tokens=record.num_class_tokens,
    )


def finite(number: float) -> float | None:
    """JSON knows no NaN."""
    return number if math.isfinite(number) else None


def listed(values: Tensor) -> list | float | None:
    """Nested lists, with None for what is no number."""
    return [listed(part) for part in values] if values.ndim else finite(values.item())


def _counted(record: Trace) -> list[Rows]:
    """Of each layer, and of the read-out: what is read of it afterwards."""
    N, prefix, tokens = record.layers[0].map.shape[-1], record.num_prefix_tokens, record.num_class_tokens
    nothing, one, stride = slice(0, 0), slice(0, 1), row_stride(record.grid_size)
    patches = slice(prefix, N, stride)
    before = [Rows(one if tokens else nothing, patches, slice(0, N, stride))] * (len(record.layers) - 1)
    if tokens:
        return [*before, Rows(one, nothing, slice(0, tokens))]
    return [*before, Rows(nothing, patches, patches), Rows(one, nothing, one)]


def row_stride(grid_size: tuple[int, int]) -> int:
    """Every how many-th row counts: 1 up to EXACT patches, else one that goes through all columns of the grid."""
    h, w = grid_size
    if h * w <= EXACT:
        return 1
    return next(stride for stride in range(h * w // SAMPLE, h * w) if math.gcd(stride, w) == 1)


def _mean(statistic: HeadStatistic, view: View, counted: Rows) -> Tensor:
    """(C,), NaN where there is no such number."""
    C, rows = view.map.shape[1], statistic.rows(counted)
    numbers = statistic.function(view, rows) if rows.stop > rows.start else None
    return torch.full((C,), torch.nan).to(view.map) if numbers is None else numbers.mean((0, -1))


def _uniform(record: Trace, objects: Tensor | None, table: Sequence[HeadStatistic]) -> dict[str, float]:
    """The same functions of a layer of two heads that attend to everything alike."""
    B, _, N, _ = record.layers[0].map.shape
    like = record.layers[0].map
    even, ones = (like.new_full((), value).expand(B, 2, N, n) for value, n in ((1 / N, N), (1, 1)))
    view = View(even, ones, ones, *geometry_of(record, objects))  # of values that are 1 the mean is 1
    # All rows are alike, but for how far patches are from each other; the rank of what is written takes two.
    every = Rows(slice(0, 1), slice(record.num_prefix_tokens, N), slice(0, min(N, 2)))
    return {statistic.name: _mean(statistic, view, every)[0].item() for statistic in table}
