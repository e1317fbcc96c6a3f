"""What a model makes of a few fixed pictures while it learns: small snapshots, few enough to keep and to send.

A snapshot is bytes, each array quantized on a scale that stays the same over the run, so that moments can be compared:
attention maps of the class token (or of the read-out in its place), probabilities, similarity of the position
embeddings, first filters. A file of them, moments.safetensors, lies beside the weights, whoever
trained: the page or the command line.
"""

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vit.data import Dataset
from vit.interpret.probing import patch_filters, position_similarity
from vit.interpret.statistics import head_statistics
from vit.interpret.trace import Trace, trace
from vit.model import Classifier, ViT
from vit.training.progress import Progress
from vit.weights.checkpoint import read_tensors, write_tensors

MOMENTS = "moments.safetensors"
PICTURES = 6
KEPT = 60  # of a run
MOST_BYTES = 900_000  # of a run's moments, figures included
SHARE = 0.03  # of the training time at most
TOP = 6.0  # times an even share of attention, where the scale of the maps ends
FILTERS = 48
PARTS = {"maps": 5, "probabilities": 2, "positions": 4, "filters": 4}  # dimensions of each array
FIGURES = {"step", "seconds", "epoch", "lr"}  # of every moment
POSITIONS = 8  # rows and columns of position maps at most


@dataclass(frozen=True)
class Snapshot:
    """One moment. data: maps (P, L, heads, h, w), probabilities (P, classes), position maps, filters; a byte each.

    statistics: (L, heads) of each row of the table of head statistics over the pictures, None where there is no number;
    empty where they were not asked for.
    """

    step: int
    data: bytes
    shapes: dict[str, tuple[int, ...]]
    statistics: dict[str, list] = field(default_factory=dict)


@dataclass(frozen=True)
class Moment:
    """A snapshot in a run's history, with what was measured then. id: counts up over the run."""

    id: int
    snapshot: Snapshot
    figures: dict


def probe(dataset: Dataset) -> Dataset:
    """The fixed pictures: the dataset's first of each of some classes that it shows, evenly chosen."""
    there = dataset.labels.unique().tolist()
    chosen = sorted({there[round(i * (len(there) - 1) / (PICTURES - 1))] for i in range(PICTURES)})
    return dataset.take(torch.tensor([(dataset.labels == label).nonzero()[0].item() for label in chosen]))


