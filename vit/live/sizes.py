"""Models at another size of pictures: the same weights, the position embeddings resized.

Which sizes there are follows from the model's own: those at which tutorials try theirs.
"""

import copy
from functools import lru_cache

from vit.model import Classifier, ViT
from vit.weights.resize import set_image_size

SMALL = (32, 48, 64)  # pixels, for models of pictures up to the last
LARGE = (224, 384, 392, 518)
MAX_SIDE = 37  # patches: maps of more take seconds, and gigabytes


def sizes(model: Classifier) -> list[int]:
    """At which it can be read, its own among them."""
    own = model.config["img_size"]
    if not isinstance(model, ViT):
        return [own]
    patch = model.config["patch_size"]
    tried = SMALL if own <= SMALL[-1] else LARGE
    return sorted({own} | {size for size in tried if size % patch == 0 and size // patch <= MAX_SIDE})


@lru_cache(maxsize=4)
def at(model: Classifier, size: int) -> Classifier:
    """The model for pictures of that size: all its other weights are the same tensors.

    Raises ValueError on a size that is none of `sizes`.
    """
    if size not in (can := sizes(model)):
        raise ValueError(f"This model can be read at {', '.join(map(str, can))} px, got {size}; choose another model.")
    if size == model.config["img_size"]:
        return model
    other = copy.deepcopy(model, {id(parameter): parameter for parameter in model.parameters()})
    assert isinstance(other, ViT)
    other.trained = {**model.trained, "resized_from": model.config["img_size"]}
    return set_image_size(other, size)
