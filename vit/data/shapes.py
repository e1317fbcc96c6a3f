"""Shapes: ten classes of drawn 32x32 scenes, each with the true mask of its object. Needs no network.

An outline is a signed distance field (Inigo Quilez, "2D distance functions"): negative inside, positive outside,
in units of the object's radius. One call draws a class for a whole batch of scenes.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

SIZE = 32
MEAN = (0.345, 0.345, 0.345)
STD = (0.226, 0.226, 0.226)


def _length(x: Tensor, y: Tensor) -> Tensor:
    return (x * x + y * y).sqrt()


def _box(x: Tensor, y: Tensor, half_width: float, half_height: float) -> Tensor:
    return torch.maximum(x.abs() - half_width, y.abs() - half_height)


def _fold(x: Tensor, y: Tensor, times: int) -> tuple[Tensor, Tensor]:
    """Turn every point into the one sector about the upward axis that an n-fold symmetric outline repeats."""
    sector = 2 * math.pi / times
    angle = torch.atan2(x, y)
    angle = angle - sector * (angle / sector).round()
    radius = _length(x, y)
    return radius * angle.sin(), radius * angle.cos()


def _arrow(x: Tensor, y: Tensor) -> Tensor:
    head = torch.maximum(-y, (x.abs() + y) * math.sqrt(0.5) - 0.65)
    return torch.minimum(head, _box(x, y + 0.45, 0.26, 0.5))


def _circle(x: Tensor, y: Tensor) -> Tensor:
    return _length(x, y) - 0.85


def _cross(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(_box(x, y, 0.92, 0.28), _box(x, y, 0.28, 0.92))


def _flower(x: Tensor, y: Tensor) -> Tensor:
    x, y = _fold(x, y, 5)
    return torch.minimum(_length(x, y - 0.62) - 0.32, _length(x, y) - 0.42)


def _heart(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.abs(), y + 0.2
    diamond = (x + y.abs() - 0.75) * math.sqrt(0.5)
    lobe = _length(x - 0.375, y - 0.375) - 0.75 * math.sqrt(0.5)
    return torch.minimum(diamond, lobe)


def _moon(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(_length(x, y) - 0.92, 0.76 - _length(x - 0.5, y))


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (_length(x, y) - 0.66).abs() - 0.24


def _square(x: Tensor, y: Tensor) -> Tensor:
    return _box(x, y, 0.74, 0.74)


def _star(x: Tensor, y: Tensor) -> Tensor:
    x, y = _fold(x, y, 5)
    return x.abs() * math.cos(0.42) + (y - 1.0) * math.sin(0.42)


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    x, y = _fold(x, -y - 0.12, 3)
    return y - 0.5


# class: (outline, how far it may be turned either way, in radians)
OUTLINES = {
    "arrow": (_arrow, 1.0),
    "circle": (_circle, 0.0),
    "cross": (_cross, 0.4),
    "flower": (_flower, math.pi),
    "heart": (_heart, 0.4),
    "moon": (_moon, math.pi),
    "ring": (_ring, 0.0),
    "square": (_square, 0.4),
    "star": (_star, 0.4),
    "triangle": (_triangle, 0.4),
}
CLASSES = tuple(OUTLINES)


def read(progress: Callable[..., object]) -> dict[str, Tensor]:
    """10,000 scenes to learn from and 2,000 to test on: images, labels and masks under "train.images" and so on.

    progress: called as progress(fraction, desc=...).
    """
    tensors: dict[str, Tensor] = {}
    for split, count, seed, done in (("train", 10_000, 0, 0.0), ("test", 2_000, 1, 10 / 12)):
        progress(done, desc="Drawing Shapes")
        tensors |= zip((f"{split}.{part}" for part in ("images", "labels", "masks")), draw(count, seed), strict=True)
    return tensors


def draw(count: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Draw `count` scenes, as many of each class as of any other, in random order.

    Returns images (n, 3, 32, 32) uint8, labels (n,) int64 and masks (n, 32, 32) bool, True on the object.
    The same seed draws the same scenes.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % len(CLASSES)
    images = torch.empty(count, 3, SIZE, SIZE, dtype=torch.uint8)
    masks = torch.empty(count, SIZE, SIZE, dtype=torch.bool)
    for label, name in enumerate(CLASSES):
        here = labels == label
        images[here], masks[here] = _draw_class(name, int(here.sum()), generator)
    order = torch.randperm(count, generator=generator)
    return images[order], labels[order], masks[order]


def _draw_class(name: str, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    outline, turn = OUTLINES[name]

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, 1, 1, generator=generator)

    radius = uniform(8.5, 13.0)
    slack = SIZE / 2 - 1 - radius  # the object stays a pixel inside the frame
    center_x, center_y = uniform(-1, 1) * slack, uniform(-1, 1) * slack
    angle = uniform(-turn, turn)

    pixel = torch.arange(SIZE) - (SIZE - 1) / 2
    x, y = pixel.view(1, 1, SIZE), -pixel.view(1, SIZE, 1)  # y points up
    local_x, local_y = _rotate(x - center_x, y - center_y, angle)
    distance = outline(local_x / radius, local_y / radius) * radius  # in pixels
    cover = (0.5 - distance).clamp(0, 1)

    # Lit objects on dark ground, in any two hues: color tells where the object is, never what.
    foreground = _texture(local_x, local_y, uniform(0.6, 0.85), uniform)
    background = _texture(x, y, uniform(0.15, 0.35), uniform)
    scene = torch.lerp(background, foreground, cover[:, None])
    return (scene * 255).round().clamp(0, 255).to(torch.uint8), distance < 0


def _rotate(x: Tensor, y: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    return x * angle.cos() + y * angle.sin(), y * angle.cos() - x * angle.sin()


def _texture(x: Tensor, y: Tensor, lightness: Tensor, uniform) -> Tensor:
    """Stripes, checks, dots or soft waves in two neighboring colors: (n, 3, 32, 32) in [0, 1]."""
    u, v = _rotate(x, y, uniform(0, math.pi))
    frequency = uniform(0.15, 1.1)
    crossed = uniform(0, 1) < 0.5
    wave = (u * frequency + uniform(0, 6)).cos()
    wave = wave * torch.where(crossed, (v * frequency + uniform(0, 6)).cos(), 1.0)
    wave = (wave * uniform(0.5, 4)).clamp(-1, 1)

    hue, saturation, contrast = uniform(0, 1), uniform(0.3, 0.9), uniform(0.0, 0.06)
    low = _color(hue, saturation, lightness - contrast)
    high = _color(hue + uniform(-0.1, 0.1), saturation, lightness + contrast)
    return torch.lerp(low, high, (wave[:, None] + 1) / 2)


def _color(hue: Tensor, saturation: Tensor, lightness: Tensor) -> Tensor:
    """(n, 1, 1) each -> (n, 3, 1, 1) RGB; hue in turns, a smooth cousin of HSL."""
    phase = 2 * math.pi * (hue[:, None] - torch.arange(3).view(1, 3, 1, 1) / 3)
    swing = saturation * torch.minimum(lightness, 1 - lightness)
    return lightness[:, None] + swing[:, None] * phase.cos()
