"""JPEG's loss without its file: what quantization leaves of a picture, for whole batches on any device.

ITU-T T.81 (1992): Y'CbCr, color at half of each side (4:2:0), cosine transform of blocks of 8 x 8, division by the
tables of its Annex K scaled by the quality as libjpeg does, rounding, and back. Imports nothing but torch.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 8  # of a block
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * SIDE for _ in range(4)),
)
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))  # its inverse
COSINES = tuple(  # of the transform of a row, frequency by frequency
    tuple(math.sqrt((2 if k else 1) / SIDE) * math.cos((2 * n + 1) * k * math.pi / (2 * SIDE)) for n in range(SIDE))
    for k in range(SIDE)
)


def jpeg(images: Tensor, quality: Tensor) -> Tensor:
    """What a decoder gives back of pixels (B, C, H, W), floats in 0 to 255, each saved in a quality of its own.

    quality: (B,), 1 to 100. Three channels are RGB; others are each saved as gray. The result is not rounded.
    """
    _, C, H, W = images.shape
    whole = 2 * SIDE  # two blocks along a side share one of color
    planes = F.pad(images, (0, -W % whole, 0, -H % whole), mode="replicate") - 128
    scale = (torch.where(quality < 50, 50 / quality, 2 - quality / 50)).view(-1, 1, 1, 1, 1, 1)
    if C != 3:
        return (_quantized(planes, LUMINANCE, scale) + 128)[..., :H, :W].clamp(0, 255)
    to_ycc = _constant(TO_YCC, images)
    y, color = torch.einsum("dc,bchw->bdhw", to_ycc, planes).split([1, 2], dim=1)
    y = _quantized(y, LUMINANCE, scale)
    color = _quantized(F.avg_pool2d(color, 2), CHROMINANCE, scale)
    color = F.interpolate(color, scale_factor=2, mode="bilinear")  # what libjpeg calls fancy upsampling
    to_rgb = _constant(TO_RGB, images)
    return (torch.einsum("cd,bdhw->bchw", to_rgb, torch.cat([y, color], dim=1)) + 128)[..., :H, :W].clamp(0, 255)


def _quantized(planes: Tensor, table: tuple[tuple[int, ...], ...], scale: Tensor) -> Tensor:
    """(B, C, H, W), H and W multiples of 8, through the transform, rounding and back."""
    dct = _constant(COSINES, planes)
    steps = (_constant(table, planes) * scale).round().clamp(1, 255)
    blocks = planes.unflatten(3, (-1, SIDE)).unflatten(2, (-1, SIDE)).transpose(3, 4)  # (B, C, H/8, W/8, 8, 8)
    frequencies = (dct @ blocks @ dct.T / steps).round() * steps
    return (dct.T @ frequencies @ dct).transpose(3, 4).flatten(4).flatten(2, 3)


def _constant(values: Sequence[Sequence[float]], like: Tensor) -> Tensor:
    constants = torch.tensor(values, dtype=like.dtype)
    return constants.to(like.device, non_blocking=like.is_cuda)  # MPS would read what is freed by then
