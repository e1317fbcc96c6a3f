"""What a model's maps are worth, and what the table of head statistics says of its layers, over many test pictures."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from vit.data import Dataset
from vit.device import keeping_memory
from vit.interpret import probing
from vit.interpret.attention import patch_coverage, read_attention
from vit.interpret.cover import FILLS, cover, deletion_insertion
from vit.interpret.describe import SINK
from vit.interpret.intervals import mean_interval, ratio_interval
from vit.interpret.statistics import TABLE, finite, head_statistics, listed
from vit.interpret.trace import trace
from vit.interpret.views import middle_of_picture
from vit.model import ViT

MAPS = ("last layer, class token", "rollout", "relevance")
BATCH = 25
Tell = Callable[[float], object]


def covering(model: ViT, pictures: Dataset, seed: int, tell: Tell) -> dict:
    """What it costs the true class's probability to cover the brightest fifth of each map, and a random fifth.

    pictures: ones that the model gets right. Per fill: "random" and each map's "drop", [mean, low, high] in
    probability with 95% intervals, and each map's "ratio" to the random drop; random is the mean of 5 draws, in the
    same places for each picture. A ratio, or an end of it, that can't be told is None.
    """
    drops: dict[str, list[Tensor]] = {fill: [] for fill in FILLS}
    for images, part in _batches(model, pictures, tell):
        maps = _maps_of(model, images, part.labels)
        for fill in FILLS:
            found = cover(model, images, maps, part.labels, torch.Generator().manual_seed(seed), fill=fill)
            drops[fill].append(torch.cat([found.brightest, found.random.mean(1, keepdim=True)], dim=1).cpu())
    return {"n": len(pictures), "fills": {fill: _drops(torch.cat(parts)) for fill, parts in drops.items() if parts}}


def _drops(drops: Tensor) -> dict:
    """drops: (n, maps + 1), the last of random patches."""
    means, brightest, random = _means(drops, -1), drops[:, :-1], drops[:, -1:].expand(-1, len(MAPS))
    ratios = torch.stack([brightest.mean(0) / random.mean(0), *ratio_interval(brightest, random)], dim=1)
    return {
        "random": means[-1],
        "drop": dict(zip(MAPS, means, strict=False)),
        "ratio": {name: listed(ratio) for name, ratio in zip(MAPS, ratios, strict=True)},
    }


def areas(model: ViT, pictures: Dataset, seed: int, tell: Tell) -> dict:
    """Areas under the predicted class's probability as patches are deleted and inserted, brightest first.

    Per fill, "deletion" and "insertion" of each map and of random ones: [mean, low, high], with 95% intervals.
    """
    found: dict[tuple[str, str], list[Tensor]] = {(f, way): [] for f in FILLS for way in ("deletion", "insertion")}
    generator = torch.Generator().manual_seed(seed)
    for images, _ in _batches(model, pictures, tell):
        with torch.no_grad():
            classes = model(images).argmax(1)
        maps = _maps_of(model, images, classes)
        guesses = torch.rand(len(maps), 1, maps.shape[2], generator=generator).to(maps)
        for fill in FILLS:
            both = deletion_insertion(model, images, torch.cat([maps, guesses], dim=1), classes, fill)
            for way, values in zip(("deletion", "insertion"), both, strict=True):
                found[fill, way].append(values.cpu())
    named: dict[str, dict] = {fill: {} for fill in FILLS}
    for (fill, way), parts in found.items():
        named[fill][way] = dict(zip((*MAPS, "random"), _means(torch.cat(parts), 0), strict=True))
    return {"n": len(pictures), "fills": named}


def heads(model: ViT, pictures: Dataset, tell: Tell) -> dict:
    """Every statistic of the table, of every head, mean over the pictures: "values", rows of layers, and "uniform".

    And of each layer: "entropy_share", its heads' mean entropy over that of even attention; "divergence", the mean
    Jensen-Shannon divergence of its heads' pairs, in nats; "sinks", its heads (from 0) that give the prefix tokens
    more than SINK.
    """
    total: dict[str, Tensor] = {}
    uniform, area = dict.fromkeys((row.name for row in TABLE), 0.0), 0.0
    for images, part in _batches(model, pictures, tell):
        objects = middle_of_picture(model.grid_size).expand(len(images), -1, -1)
        if part.masks is not None:
            objects = patch_coverage(part.masks, model.grid_size, model.config["patch_size"])
        found, weight = head_statistics(trace(model, images), objects.to(images)), len(images) / len(pictures)
        for row in TABLE:
            total[row.name] = total.get(row.name, 0) + weight * found.of_heads(row.name).cpu()
            uniform[row.name] += weight * found.uniform[row.name]
        area += weight * objects.mean().item()
    return {
        "n": len(pictures),
        "region": "the middle of the picture" if pictures.masks is None else "the object",
        "area": area,
        "values": {name: listed(values) for name, values in total.items()},
        "uniform": {name: finite(value) for name, value in uniform.items()},
        "entropy_share": listed(total["entropy"].mean(1) / uniform["entropy"]),
        "divergence": listed(total["head_divergence"].mean(1)),
        "sinks": [(shares > SINK).nonzero()[:, 0].tolist() for shares in total["prefix_share"]],
    }


def _maps_of(model: ViT, images: Tensor, classes: Tensor) -> Tensor:
    """(B, 3, h*w), in the order of MAPS, a read-out in the class token's place; relevance is for the classes, (B,)."""
    _, rows, rolled = read_attention(model, images)
    prefix = model.num_prefix_tokens
    relevance = torch.empty(len(images), rows.shape[-1] - prefix, device=images.device)
    for c in classes.unique().tolist():
        those = classes == c
        relevance[those] = probing.relevance(model, images[those], [c])[:, 0].flatten(1)
    return torch.stack([rows[:, -1].mean(1)[:, prefix:], rolled[:, -1, prefix:], relevance], dim=1)


def _batches(model: ViT, pictures: Dataset, tell: Tell) -> Iterator[tuple[Tensor, Dataset]]:
    """Normalized images, and the part of the pictures that they are, on the model's device."""
    device = next(model.parameters()).device
    with keeping_memory():
        for start in range(0, len(pictures), BATCH):
            part = pictures.take(slice(start, start + BATCH)).to(device)
            yield model.normalize(part.images), part
            tell(min(1.0, (start + BATCH) / len(pictures)))


def _means(values: Tensor, low: float) -> list[list[float]]:
    """Of each column of (n, M), in [low, 1]: its mean and the ends of its 95% interval."""
    ends = mean_interval(values.clamp(low, 1), low, 1)  # an area of probabilities of 1 may be above 1 by rounding
    return torch.stack([values.mean(0), *ends], dim=1).tolist()
