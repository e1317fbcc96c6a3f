"""The trial of the machine: it counts what it did, and the preset's width follows from it."""

import pytest
import torch

from vit import ViT
from vit.training import presets
from vit.training.config import TrainConfig

CPU = torch.device("cpu")


@pytest.mark.benchmark
def test_a_smaller_model_is_found_to_train_faster(judge):
    small, large = ({"embed_dim": width, "depth": 2, "num_heads": 2} for width in (16, 256))
    config = TrainConfig(minutes=2, batch_size=8)
    rates = [presets.images_per_second(ViT(**shape), config) for shape in (small, large)]
    assert min(rates) > 0
    judge(rates[0] > 2 * rates[1], f"the small model made {rates[0]:.0f} images a second, the large one {rates[1]:.0f}")


@pytest.mark.parametrize(("rates", "width"), [((1500, 1800, 2500), 128), ((350, 450, 800), 96), ((200, 300, 500), 64)])
def test_a_slower_machine_trains_a_narrower_preset(monkeypatch, rates, width):
    here = dict(zip(presets.WIDTHS, rates, strict=True))
    monkeypatch.setattr(presets, "images_per_second", lambda model, config: here[model.config["embed_dim"]])
    assert presets.fitting_width("vit_live", TrainConfig(minutes=2), CPU) == width
    assert presets.fitting_width("vit_live", TrainConfig(minutes=200), CPU) == 128
