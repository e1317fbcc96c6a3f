"""Attention as it formed, as a GIF to keep and to share: the fixed pictures, each head's map, step and accuracy."""

import io
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vit.figures import DIVERGING, color_table
from vit.training.moments import TOP, Moment
from vit.ui.errors import BadInput

CELL, GAP, LINE, TEXT = 72, 4, 22, 14  # pixels: a map's side, what is between maps, a line of text, its letters
FRAMES = 40  # between moments stand their mixtures, as on the page
SECONDS, LAST = 6.0, 2.0  # of all frames together, and of the last one
ENDS = 2  # powers of two around the even share, as the page's scale
BACKGROUND, INK = "#ffffff", "#22272e"


def animation(moments: list[Moment], pictures: np.ndarray, layer: int, tokens: int, title: str) -> bytes:
    """A GIF of all moments in one layer, and of what lies between them.

    pictures: (P, H, W, 3) uint8; layer: from 0; tokens: how many there are, of which an even share is one part.
    Raises BadInput where there are fewer than two moments, or no such layer.
    """
    if len(moments) < 2:
        raise BadInput("There are fewer than two moments of this run, so nothing moves; wait a little.")
    layers = moments[0].snapshot.shapes["maps"][1]
    if not 0 <= layer < layers:
        raise BadInput(f"This run's moments have layers 1 to {layers}, got {layer + 1}; choose one of them.")
    places = np.linspace(0, len(moments) - 1, FRAMES)
    frames = [_frame(_mixed(moments, at, layer), pictures, tokens, (title, _words(moments[int(at)]))) for at in places]
    each = round(1000 * SECONDS / FRAMES)
    file = io.BytesIO()
    durations = [each] * (FRAMES - 1) + [round(1000 * LAST)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=False)
    return file.getvalue()


def _mixed(moments: list[Moment], at: float, layer: int) -> np.ndarray:
    """Maps of a layer, (P, heads, h, w) uint8, between the moments on both sides of a place."""
    first, second = (_maps(moments[place], layer).astype(float) for place in (math.floor(at), math.ceil(at)))
    return np.round(first + (at - math.floor(at)) * (second - first)).astype(np.uint8)


def _maps(moment: Moment, layer: int) -> np.ndarray:
    shape = moment.snapshot.shapes["maps"]
    return np.frombuffer(moment.snapshot.data, np.uint8, math.prod(shape)).reshape(shape)[:, layer]


def _frame(maps: np.ndarray, pictures: np.ndarray, tokens: int, words: tuple[str, str]) -> Image.Image:
    shown, heads, h, w = maps.shape
    size = (shown * (CELL + GAP) + GAP, (1 + heads) * (CELL + GAP) + GAP + 2 * LINE)
    frame = Image.new("RGB", size, BACKGROUND)
    pen, font = ImageDraw.Draw(frame), ImageFont.load_default(TEXT)
    for line, text in enumerate(words):
        pen.text((GAP, line * LINE + 3), text, INK, font)
    colors = _colors(TOP * tokens / (h * w))
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
