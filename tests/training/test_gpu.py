"""On a GPU: a step is queued without waiting for the one before."""

import pytest
import torch

from vit import vit_live, vit_live_patch
from vit.precision import Precision
from vit.training import TrainConfig
from vit.training.loop import Numbers
from vit.training.state import TrainState
from vit.training.step import step

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@needs_gpu
@pytest.mark.parametrize("build", [vit_live, vit_live_patch])
def test_a_step_with_every_augmentation_never_waits_for_the_gpu(build):
    device = torch.device("cuda")
    model = build(embed_dim=32, depth=2).to(device).train()
    model.classes = tuple("abcdefghij")
    images = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8, device=device)
    labels = torch.randint(10, (64,), device=device)
    augmented = {"mixup": 0.5, "cutmix": 0.5, "erase": 0.5, "color": 0.5, "degrade": 0.5, "ema": 0.9}
    config = TrainConfig(epochs=1, batch_size=64, precision="bf16", **augmented)
    state, numbers = TrainState(model, config), Numbers()
    state.compute_in(Precision("bf16"))
    numbers.read(step(state, config, images, labels, 1e-3))  # kernels are loaded
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            step(state, config, images, labels, 1e-3)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_numbers_are_read_a_step_late_on_a_gpu_and_at_once_elsewhere(device):
    numbers = Numbers()
    read = [numbers.read(torch.tensor([float(i), 0.0], device=device))[0] for i in range(4)]
    assert read == ([0, 1, 2, 3] if device == "cpu" else [0, 0, 1, 2])
