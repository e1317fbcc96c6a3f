"""How wide a model lets this machine train well."""

import torch

from vit.training.config import TrainConfig
from vit.training.trial import images_per_second
from vit.variants import create_model

WIDTHS = {128: 45_000, 96: 50_000, 64: 0}  # of vit_live, each with the images a run has to see for it to pay


def fitting_width(name: str, config: TrainConfig, device: torch.device, **shape) -> int:
    """The width of vit_live or vit_live_patch that learns most in config.minutes here; shape: of the model otherwise.

    The wider model learns more from an image, the narrower one sees more images; on a slow machine that is worth more.
    Measured on one core of an Intel Xeon, seed 0, 5,000 held-out images of CIFAR-10, by OMP_NUM_THREADS=1 python -m vit
    train --minutes 1 --precision fp32 --embed-dim WIDTH: 128 gave 66.3% (31,000 images seen), 64 gave 70.4% (77,000).
    """
    assert config.minutes is not None, "a run of epochs takes as long as it takes"
    for width, enough in WIDTHS.items():
        model = create_model(name, **shape, embed_dim=width).to(device)
        if 60 * config.minutes * images_per_second(model, config) >= enough:
            return width
    raise AssertionError("the last width asks for no images")
