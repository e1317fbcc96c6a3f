"""What the model says of the picture with heads off: asked by the lesson and by the Attention tab."""

from vit.interpret.analysis import Analysis
from vit.live import models
from vit.ui.asking import answer
from vit.ui.checks import check, shortened, whole
from vit.ui.errors import BadInput


@answer
def without_heads(analysis: Analysis, question: dict) -> dict:
    """Probabilities of all classes with heads off. off: [[layer, head], ...] from 0."""
    models.named(analysis.model)
    pairs, shape = check("off", question.get("off"), list[list[int]]), (analysis.depth, analysis.model.num_heads)
    for pair in pairs:
        if len(pair) != 2:
            raise BadInput(
                f"off must be pairs [layer, head] from 0, got {shortened(pair)}; send two numbers for each head."
            )
    off = [[whole(name, i, 0, n - 1) for name, i, n in zip(("layer", "head"), pair, shape)] for pair in pairs]
    return {"probabilities": analysis.without_heads(off).tolist()}
