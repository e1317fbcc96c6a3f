"""What can be done to a picture to see whether a model still knows it: each by a number, 0 leaves it as it is.

torchvision is imported with the first change: it takes seconds, for which the page's start would have to wait.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

KERNEL = 9  # pixels of the blur


def noisy(pixels: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Pixels (..., H, W) uint8 with Gaussian noise of so many of 255 in standard deviation."""
    draw = torch.randn(pixels.shape, generator=generator)
    return (pixels + deviation * draw).round().clamp(0, 255).to(torch.uint8)


def blurred(pixels: Tensor, sigma: float) -> Tensor:
    """Pixels (..., H, W) uint8 under a Gaussian of so many pixels in standard deviation."""
    from torchvision.transforms import functional

    return functional.gaussian_blur(pixels, KERNEL, sigma)


def saved(picture: Tensor, quality: int) -> Tensor:
    """A picture (3, H, W) uint8 as JPEG and back, color at half of each side (4:2:0)."""
    from torchvision.io import decode_image, encode_jpeg

    return decode_image(encode_jpeg(picture, quality))


class Limit(NamedTuple):
    """A change's name, what it is called, its unit, the numbers it takes, and the step between them."""

    name: str
    title: str
    unit: str
    low: float
    high: float
    step: float


LIMITS = {
    limit.name: limit
    for limit in (
        Limit("noise", "Noise", " of 255", 0, 80, 1),
        Limit("blur", "Blur", " px", 0, 3, 0.1),
        Limit("jpeg", "JPEG loss", "%", 0, 99, 1),
        Limit("brightness", "Brightness", "%", -90, 150, 5),
        Limit("rotation", "Rotation", "°", -180, 180, 1),
        Limit("right", "Shift right", " px", -16, 16, 1),
        Limit("down", "Shift down", " px", -16, 16, 1),
    )
}


def change(pixels: Tensor, numbers: Mapping[str, float], fill: tuple[int, ...]) -> Tensor:
    """A picture (3, H, W) uint8, changed: moved and turned first, then made bright, blurred, noisy, and compressed.

    numbers: by name of LIMITS; what is not named stays. noise: standard deviation, the same draw each time. blur:
    standard deviation in pixels. jpeg: how much of quality 100 is gone. fill: the color of what comes in from outside.
    Raises ValueError on a name or number that is out of its limits.
    """
    for name, number in numbers.items():
        if name not in LIMITS or not LIMITS[name].low <= number <= LIMITS[name].high:
            known = ", ".join(f"{limit.name} {limit.low:g} to {limit.high:g}" for limit in LIMITS.values())
            raise ValueError(f"Expected one of {known}; got {name} {number}.")
    from torchvision.transforms import InterpolationMode, functional

    by = {**dict.fromkeys(LIMITS, 0), **numbers}
    if by["rotation"] or by["right"] or by["down"]:
        shift = [round(by["right"]), round(by["down"])]
        between = InterpolationMode.BILINEAR if by["rotation"] else InterpolationMode.NEAREST
        pixels = functional.affine(pixels, by["rotation"], shift, 1.0, [0.0], between, list(fill))
    if by["brightness"]:
        pixels = functional.adjust_brightness(pixels, 1 + by["brightness"] / 100)
    if by["blur"]:
        pixels = blurred(pixels, by["blur"])
    if by["noise"]:
        pixels = noisy(pixels, by["noise"], torch.Generator().manual_seed(0))
    if by["jpeg"]:
        pixels = saved(pixels, 100 - round(by["jpeg"]))
    return pixels
