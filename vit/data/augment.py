"""Augmentation of a whole batch at once, on its device. Imports nothing but torch.

images: (B, C, H, W), normalized floats, but for `degrade`. targets: (B, classes), rows sum to 1. Draws come from a
generator on the CPU, so that they are the same on every device; where they are many they are made on the device, from a
generator that this one seeds. What comes in is not changed, and cuda is not waited for.
"""

import torch
from torch import Tensor

from vit.data.jpeg import jpeg


def mixup(images: Tensor, targets: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Blends every image and its target with another one's (Zhang et al. 2018, arXiv:1710.09412).

    alpha > 0: of the Beta(alpha, alpha) distribution that the batch's share is drawn from.
    """
    share, partner = _beta(alpha, generator), _partners(images, generator)
    return share * images + (1 - share) * images[partner], share * targets + (1 - share) * targets[partner]


def cutmix(images: Tensor, targets: Tensor, alpha: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pastes a box of another image into every image (Yun et al. 2019, arXiv:1905.04899).

    alpha > 0: of the Beta(alpha, alpha) distribution that the area outside the box is drawn from. The targets are
    mixed by the area that the box really has after it was cut at the border.
    """
    H, W = images.shape[2:]
    side, partner = (1 - _beta(alpha, generator)) ** 0.5, _partners(images, generator)
    top, bottom = _box(H, side, generator)
    left, right = _box(W, side, generator)
    images = images.clone()
    images[:, :, top:bottom, left:right] = images[partner, :, top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / (H * W)
    return images, share * targets + (1 - share) * targets[partner]


def random_erasing(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Replaces a box of some images by noise (Zhong et al. 2020, arXiv:1708.04896).

    probability: of each image, in [0, 1]. A box covers 2% to 33% of the picture, its sides' ratio is 1:3 to 3:1.
    """
    B, C, H, W = images.shape
    erased = torch.rand(B, generator=generator) < probability
    area = H * W * torch.empty(B).uniform_(0.02, 0.33, generator=generator)
    ratio = torch.empty(B).uniform_(-1, 1, generator=generator).mul(torch.tensor(3.0).log()).exp()
    device = images.device
    noise = torch.randn(B, C, H, W, generator=on_device(generator, device), device=device)
    inside = _sent(erased, device)[:, None, None].expand(B, H, W)
    for size, length, axis in ((H, (area * ratio).sqrt(), 1), (W, (area / ratio).sqrt(), 2)):
        length = length.round().clamp(1, size)
        start = (torch.rand(B, generator=generator) * (size - length + 1)).floor()
        first, end = _sent(torch.stack([start, start + length]), device)[..., None]
        place = torch.arange(size, device=device)
        along = (place >= first) & (place < end)  # (B, size)
        inside = inside & along.unsqueeze(3 - axis)
    return torch.where(inside[:, None], noise.to(images), images)


def degrade(images: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """Makes some pictures a little worse, as phones and the web do: each by blur, by noise or by JPEG.

    images: pixels, (B, C, H, W) uint8. Returns floats in [0, 1]. probability: of each image, in [0, 1]. Blur is
    Gaussian of 0.3 to 1.3 pixels, noise of up to 20 of 255 in standard deviation, JPEG's quality 40 to 95.
    """
    B, _, H, W = images.shape
    device, pixels = images.device, images.float()
    draws = _sent(torch.rand(3, B, generator=generator), device)
    kind = torch.where(draws[0] < probability, (3 * draws[1]).floor(), 3.0).view(B, 1, 1, 1)
    strength = draws[2].view(B, 1, 1)
    blurred = _blurring(H, 0.3 + strength)[:, None] @ pixels @ _blurring(W, 0.3 + strength)[:, None].mT
    noise = torch.randn(pixels.shape, generator=on_device(generator, device), device=device)
    noisy = (pixels + 20 * strength[..., None] * noise).clamp(0, 255)
    saved = jpeg(pixels, 40 + 55 * draws[2])
    for i, worse in enumerate((blurred, noisy, saved)):
        pixels = torch.where(kind == i, worse, pixels)
    return pixels / 255


def _blurring(size: int, sigma: Tensor) -> Tensor:
    """(B, 1, 1) to (B, size, size), rows of which a Gaussian's weights for a pixel, cut at the border, sum to 1."""
    place = torch.arange(size, device=sigma.device)
    weights = torch.exp(-((place - place[:, None]) ** 2) / (2 * sigma**2))
    return weights / weights.sum(2, keepdim=True)


def on_device(generator: torch.Generator, device: torch.device) -> torch.Generator:
    """For draws too many to send: on a CPU the generator itself, elsewhere one that it seeds."""
    if device.type == "cpu":
        return generator
    return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=generator)))


def _sent(draws: Tensor, device: torch.device) -> Tensor:
    return draws.to(device, non_blocking=device.type == "cuda")  # MPS would read what is freed by then


def color_jitter(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Scales every image's brightness, contrast and saturation by factors of its own in 1 - strength .. 1 + strength.

    strength: in [0, 1]. Works on normalized images: brightness shifts by standard deviations, contrast scales about
    the image's mean, saturation about each pixel's.
    """
    draws = torch.empty(3, len(images), 1, 1, 1).uniform_(-strength, strength, generator=generator)
    brightness, contrast, saturation = _sent(draws, images.device).to(images.dtype)
    gray = images.mean(dim=1, keepdim=True)
    images = gray + (1 + saturation) * (images - gray)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (1 + contrast) * (images - mean) + brightness


def _beta(alpha: float, generator: torch.Generator) -> float:
    # numpy's and torch's Beta take no torch generator; a ratio of Gammas does the same, through Dirichlet.
    return torch._sample_dirichlet(torch.full((1, 2), float(alpha)), generator=generator)[0, 0].item()


def _partners(images: Tensor, generator: torch.Generator) -> Tensor:
    return _sent(torch.randperm(len(images), generator=generator), images.device)


def _box(size: int, share: float, generator: torch.Generator) -> tuple[int, int]:
    """Start and end of an interval of that share of the size about a uniform center, cut at the border."""
    center = torch.randint(size, (), generator=generator).item()
    half = round(size * share) / 2
    return max(0, int(center - half)), min(size, int(center + half))
