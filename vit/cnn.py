"""A small convolutional network that learns CIFAR-10 within the hour on two CPU cores: a teacher for a distilled ViT.

After Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv:2404.00498). It has no attention.
Only torch and the Classifier that the ViT is, too, are imported.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vit.model import Classifier, check_images

SMALLEST = 9  # pixels along an image's side; three poolings leave one of them


class Whitening(nn.Module):
    """Patches of 2 x 2 pixels by their principal components, each of variance 1: fixed filters, found and not learned.

    Each component comes with both signs, so that the activation after it loses neither half (Jordan 2024, 3.2). Before
    `fit` the filters are random. (B, C, H, W) -> (B, 8 * C, H - 1, W - 1).
    """

    filters: Tensor

    def __init__(self, in_chans: int):
        super().__init__()
        self.register_buffer("filters", torch.empty(8 * in_chans, in_chans, 2, 2))
        self.bias = nn.Parameter(torch.zeros(8 * in_chans))

    def fit(self, images: Tensor) -> None:
        """Finds the filters of images, (n, C, H, W); the same for the same images."""
        C = images.shape[1]  # not every GPU has float64
        patches = F.unfold(images.cpu().double(), 2).transpose(1, 2).reshape(-1, 4 * C)
        variance, components = torch.linalg.eigh(patches.T.cov())  # ascending
        scaled = (components / (variance + 5e-4).sqrt()).T.view(-1, C, 2, 2).flip(0)
        self.filters.copy_(torch.cat([scaled, -scaled]))

    def forward(self, images: Tensor) -> Tensor:
        return F.conv2d(images, self.filters, self.bias)


class ConvGroup(nn.Module):
    """Two 3 x 3 convolutions, the first one pooled by two. (B, C, H, W) -> (B, width, H/2, W/2)."""

    def __init__(self, in_chans: int, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_chans, width, 3, padding=1, bias=False)  # BatchNorm shifts anyway
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class CNN(Classifier):
    """Whitened patches, three groups of two convolutions, the maximum over what is left of the image, a linear head.

    width: channels of the second and third group; the first has a quarter of it. At 256 an image of 32 x 32 costs
    0.24 GFLOP, a trained one three times that.

    forward: images, normalized, (B, C, H, W) -> logits (B, num_classes). Wrong sizes raise ValueError.
    """

    def __init__(self, img_size: int = 32, in_chans: int = 3, num_classes: int = 10, width: int = 256):
        super().__init__({"img_size": img_size, "in_chans": in_chans, "num_classes": num_classes, "width": width})
        if img_size < SMALLEST:
            raise ValueError(
                f"A CNN halves the image three times, so img_size must be {SMALLEST} or more, got {img_size}."
            )
        if width < 4 or num_classes < 1:
            raise ValueError(f"width must be at least 4 and num_classes 1, got {width} and {num_classes}.")
        self.whitening = Whitening(in_chans)
        widths = (8 * in_chans, width // 4, width, width)
        self.blocks = nn.ModuleList(itertools.starmap(ConvGroup, itertools.pairwise(widths)))
        self.head = nn.Linear(width, num_classes)
        self.reset_parameters()

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draws all weights anew, the same from a generator of the same state; None is torch's global one.

        A convolution begins by passing its input on, as far as it has as many channels (Jordan 2024, 3.1).
        """
        nn.init.normal_(self.whitening.filters, std=0.3, generator=generator)
        nn.init.zeros_(self.whitening.bias)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=5**0.5, generator=generator)
                nn.init.dirac_(module.weight.data[: module.in_channels])
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
        nn.init.trunc_normal_(self.head.weight, std=0.02, generator=generator)
        nn.init.zeros_(self.head.bias)

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        self.whitening.fit(images)

    def read_out(self, images: Tensor) -> Tensor:
        """What the head is applied to: images, normalized, (B, C, H, W) -> (B, width)."""
        check_images(images, self.config["in_chans"], self.config["img_size"])
        # oneDNN and cuDNN run these convolutions several times faster when the channels lie innermost.
        x = F.gelu(self.whitening(images.contiguous(memory_format=torch.channels_last)))
        for block in self.blocks:
            x = block(x)
        return x.amax(dim=(2, 3))

    def logits_of(self, x: Tensor) -> Tensor:
        """Logits from what the head reads, (B, width) -> (B, num_classes)."""
        return self.head(x)

    def forward(self, images: Tensor) -> Tensor:
        return self.logits_of(self.read_out(images))
