"""The numbers of each step, for the page and for programs: tensors by name."""

import torch
from torch import Tensor

from vit.interpret import cover as covering
from vit.interpret import probing
from vit.interpret.analysis import Analysis
from vit.interpret.lesson import added, layer_of, rearranged
from vit.live import models
from vit.model import PatchEmbedding

SHUFFLE = 0  # seed of the first order; the page counts on from there
MAPS = ("attention", "relevance")


def embedding(analysis: Analysis) -> dict[str, Tensor]:
    """tokens: (h*w, D), before places are added; where there is one matrix, weights: (D, C*P*P) and bias: (D,)."""
    model = analysis.model
    with torch.inference_mode():
        tokens = model.patch_embed(analysis.images)[0]
    found = {"tokens": tokens}
    if isinstance(model.patch_embed, PatchEmbedding):
        weight, bias = model.patch_embed.proj.weight.flatten(1), model.patch_embed.proj.bias
        found |= {"weights": weight, "bias": weight.new_zeros(len(weight)) if bias is None else bias}
    return found


def places(analysis: Analysis) -> Tensor:
    """Cosine of each place's position embedding with every other's, (h*w, h*w)."""
    return probing.position_similarity(analysis.model).flatten(1)


def shuffled(analysis: Analysis, seed: int) -> dict[str, Tensor]:
    """order: (h*w,); probabilities (classes,) of the patches in this order and in their own, places or not."""
    model = models.named(analysis.model)
    order = torch.randperm(len(places(analysis)), generator=torch.Generator().manual_seed(seed))
    said = {}
    for name, at, positions in (
        ("shuffled", order, True),
        ("without places", None, False),
        ("shuffled without places", order, False),
    ):
        said[name] = model.probabilities(rearranged(analysis.model, analysis.images, at, positions)[0])
    return {"order": order, "as it is": analysis.probabilities, **said}


def layer(analysis: Analysis, at: int) -> dict[str, Tensor]:
    """q, k, v: (heads, tokens, D/heads), and of a block the lengths of `interpret.lesson.Added`. Raises IndexError."""
    asked = layer_of(analysis.record, at)
    vectors = {"q": asked.q[0], "k": asked.k[0], "v": asked.v[0]}
    if at == len(analysis.record.layers):
        return vectors
    lengths = added(analysis.model, analysis.record, at)
    return {**vectors, "stream": lengths.stream, "attention": lengths.attention, "added": lengths.heads}


def each_head_off(analysis: Analysis, at: int) -> Tensor:
    """Probabilities (heads, classes) with each head of a layer off by itself."""
    models.named(analysis.model)
    return torch.stack([analysis.without_heads([(at, head)]) for head in range(analysis.model.num_heads)])


def blocks(analysis: Analysis) -> dict[str, Tensor]:
    """Of each block (L, N): lengths of stream, attention and mlp, mean and spread; and, where there is a class head,
    read: (L, classes), the lens's probabilities of what is read, and for patches (L, h*w) the likeliest and its share.
    """
    record = analysis.record
    told = [added(analysis.model, record, at) for at in range(len(record.layers))]
    names = ("stream", "attention", "mlp", "mean", "spread")
    found = {name: torch.stack([getattr(lengths, name) for lengths in told]) for name in names}
    if models.headless(analysis.model):
        return found
    read, patches = analysis.lens
    sure = patches.max(-1)
    return {**found, "read": read, "likeliest": sure.indices, "share": sure.values}


def answer(analysis: Analysis) -> dict[str, Tensor]:
    """read: (D,), what the head is applied to (one after the other if distilled); logits, probabilities: (classes,)."""
    model = models.named(analysis.model)
    return {
        "read": _read(analysis),
        "logits": analysis.record.logits[0],
        "probabilities": model.probabilities(analysis.record.logits[0]),
    }


def unnamed(analysis: Analysis) -> dict[str, Tensor]:
    """Of a model with or without a class head, read: as in `answer`; attention: (h*w,), as in `explanations`."""
    return {"read": _read(analysis), "attention": analysis.grid(analysis.depth - 1).flatten()}


def _read(analysis: Analysis) -> Tensor:
    with torch.inference_mode():
        return analysis.model.read_out(analysis.record.layers[-1].output)[0][0].flatten()


def class_vectors(analysis: Analysis, classes: list[int]) -> dict[str, Tensor]:
    """weights: (K, D) and bias: (K,), by which `read` makes some classes' logits; half of both heads' if distilled."""
    heads = [head for head in (analysis.model.head, analysis.model.head_dist) if head is not None]
    weights = torch.cat([head.weight[classes] for head in heads], dim=1) / len(heads)
    return {"weights": weights, "bias": torch.stack([head.bias[classes] for head in heads]).mean(0)}


def explanations(analysis: Analysis) -> dict[str, Tensor]:
    """What is read in the end gives each patch, mean of heads, and relevance for the likeliest class: each (h, w)."""
    return {
        "attention": analysis.grid(analysis.depth - 1),
        "relevance": analysis.relevance([int(analysis.probabilities.argmax())])[0],
    }


def costs(analysis: Analysis) -> dict[str, float]:
    """Points of the likeliest class that covering the brightest fifth of each map costs, and a random fifth."""
    best, maps = int(analysis.probabilities.argmax()), explanations(analysis)
    found = {
        name: covering.points(analysis.model, analysis.images, maps[name].flatten()[None, None], best) for name in MAPS
    }
    return {**{name: drop["brightest"] for name, drop in found.items()}, "random": found["attention"]["random"]}


def agreement(analysis: Analysis) -> tuple[int, int]:
    """How many patches are among the brightest fifth of both maps, and how many patches a fifth is."""
    maps = [grid.flatten() for grid in explanations(analysis).values()]
    fifth = max(1, round(0.2 * len(maps[0])))
    bright = [set(grid.topk(fifth).indices.tolist()) for grid in maps]
    return len(bright[0] & bright[1]), fifth
