"""All that is told of one picture through one model: computed once, when it is first asked for, for all who ask."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.interpret import describe, probing
from vit.interpret.attention import read_rollout, rollout
from vit.interpret.statistics import TABLE, HeadStatistics, finite, head_statistics, listed
from vit.interpret.trace import Trace, evaluating, trace
from vit.interpret.views import RESIDUAL, View, distance, entropy, layer_views, middle_of_picture
from vit.model import Classifier, ViT


@dataclass(frozen=True)
class PatchNumbers:
    """What is told of a patch's map, each (2, L, heads + 2, h*w): of what it attends to, then of what attends to it.

    distance, entropy: the table's functions, of the patch's row; of its column, made to sum to 1 over the patches.
    peak: the largest weight that is drawn, of or on another patch or itself. place: which patch has it.
    """

    distance: Tensor
    entropy: Tensor
    peak: Tensor
    place: Tensor


class Prediction:
    """What one model says of one picture.

    pixels: (3, H, W), uint8 or floats in [0, 1], on the model's device. mask: (H, W) bool, True on the object, and
    truth, the name of the true class, where they are known. seconds: that it took. doubtful: whether the model
    should say that it is of none of its classes. Raises ValueError on a model whose
    numbers overflow.
    """

    def __init__(self, model: Classifier, pixels: Tensor, mask: Tensor | None = None, truth: str | None = None):
        self.model, self.pixels, self.mask, self.truth = model, pixels, mask, truth
        started = time.perf_counter()
        self.images = model.normalize(pixels)[None]  # (1, 3, H, W)
        logits = self._logits()
        if not logits.isfinite().all():
            raise ValueError("This model's numbers overflow on this picture, so it says nothing; choose another model.")
        self.probabilities = model.probabilities(logits)  # (classes,)
        self.doubtful = bool(model.doubts(logits))
        self.seconds = time.perf_counter() - started

    def _logits(self) -> Tensor:
        with torch.inference_mode(), evaluating(self.model):
            return self.model(self.images)[0]


class Analysis(Prediction):
    """All that is told of one picture through a model with attention, beside its prediction."""

    model: ViT

    def _logits(self) -> Tensor:
        self.record = trace(self.model, self.images)
        self.maps = self.record.maps  # (1, L, heads, N, N), without a read-out's
        self.depth = self.record.num_maps  # with the read-out
        self._relevance: dict[int, Tensor] = {}
        total = self.maps.sum()  # finite where they all are, as shares of 1
        return self.record.logits[0] if total.isfinite() else total  # which is refused

    @cached_property
    def rollout(self) -> Tensor:
        """(1, L, N, N), without a read-out's."""
        return rollout(self.maps, RESIDUAL)

    @cached_property
    def read(self) -> tuple[Tensor, Tensor]:
        """What the class token, or the read-out, asks: (depth, heads, N) of `read_rows`, (depth, N) of the rollout."""
        record = self.record
        readout = None if record.readout is None else record.readout.map
        return record.rows[0], read_rollout(self.rollout, readout, record.num_prefix_tokens)[0]

    @property
    def region(self) -> str:
        """What the shares of the object are shares of."""
        return "the middle of the picture" if self.mask is None else "the object"

    @cached_property
    def objects(self) -> Tensor:
        """How much of each patch is on the region, (1, h, w): the true mask, else a fixed quarter of the picture."""
        if self.mask is None:
            return middle_of_picture(self.record.grid_size)[None]
        return F.adaptive_avg_pool2d(self.mask[None].float(), self.record.grid_size)

    @cached_property
    def statistics(self) -> HeadStatistics:
        return head_statistics(self.record, self.objects.to(self.maps), self.region, rolled=self.rollout)

    @cached_property
    def patches(self) -> PatchNumbers:
        return patch_numbers(self.record)

    @cached_property
    def comparison(self) -> describe.EarlyAgainstLate:
        return describe.early_against_late(self.statistics)

    @cached_property
    def sentences(self) -> dict[str, list[list[str]]]:
        """Of what is read, (depth, heads + 2) of what it attends to ("to") and of what attends to it ("by")."""
        layers, views = range(self.statistics.depth), range(self.statistics.heads + 2)
        words = {"to": describe.describe_view, "by": describe.describe_received}
        return {k: [[say(self.statistics, layer, v) for v in views] for layer in layers] for k, say in words.items()}

    @cached_property
    def lens(self) -> tuple[Tensor, Tensor]:
        """Probabilities after each layer: of what is read, (L, classes), and of each patch, (L, h*w, classes)."""
        cls, patches = probing.logit_lens(self.model, self.record)
        return self.model.probabilities(cls[0]), self.model.probabilities(patches[0])

    def relevance(self, classes: Sequence[int]) -> Tensor:
        """`probing.relevance` of each class, (K, h, w). Raises ValueError on no class or one that is not there."""
        missing = [c for c in dict.fromkeys(classes) if c not in self._relevance]
        if missing or not classes:
            self._relevance |= dict(zip(missing, probing.relevance(self.model, self.images, missing)[0]))
        return torch.stack([self._relevance[c] for c in classes])

    def describe_relevance(self, c: int) -> str:
        total = self.relevance([c]).sum().item()
        return describe.describe_relevance(self.model.classes[c], total, self.probabilities[c].item())

    def without_heads(self, off: Iterable[tuple[int, int]]) -> Tensor:
        """Probabilities, (classes,), with some heads off: (layer, head) from 0. Raises IndexError."""
        mask = torch.ones(self.depth, self.model.num_heads)
        for layer, head in off:
            mask[layer, head] = 0
        with torch.inference_mode(), evaluating(self.model):
            return self.model.probabilities(self.model(self.images, head_mask=mask)[0])

    def grid(self, layer: int, head: int | None = None, patch: int | None = None, rolled: bool = False) -> Tensor:
        """What a patch gives each patch, (h, w): in a head, in the mean of heads, or rolled out to the layer.

        patch: row by row, from 0; None for what is read: the class token, or the read-out and before it the mean of
        patches. Raises ValueError on a patch in the read-out, where none asks.
        """
        if patch is None:
            maps, rolls = (rows[layer] for rows in self.read)
        elif layer >= len(self.record.layers):
            raise ValueError(
                f"In the read-out no patch asks; leave out the query, or choose a layer from 1 to {self.depth - 1}."
            )
        else:
            token = self.record.num_prefix_tokens + patch
            maps, rolls = self.maps[0, layer, :, token], self.rollout[0, layer, token]
        chosen = rolls if rolled else maps.mean(0) if head is None else maps[head]
        return chosen[self.record.num_prefix_tokens :].unflatten(0, self.record.grid_size)

    @property
    def arrays(self) -> dict:
        """As numpy: maps (L, heads, N, N), rollout (L, N, N), num_prefix_tokens, and a read-out's map (heads, N)."""
        read = {} if self.record.readout is None else {"readout": self.record.readout.map[0, :, 0].numpy()}
        maps = {"maps": self.maps[0].numpy(), "rollout": self.rollout[0].numpy(), **read}
        return {**maps, "num_prefix_tokens": self.record.num_prefix_tokens}

    def report(self) -> dict:
        """Every number of every head as rows of layers, what uniform attention has, early against late: for JSON."""
        statistics, compared = self.statistics, self.comparison
        uniform = statistics.uniform
        return {
            **{row.name: listed(statistics.of_heads(row.name)) for row in TABLE},
            "similarity": listed(statistics.similarity),
            "uniform": {name: finite(value) for name, value in uniform.items()},
            "uniform_distance": uniform["distance"],
            "max_entropy": uniform["entropy"],
            "uniform_share": 1 / statistics.tokens,
            "object_area": statistics.area,
            "object": statistics.region,
            "layers": compared.layers,
            "early": compared.early,
            "late": compared.late,
            "sentence": compared.sentence,
        }


