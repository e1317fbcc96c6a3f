"""What the page shows of one picture: itself, what the model sees of it, where it looks, and what it says."""

import base64
import hashlib
from functools import lru_cache

from vit.data import pictures as files
from vit.data.decode import SMALLEST_FRAME, Frame
from vit.data.registry import label
from vit.interpret.analysis import Analysis, Prediction
from vit.ui import pictures, theme
from vit.ui.analysis import quantize, told
from vit.ui.checks import check, shortened
from vit.ui.errors import BadInput
from vit.ui.pictures import Picture
from vit.ui.poke import grid

MOST = 20  # classes that are all shown; of more, the likeliest ten
LIKELIEST = 10
PREVIEW = 480  # pixels of the longer side


def payload(prediction: Prediction, key: str, picture: Picture) -> dict:
    """All that the view draws, as JSON."""
    model, n = prediction.model, len(prediction.model.classes)
    colors, best = theme.class_colors(n), prediction.probabilities.topk(n if n <= MOST else LIKELIEST)
    return {
        **told(prediction, key, picture),
        "called": called(picture),
        "original": original(picture),
        "size": model.config["img_size"],
        "grid": list(grid(model)),
        "looks": looks(prediction) if isinstance(prediction, Analysis) else None,
        "bars": [[model.classes[i], p, colors[i]] for p, i in zip(best.values.tolist(), best.indices.tolist())],
        "all": {"names": model.classes, "shares": prediction.probabilities.tolist(), "colors": colors},
        "truth": prediction.truth,
        "known": prediction.truth in model.classes,
        "doubt": doubt(prediction) if prediction.doubtful else None,
        "milliseconds": 1000 * prediction.seconds,
    }


def doubt(prediction: Prediction) -> str:
    """The hint that it may be none of the classes, with how often that is wrong."""
    found = prediction.model.doubt
    assert found
    return (
        "Perhaps none of these: it looks unlike the pictures that this model learned from. Of pictures that do show "
        f"one of its {len(prediction.model.classes)} classes, {found.false_alarm:.0%} get this hint, too."
    )


def called(picture: Picture) -> str:
    """What the page calls it."""
    return "Your picture" if picture[0] == "upload" else f"Test picture {picture[1]} of {label(picture[0])}"


def looks(analysis: Analysis) -> dict:
    """What each layer's heads give each patch when the class token, or the read-out, asks; and who asks in the last.

    bytes: base64 of uint8 (layers, heads, h*w), in 255ths of peaks, rows of heads.
    """
    rows = analysis.read[0][..., analysis.model.num_prefix_tokens :]
    steps, peaks = quantize(rows)
    return {
        "shape": [*rows.shape[:2], *analysis.model.grid_size],
        "bytes": base64.b64encode(steps.contiguous().numpy().tobytes()).decode(),
        "peaks": peaks.tolist(),
        "asker": "the read-out" if analysis.model.has_readout else "the class token",
    }


def original(picture: Picture) -> dict | None:
    """A visitor's whole picture, small, its size in pixels, and which square of it the model sees; None for others."""
    if picture[0] != "upload":
        return None
    pixels, (width, height) = _preview(picture[1])
    short = min(width, height)
    middle = ((width - short) / 2 / width, (height - short) / 2 / height, 1.0)
    return {
        "id": hashlib.sha256(str(picture[1]).encode()).hexdigest()[:16],
        "src": pixels,
        "width": width,
        "height": height,
        "frame": list(picture[2] if len(picture) == 3 else middle),
    }


def frame(sent: object) -> Frame:
    """A square of a picture, as the page sends it. Raises BadInput."""
    numbers = check("frame", sent, list[float])
    fits = len(numbers) == 3 and all(0 <= number <= 1 for number in numbers) and numbers[2] >= SMALLEST_FRAME
    if not fits:
        raise BadInput(
            f"frame must be left, top and side, each from 0 to 1 and the side {SMALLEST_FRAME} or more, got "
            f"{shortened(sent)}; move it back into the picture."
        )
    left, top, side = numbers
    return left, top, side


def sweep() -> None:
    """Lets go of the uploads' previews, also of young ones, which are soon drawn again."""
    _preview.cache_clear()


@lru_cache(maxsize=30)  # a frame that is moved is drawn again and again
def _preview(path: str) -> tuple[str, tuple[int, int]]:
    pixels, size = files.preview(path, PREVIEW)
    return pictures.jpeg_uri(pixels), size
