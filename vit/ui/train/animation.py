"""Attention as it formed, as a GIF to keep and to share: the fixed pictures, each head's map, step and accuracy."""

import io
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vit.figures import DIVERGING, color_table
from vit.training.moments import TOP, Moment
from vit.ui.errors import BadInput

CELL, GAP, LINE, TEXT = 72, 4, 22, 14  # pixels: a map's side, what is between maps, a line of text, its letters
SECONDS, LAST = 6.0, 2.0  # of all moments together, and of the last one
ENDS = 2  # powers of two around the even share, as the page's scale
BACKGROUND, INK = "#ffffff", "#22272e"


def animation(moments: list[Moment], pictures: np.ndarray, layer: int, tokens: int, title: str) -> bytes:
    """A GIF of all moments in one layer. pictures: (P, H, W, 3) uint8; layer: from 0; tokens: of which N is the number.

    Raises BadInput where there are fewer than two moments, or no such layer.
    """
    if len(moments) < 2:
        raise BadInput("There are fewer than two moments of this run, so nothing moves; wait a little.")
    layers = moments[0].snapshot.shapes["maps"][1]
    if not 0 <= layer < layers:
        raise BadInput(f"This run's moments have layers 1 to {layers}, got {layer + 1}; choose one of them.")
    frames = [_frame(moment, pictures, layer, tokens, title) for moment in moments]
    each = max(40, round(1000 * SECONDS / len(frames)))
    file = io.BytesIO()
    durations = [each] * (len(frames) - 1) + [round(1000 * LAST)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False)
    return file.getvalue()


def _frame(moment: Moment, pictures: np.ndarray, layer: int, tokens: int, title: str) -> Image.Image:
    shape = moment.snapshot.shapes["maps"]
    maps = np.frombuffer(moment.snapshot.data, np.uint8, math.prod(shape)).reshape(shape)[:, layer]  # (P, heads, h, w)
    shown, heads = maps.shape[:2]
    size = (shown * (CELL + GAP) + GAP, (1 + heads) * (CELL + GAP) + GAP + 2 * LINE)
    frame = Image.new("RGB", size, BACKGROUND)
    pen, font = ImageDraw.Draw(frame), ImageFont.load_default(TEXT)
    for line, text in enumerate((title, _words(moment))):
        pen.text((GAP, line * LINE + 3), text, INK, font)
    colors = _colors(TOP * tokens / (shape[3] * shape[4]))
    for p in range(shown):
        column = [pictures[p], *(colors[maps[p, head]] for head in range(heads))]
        for row, pixels in enumerate(column):
            tile = Image.fromarray(np.ascontiguousarray(pixels)).resize((CELL, CELL), Image.Resampling.NEAREST)
            frame.paste(tile, (GAP + p * (CELL + GAP), 2 * LINE + row * (CELL + GAP)))
    return frame.quantize(128, dither=Image.Dither.NONE)


def _words(moment: Moment) -> str:
    figures = moment.figures
    if not figures["step"]:
        return "Step 0: weights at random"
    validation = figures.get("validation")
    return f"Step {figures['step']:,}" + (f", validation {validation:.1%}" if validation is not None else "")


def _colors(most: float) -> np.ndarray:
    """(256, 3): of a byte of a map. most: what 255 stands for, in even shares."""
    table = np.frombuffer(color_table(DIVERGING), np.uint8).reshape(256, 3)
    ratio = np.maximum(np.arange(256) / 255 * most, 1e-9)
    places = np.clip(np.log2(ratio) / ENDS, -1, 1)
    return table[np.round(127.5 + 127.5 * places).astype(int)]
