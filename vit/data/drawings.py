"""Two dozen drawn pictures of three things, always the same: to try out what one's own pictures are for."""

import random
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

SIZE = 224  # pixels
EACH = 8  # pictures of a class
FINER = 2  # times: drawn larger and scaled down, so that edges are smooth

Pen = Callable[[ImageDraw.ImageDraw, random.Random, Callable[[float, float], tuple[float, float]]], None]


def _fish(draw, rng, at):
    body, fin = _color(rng, 140, 255), _color(rng, 60, 200)
    draw.polygon([at(0.45, 0), at(1, -0.5), at(1, 0.5)], fin)
    draw.polygon([at(-0.2, -0.3), at(0.3, -0.7), at(0.3, -0.2)], fin)
    draw.ellipse([at(-1, -0.45), at(0.6, 0.45)], body)
    draw.ellipse([at(-0.75, -0.2), at(-0.55, 0)], "white", "black")


def _house(draw, rng, at):
    draw.rectangle([at(-0.7, -0.2), at(0.7, 0.9)], _color(rng, 150, 255))
    draw.polygon([at(-0.9, -0.2), at(0, -1), at(0.9, -0.2)], _color(rng, 60, 190))
    draw.rectangle([at(-0.15, 0.3), at(0.2, 0.9)], _color(rng, 30, 120))
    draw.rectangle([at(-0.55, 0.05), at(-0.25, 0.35)], "lightyellow", "black")


def _tree(draw, rng, at):
    green = (rng.randint(20, 90), rng.randint(110, 190), rng.randint(20, 90))
    draw.rectangle([at(-0.13, 0), at(0.13, 1)], (rng.randint(80, 120), rng.randint(50, 80), 40))
    for x, y in ((0, -0.55), (-0.4, -0.1), (0.4, -0.1), (0, -0.1)):
        draw.ellipse([at(x - 0.45, y - 0.45), at(x + 0.45, y + 0.45)], green)


CLASSES: dict[str, Pen] = {"fish": _fish, "house": _house, "tree": _tree}


def drawings() -> dict[str, Tensor]:
    """(EACH, 3, SIZE, SIZE) uint8 of each class."""
    rng = random.Random(0)
    return {name: torch.stack([_drawn(pen, rng) for _ in range(EACH)]) for name, pen in CLASSES.items()}


def _drawn(pen: Pen, rng: random.Random) -> Tensor:
    """One of them: somewhere about the middle, in any size, on a sky above a ground."""
    side = FINER * SIZE
    image = Image.new("RGB", (side, side), _color(rng, 150, 240))
    draw = ImageDraw.Draw(image)
    draw.rectangle([0, rng.uniform(0.5, 0.8) * side, side, side], _color(rng, 80, 200))
    size, x, y = rng.uniform(0.2, 0.36), rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.6)
    pen(draw, rng, lambda dx, dy: (side * (x + size * dx), side * (y + size * dy)))
    small = image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).contiguous()


def _color(rng: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return rng.randint(low, high), rng.randint(low, high), rng.randint(low, high)
