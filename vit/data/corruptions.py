"""Common corruptions of small pictures, each in three severities, after Hendrycks & Dietterich 2019 (arXiv:1903.12261).

All take and give images (B, 3, H, W) uint8 and a severity of 1, 2 or 3; what is random comes from a generator.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import functional

from vit.data.changes import blurred, noisy, saved

SEVERITIES = (1, 2, 3)


def noise(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Gaussian noise of standard deviation 10, 20 or 30 of 255."""
    return noisy(images, 10 * severity, generator)


def blur(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Gaussian blur of standard deviation 0.5, 1 or 1.5 pixels."""
    return blurred(images, 0.5 * severity)


def jpeg(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """JPEG and back, with quality 75, 30 or 10 and color at half of each side (4:2:0)."""
    quality = (75, 30, 10)[severity - 1]
    return torch.stack([saved(image, quality) for image in images])


def brightness(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """All pixels times 1.25, 1.5 or 1.75, cut at white."""
    return functional.adjust_brightness(images, 1 + 0.25 * severity)


def contrast(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Differences from the picture's mean gray times 0.6, 0.4 or 0.2."""
    return functional.adjust_contrast(images, (0.6, 0.4, 0.2)[severity - 1])


def occlusion(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """A gray square over a quarter, three eighths or half of the side, anywhere within the picture."""
    B, _, H, W = images.shape
    side = (2 + severity - 1) * H // 8
    covered = torch.ones(B, 1, H, W, dtype=torch.bool)
    for size, shape in ((H, (B, 1, H, 1)), (W, (B, 1, 1, W))):
        start = torch.randint(size - side + 1, (B, 1), generator=generator)
        place = torch.arange(size)
        covered &= ((place >= start) & (place < start + side)).view(shape)
    return images.masked_fill(covered, 128)


def shift(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Moved by 1, 2 or 3 pixels along both axes, each picture towards a corner that is drawn; its edge is repeated."""
    B, _, H, W = images.shape
    padded = functional.pad(images, [severity], padding_mode="edge")
    corners = (2 * severity * torch.randint(2, (B, 2), generator=generator)).tolist()
    return torch.stack([image[:, y : y + H, x : x + W] for image, (y, x) in zip(padded, corners, strict=True)])


CORRUPTIONS: dict[str, Callable[[Tensor, int, torch.Generator], Tensor]] = {
    corruption.__name__: corruption for corruption in (noise, blur, jpeg, brightness, contrast, occlusion, shift)
}
