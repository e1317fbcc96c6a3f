"""How fast this machine trains, found by trying for a second, and how wide a model that lets it train well."""

from dataclasses import replace

import torch
from torch import nn

from vit.data import Dataset
from vit.training.config import TrainConfig
from vit.training.loop import train
from vit.variants import create_model

SECONDS = 1.0
BATCH = 32  # of the trial at most: a large model's first full batch alone may take longer than a second
WIDTHS = {128: 45_000, 96: 50_000, 64: 0}  # of vit_live, each with the images a run has to see for it to pay


def images_per_second(model: nn.Module, config: TrainConfig) -> float:
    """Images that training the model with these settings manages, tried on noise; the weights are spent.

    Takes SECONDS, or two steps where those take longer.
    """
    shape, classes = model.config, model.config["num_classes"]
    generator = torch.Generator().manual_seed(0)
    size = (16 * BATCH, shape["in_chans"], shape["img_size"], shape["img_size"])
    images = torch.randint(256, size, generator=generator, dtype=torch.uint8)
    labels = torch.randint(classes, size[:1], generator=generator)
    noise = Dataset("noise", "train", images, labels, tuple(map(str, range(classes))), model.mean, model.std)
    batch_size = min(BATCH, config.batch_size)
    trial = replace(config, epochs=1e9, minutes=None, batch_size=batch_size, accumulate=1, compile=False)
    first = None
    for progress in train(model, noise, trial):
        first = first or progress  # the slowest, so not counted
        if progress is not first and progress.elapsed - first.elapsed >= SECONDS:
            break
    return (progress.step - first.step) * batch_size / (progress.elapsed - first.elapsed)


def fitting_width(name: str, config: TrainConfig, device: torch.device, **shape) -> int:
    """The width of vit_live or vit_live_patch that learns most in config.minutes here; shape: of the model otherwise.

    The wider model learns more from an image, the narrower one sees more images; on a slow machine that is worth more.
    Measured on one core of an Intel Xeon, seed 0, 5,000 held-out images of CIFAR-10, by OMP_NUM_THREADS=1 python -m vit
    train --minutes 1 --no-autocast --embed-dim WIDTH: 128 gave 66.3% (31,000 images seen), 64 gave 70.4% (77,000).
    """
    for width, enough in WIDTHS.items():
        model = create_model(name, **shape, embed_dim=width).to(device)
        if 60 * config.minutes * images_per_second(model, config) >= enough:
            return width
    raise AssertionError("the last width asks for no images")