def patch_numbers(record: Trace) -> PatchNumbers:
    """Numbers of each patch of one picture, in every view of the layers, in which patches ask: without a read-out.

    Raises ValueError on a batch of several.
    """
    if len(record.logits) != 1:
        raise ValueError(f"Numbers of patches are those of one picture, got {len(record.logits)}.")
    prefix, rolled = record.num_prefix_tokens, rollout(record.maps, RESIDUAL)[0]
    layers = []
    for i, views in zip(range(len(record.layers)), layer_views(record)):
        maps = torch.cat([view.map for view in views], dim=1)  # (1, C, N, N)
        drawn = torch.cat([maps[0, :-1], rolled[None, i]])[:, prefix:, prefix:]  # with skip connections
        asked = _of_rows(*_columns(maps, drawn, prefix), record, 0)
        layers.append(torch.stack([_of_rows(maps, drawn, record, prefix), asked]))
    return PatchNumbers(*torch.stack(layers, dim=1).unbind(-1))  # (2, L, C, P, 4)


def _columns(maps: Tensor, drawn: Tensor, prefix: int) -> tuple[Tensor, Tensor]:
    """What attends to each patch, as rows: shares that sum to 1, and the weights."""
    columns = maps[..., prefix:, prefix:].mT
    return columns / columns.sum(-1, keepdim=True).clamp_min(torch.finfo(columns.dtype).tiny), drawn.mT


def _of_rows(maps: Tensor, drawn: Tensor, record: Trace, prefix: int) -> Tensor:
    """(C, h*w, 4): distance, entropy, peak, place of each patch's row."""
    view, rows = View(maps, None, None, record.grid_size, prefix, record.patch_size), slice(prefix, maps.shape[-1])
    peak, place = drawn.max(-1)
    return torch.stack([distance(view, rows)[0], entropy(view, rows)[0], peak, place.to(peak)], dim=-1)
