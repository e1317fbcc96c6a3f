"""A GPU never waits for its host: a step is queued without reading anything, and the loop reads every few steps."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from vit import vit_live, vit_live_patch
from vit.precision import Precision
from vit.training import TrainConfig, loop, reading, train
from vit.training.reading import READ_EVERY, Numbers, Sent
from vit.training.state import TrainState
from vit.training.step import step

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
SMALL = {"embed_dim": 32, "depth": 2}


@needs_gpu
@pytest.mark.parametrize("build", [vit_live, vit_live_patch])
def test_a_step_with_every_augmentation_never_waits_for_the_gpu(build):
    device = torch.device("cuda")
    model = build(**SMALL).to(device).train()
    model.classes = tuple("abcdefghij")
    images = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8, device=device)
    labels = torch.randint(10, (64,), device=device)
    augmented = {"mixup": 0.5, "cutmix": 0.5, "erase": 0.5, "color": 0.5, "degrade": 0.5, "ema": 0.9}
    config = TrainConfig(epochs=1, batch_size=64, precision="bf16", **augmented)
    state = TrainState(model, config)
    state.compute_in(Precision("bf16"))
    step(state, config, images, labels, 1e-3).tolist()  # kernels are loaded
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(5):
            step(state, config, images, labels, 1e-3)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@needs_gpu
def test_a_run_from_one_step_to_the_next_never_waits_for_the_gpu(shapes):
    few, config = shapes.train.take(slice(640)), TrainConfig(epochs=1, batch_size=32, ema=0.9, precision="bf16")
    steps = train(vit_live(**SMALL).to("cuda"), few, config)
    for _ in range(2):
        next(steps)  # the epoch's order is drawn, kernels are loaded
    torch.cuda.set_sync_debug_mode("error")
    try:
        losses = [next(steps).loss for _ in range(12)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(set(losses)) == 3


class Asked(TorchDispatchMode):
    """Counts what would make a host wait for its GPU: numbers that are read, and shapes that depend on values."""

    NAMES = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "is_nonzero", "equal")

    def __init__(self):
        super().__init__()
        self.asked: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        self.asked += [name] if name in self.NAMES else []
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_a_step_reads_nothing(optimizer):
    """On a CPU, by counting; mixing is left out, whose draws are the host's own."""
    model = vit_live(**SMALL).train()
    model.classes = tuple("abcdefghij")
    images, labels = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8), torch.randint(10, (8,))
    config = TrainConfig(epochs=1, batch_size=8, ema=0.9, optimizer=optimizer, precision="fp32")
    state = TrainState(model, config)
    with Asked() as counting:
        measured = step(state, config, images, labels, 1e-3)
        assert counting.asked == []
        measured[0].item()
    assert counting.asked == ["_local_scalar_dense"], "counting counts"


@pytest.mark.parametrize(("every", "readings"), [(1, 20), (READ_EVERY, 5)])
def test_the_loop_reads_at_each_step_of_a_cpu_and_every_few_of_a_gpu(shapes, monkeypatch, every, readings):
    read = []
    monkeypatch.setattr(loop, "steps_between", lambda device: every)
    monkeypatch.setattr(Sent, "values", lambda sent: read.append(1) or sent.numbers.tolist())
    config = TrainConfig(epochs=1, batch_size=32, precision="fp32")
    losses = [progress.loss for progress in train(vit_live_patch(**SMALL), shapes.train.take(slice(640)), config)]
    assert (len(losses), len(read)) == (20, readings)
    assert len(set(losses)) == (20 if every == 1 else 5), "of steps 1, 5, 9, 13 and the last"


def test_a_cpu_is_read_at_each_step_and_any_gpu_every_few():
    kinds = {kind: reading.steps_between(torch.device(kind)) for kind in ("cpu", "cuda", "mps", "xpu")}
    assert kinds == {"cpu": 1, "cuda": READ_EVERY, "mps": READ_EVERY, "xpu": READ_EVERY}


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_numbers_are_read_as_late_as_they_are_rare(device):
    for every, expected in ((1, [0, 1, 2, 3, 4, 5, 6]), (2, [0, 0, 0, 0, 2, 2, 4])):
        numbers = Numbers(every)
        assert [numbers.read(torch.tensor([float(i), 0.0], device=device))[0] for i in range(7)] == expected


def test_where_several_processes_train_for_minutes_the_first_ones_clock_is_asked_as_rarely(monkeypatch):
    asked = []
    monkeypatch.setattr(reading.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(
        reading.distributed, "broadcast_object_list", lambda told: asked.append(told[0]) or told.__setitem__(0, 7.0)
    )
    clock = reading.Clock(reading.Stopwatch(), TrainConfig(minutes=1), every=4)
    assert [clock.read() for _ in range(8)] == [7.0] * 8 and len(asked) == 2
    assert reading.Clock(reading.Stopwatch(), TrainConfig(epochs=1), every=4).read() == 0 and len(asked) == 2
