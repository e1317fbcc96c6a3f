"""What the lesson's script asks for about the picture that it shows. Each takes one dict, and answers with one."""

from vit.interpret.analysis import Analysis
from vit.live import models
from vit.training.forming import half_way, ways
from vit.ui.asking import answer
from vit.ui.checks import whole
from vit.ui.errors import BadInput
from vit.ui.lesson import numbers
from vit.ui.lesson.payload import comes_by_head, packed

SHOWN = 5  # classes


@answer
def embedding(analysis: Analysis, question: dict) -> dict:
    """Step 1: `numbers.embedding`, packed."""
    return packed(**numbers.embedding(analysis))


@answer
def places(analysis: Analysis, question: dict) -> dict:
    """Step 2: cosines of the position embeddings, packed."""
    return packed(cosines=numbers.places(analysis))


@answer
def shuffled(analysis: Analysis, question: dict) -> dict:
    """Step 2: an order by its seed, and what the model says of it: [index, probability] of the likeliest."""
    found = numbers.shuffled(analysis, whole("seed", question.get("seed"), 0, 1_000_000))
    order = found.pop("order").tolist()
    said = {name: [int(p.argmax()), p.max().item()] for name, p in found.items()}
    kept = found["without places"] - found["shuffled without places"]
    return {"order": order, "said": said, "difference": kept.abs().max().item()}


@answer
def layer(analysis: Analysis, question: dict) -> dict:
    """Steps 3 and 4: a layer's `numbers.layer`, packed; of one head where all would be too long. first: its index."""
    at, heads = _layer(analysis, question), analysis.model.num_heads
    found, first = numbers.layer(analysis, at), 0
    if comes_by_head(analysis.model):
        first = whole("head", question.get("head"), 0, heads - 1)
        found |= {name: found[name][first : first + 1] for name in ("q", "k", "v")}
    return {"first": first, **packed(**found)}


@answer
def heads_off(analysis: Analysis, question: dict) -> dict:
    """Step 4: every class's probability with each head of a layer off by itself."""
    return packed(probabilities=numbers.each_head_off(analysis, _layer(analysis, question)))


@answer
def blocks(analysis: Analysis, question: dict) -> dict:
    """Step 5: `numbers.blocks`, packed; of what is read the likeliest classes' probabilities alone."""
    found = numbers.blocks(analysis)
    if "read" not in found:
        return packed(**found)
    read = found.pop("read")
    best = read.topk(min(SHOWN, read.shape[-1]))
    return packed(**found, read=best.values, named=best.indices)


@answer
def verdict(analysis: Analysis, question: dict) -> dict:
    """Step 6: the way to the logits of the likeliest classes, and both maps."""
    found = numbers.answer(analysis)
    best = found["probabilities"].topk(min(SHOWN, len(found["probabilities"]))).indices.tolist()
    maps = {name: grid.flatten() for name, grid in numbers.explanations(analysis).items()}
    arrays = packed(**found, **numbers.class_vectors(analysis, best), **maps)
    return {"classes": best, "temperature": analysis.model.temperature, **arrays}


@answer
def unnamed(analysis: Analysis, question: dict) -> dict:
    """Step 6 of a model without a class head: `numbers.unnamed`, packed."""
    return packed(**numbers.unnamed(analysis))


@answer
def costs(analysis: Analysis, question: dict) -> dict:
    """Step 6: `numbers.costs` and what they say of both maps."""
    models.named(analysis.model)
    found = numbers.costs(analysis)
    return {"costs": found, "warning": warning(found, *numbers.agreement(analysis))}


def warning(costs: dict[str, float], shared: int, fifth: int) -> str:
    """Whether both maps can be trusted here, from what covering them costs, in points."""
    overlap = f"Of the {fifth} brightest patches of each map {shared} are the same."
    blind = [name for name in numbers.MAPS if costs[name] <= costs["random"]]
    if blind:
        which = " and ".join(blind)
        return f"{overlap} Careful: covering those of {which} costs no more than covering random ones."
    least, most = sorted(numbers.MAPS, key=costs.__getitem__)
    if costs[most] - costs[least] >= 5:
        return f"{overlap} They disagree: covering those of {most} costs {costs[most] - costs[least]:.0f} points more."
    return f"{overlap} Covering either costs about the same here."


@answer
def learning(analysis: Analysis, question: dict) -> dict:
    """Step 7: `learned`."""
    return learned(analysis)


def learned(analysis: Analysis) -> dict:
    """How far each part of the recorded run had come at each moment. Raises BadInput where none is there."""
    key = models.recorded(models.dataset(analysis.model))
    album = models.moments(key) if key else None
    if not album or not (found := ways(album)):
        raise BadInput("No run of this data was recorded; choose a shipped model, or watch your own in the Train tab.")
    return {
        "title": models.title(key, {}),
        "seconds": [moment.figures["seconds"] for moment in album.moments],
        "steps": [moment.figures["step"] for moment in album.moments],
        "ways": found,
        "half": {part: half_way(way) for part, way in found.items()},
    }


def _layer(analysis: Analysis, question: dict) -> int:
    return whole("layer", question.get("layer"), 0, analysis.depth - 1)


ASKED = [embedding, places, shuffled, layer, heads_off, blocks, verdict, unnamed, costs, learning]