@torch.no_grad()
def take(model: ViT, pictures: Dataset, step: int = 0, statistics: bool = False) -> Snapshot:
    """Looks at the model as it is; the model and the random numbers stay as they were."""
    device = next(model.parameters()).device
    images = model.normalize(pictures.images.to(device))
    record = trace(model, images)
    h, w = model.grid_size
    own = record.rows[..., model.num_prefix_tokens :].unflatten(-1, (h, w))
    stride = -(-h // POSITIONS)
    positions = position_similarity(model).unflatten(0, (h, w))[stride // 2 :: stride, stride // 2 :: stride]
    filters = patch_filters(model).float()
    filters = filters[:: -(-len(filters) // FILTERS)]
    filters = filters / (2 * filters.abs().amax().clamp_min(1e-9)) + 0.5
    arrays = {
        "maps": own.float() * h * w / TOP,
        "probabilities": model.probabilities(record.logits.float()),
        "positions": positions.float().clamp_min(0),
        "filters": filters,
    }
    data = b"".join(_bytes(values) for values in arrays.values())
    shapes = {name: tuple(values.shape) for name, values in arrays.items()}
    return Snapshot(step, data, shapes, _statistics(record) if statistics else {})


def _statistics(record: Trace) -> dict[str, list]:
    """To four digits, which is what they are good for over so few pictures."""
    measured = head_statistics(record)
    tables = {name: measured.of_heads(name).tolist() for name in measured.values}
    return {name: [[_short(v) for v in row] for row in table] for name, table in tables.items()}


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _bytes(values: Tensor) -> bytes:
    """From [0, 1] to 0 to 255."""
    return (values.nan_to_num(0).clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy().tobytes()


def figures(progress: Progress | None = None, **measured: float | None) -> dict[str, float | None]:
    """What belongs to a moment beside its snapshot; zeros before the first step. measured: more of it, by name."""
    if progress is None:
        return {"step": 0, "seconds": 0.0, "epoch": 0.0, "lr": 0.0}
    own = {"step": progress.step, "seconds": progress.elapsed, "epoch": progress.epoch, "lr": progress.lr}
    return {**own, **measured}


class Camera:
    """Takes snapshots of a model as it trains: often at first, then every few seconds, within its share of the time.

    share: of the training time at most. longest: seconds between two at most; without that they lie ever further apart,
    each 8% later than the one before. statistics: whether each has them.
    """

    def __init__(
        self, model: ViT, pictures: Dataset, share: float = SHARE, longest: float = 3.0, statistics: bool = False
    ):
        self.model, self.pictures = model, pictures
        self.share, self.longest, self.statistics = share, longest, statistics
        self.seconds, self.taken_at, self.cost = 0.0, -1.0, 0.0

    def look(self, progress: Progress) -> Snapshot | None:
        """A snapshot where one is due after this step and can be afforded; always one after the last."""
        due = progress.elapsed - self.taken_at >= min(self.longest, max(0.5, 0.08 * progress.elapsed))
        affordable = self.seconds + self.cost <= self.share * progress.elapsed
        if not (progress.done >= 1 or (due and affordable)):
            return None
        started = time.perf_counter()
        snapshot = take(self.model, self.pictures, progress.step, self.statistics)
        self.cost = time.perf_counter() - started
        self.seconds += self.cost
        self.taken_at = progress.elapsed
        return snapshot


class Album:
    """A run's moments in order, at most KEPT and MOST_BYTES: beyond that the one with the closest neighbors goes."""

    def __init__(self):
        self.moments: list[Moment] = []
        self._next = 0

    def add(self, snapshot: Snapshot, figures: dict) -> None:
        moments = [*self.moments, Moment(self._next, snapshot, figures)]
        self._next += 1
        while len(moments) > 2 and (len(moments) > KEPT or sum(map(_size, moments)) > MOST_BYTES):
            gaps = [
                (after.snapshot.step - before.snapshot.step) / (after.snapshot.step + 50)
                for before, after in zip(moments, moments[2:])
            ]
            del moments[1 + gaps.index(min(gaps))]
        self.moments = moments  # replaced, not changed: pages read it meanwhile

    def cut(self, step: int) -> None:
        """Forgets what was after a step, to which an interrupted run goes back."""
        self.moments = [moment for moment in self.moments if moment.snapshot.step <= step]

    def fits(self, model: Classifier) -> bool:
        """Whether all moments are of a model of this shape: its layers, heads, grid and classes."""
        if not isinstance(model, ViT):
            return not self.moments
        there = {(m.snapshot.shapes["maps"][1:], m.snapshot.shapes["probabilities"][1]) for m in self.moments}
        return there <= {((model.num_maps, model.num_heads, *model.grid_size), model.config["num_classes"])}

    def get(self, ids: list[int]) -> list[Moment]:
        return [moment for moment in self.moments if moment.id in ids]

    def save(self, file: Path) -> None:
        """Writes the moments to one safetensors file. Raises OSError where that fails."""
        moments = self.moments
        data = {str(m.id): torch.frombuffer(bytearray(m.snapshot.data), dtype=torch.uint8) for m in moments}
        about = {
            m.id: {"step": m.snapshot.step, "shapes": m.snapshot.shapes, "figures": m.figures}
            | ({"statistics": m.snapshot.statistics} if m.snapshot.statistics else {})
            for m in moments
        }
        write_tensors(data, file, {"moments": json.dumps(about)})

    @classmethod
    def load(cls, file: Path, model: Classifier | None = None) -> "Album":
        """What save wrote; an empty album where there is none.

        model: whose they are to be, if that is known. Raises OSError, or ValueError where the file is damaged or the
        moments are of a model of another shape.
        """
        album = cls()
        if not file.exists():
            return album
        data, metadata = read_tensors(file)
        try:
            for name, about in json.loads(metadata["moments"]).items():
                album.moments.append(_moment(int(name), data[name], about))
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"expected what Album.save writes ({type(error).__name__}: {error})") from error
        if model is not None and not album.fits(model):
            raise ValueError("they are of a model of another shape")
        album._next = album.moments[-1].id + 1 if album.moments else 0
        return album


def _moment(id: int, data: Tensor, about: dict) -> Moment:
    """From a file. Raises KeyError, TypeError, AttributeError or ValueError where it isn't what was saved."""
    shapes = {part: tuple(shape) for part, shape in about["shapes"].items()}
    dimensions = {part: len(shape) for part, shape in shapes.items()}
    values = sum(math.prod(shape) for shape in shapes.values())
    whole = all(type(length) is int and length > 0 for shape in shapes.values() for length in shape)
    if not whole or dimensions != PARTS or data.dtype != torch.uint8 or data.shape != (values,):
        raise ValueError(f"moment {id} has {tuple(data.shape)} {data.dtype} for arrays of the shapes {shapes}")
    figures = about["figures"]
    if not all(math.isfinite(figures[name]) for name in FIGURES | {n for n, v in figures.items() if v is not None}):
        raise ValueError(f"moment {id} should have the finite numbers {', '.join(sorted(FIGURES))}, got {figures}")
    statistics = about.get("statistics", {})
    tables = [torch.tensor([[v or 0.0 for v in row] for row in table]) for table in statistics.values()]
    if any(tuple(table.shape) != shapes["maps"][1:3] or not table.isfinite().all() for table in tables):
        raise ValueError(f"moment {id} should have a number of each head for {', '.join(statistics)}")
    return Moment(id, Snapshot(int(about["step"]), data.numpy().tobytes(), shapes, statistics), figures)


def _size(moment: Moment) -> int:
    """Bytes on disk, about."""
    return len(moment.snapshot.data) + len(json.dumps(moment.snapshot.statistics)) + 400
