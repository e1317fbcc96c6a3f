"""What a model makes of a picture, kept for a while: one analysis for the tabs, the page's questions and endpoints."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from torch import Tensor

from vit.data.pictures import read_picture
from vit.interpret.analysis import Analysis
from vit.live import models
from vit.live.datasets import SOURCES
from vit.model import ViT
from vit.ui import pictures
from vit.ui.errors import BadInput
from vit.ui.pictures import Picture

ENDPOINT = {"concurrency_id": "picture", "concurrency_limit": 2}  # all that ask of one picture: others wait their turn
KEPT_BYTES = 64_000_000  # of maps: some 150 pictures through the shipped models, and always the last one

_kept: OrderedDict[tuple[str, Picture], "Look"] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Look:
    """One picture through one model, on the CPU. pixels: (3, H, W) uint8. truth: the true class, None if not known."""

    model: ViT
    pixels: Tensor
    analysis: Analysis
    truth: str | None = None

    @property
    def probabilities(self) -> Tensor:
        """(classes,)."""
        return self.analysis.probabilities


def see(model: ViT, pixels: Tensor, truth: str | None = None, mask: Tensor | None = None) -> Look:
    """One forward pass. mask: (H, W) bool, True on the object. Raises ValueError where the numbers overflow."""
    return Look(model, pixels, Analysis(model, model.normalize(pixels)[None], mask), truth)


def look(key: str | None, picture: Picture) -> Look:
    """What all that is asked of a picture is made from; the same object while it is kept.

    Raises BadInput on a model or picture that can't be had.
    """
    try:
        model = models.find(key)
        with _lock:
            seen = _kept.get((key, picture))
        if seen is None or seen.model is not model:  # a run's model may have been loaded anew
            seen = see(model, *_pixels(picture, model.config["img_size"]))
    except ValueError as error:
        raise BadInput(error) from error
    _keep((key, picture), seen)
    return seen


def _keep(key: tuple[str, Picture], seen: Look) -> None:
    with _lock:
        _kept[key] = seen
        _kept.move_to_end(key)
        size = sum(other.analysis.maps.nbytes for other in _kept.values())
        while size > KEPT_BYTES and len(_kept) > 1:
            size -= _kept.popitem(last=False)[1].analysis.maps.nbytes


def _pixels(picture: Picture, img_size: int) -> tuple[Tensor, str | None, Tensor | None]:
    source, which = picture
    if source == "upload":
        return read_picture(which, img_size), None, None
    one = pictures.fit(SOURCES[source].load().test.take(slice(which, which + 1)), img_size)
    return one.images[0], one.classes[one.labels[0]], None if one.masks is None else one.masks[0]
