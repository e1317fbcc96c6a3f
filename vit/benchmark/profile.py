"""Where a training step's time goes, by kind of operation, beside what the machine's matrix products could do."""

import os
from collections import defaultdict
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from vit.benchmark.machine import teraflops
from vit.data import Dataset, batches
from vit.device import now
from vit.model import Classifier
from vit.training.config import TrainConfig
from vit.training.state import TrainState
from vit.training.step import step
from vit.training.trial import settle

WARMUP = 3  # steps
KINDS = {  # of an operation, by parts of its name; the first that fits
    "convolutions": ("conv",),
    "attention": ("scaled_dot_product", "bmm", "softmax"),
    "matrix products": ("mm", "linear", "matmul"),
    "norms": ("norm",),
    "pooling": ("pool",),
    "gather, draw and sort": ("index", "gather", "scatter", "topk", "sort", "rand", "bernoulli", "arange"),
    "copies": ("copy", "clone", "contiguous", "cat", "stack", "to_copy", "memcpy"),
    "fills": ("fill", "zero", "ones", "empty", "memset"),
    "single values": ("gelu", "relu", "threshold", "add", "sub", "mul", "div", "where", "sum", "mean", "lerp", "exp"),
}
FUSED = {  # attention on a CPU, which FlopCounterMode doesn't know; shapes in, operations out
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: (
        lambda out, q, k, v, *_, **__: sdpa_backward_flop_count(out, q, k, v)
    ),
}
REST, BETWEEN = "other operations", "between operations"


@dataclass(frozen=True)
class Share:
    """Of a step: milliseconds that one kind of operation takes, and 10^9 floating-point operations counted in it."""

    kind: str
    milliseconds: float
    gigaflops: float | None = None


@dataclass(frozen=True)
class Profile:
    """milliseconds: of a step of so many images. ceiling: 10^12 operations a second of a large matrix product."""

    model: str
    precision: str
    images: int
    milliseconds: float
    ceiling: float
    shares: list[Share]

    @property
    def gigaflops(self) -> float:
        return sum(share.gigaflops or 0 for share in self.shares)

    @property
    def of_ceiling(self) -> float:
        """What the step reaches of the machine's matrix products, in [0, 1]."""
        return self.gigaflops / self.milliseconds / self.ceiling

    def __str__(self) -> str:
        lines = [
            f"A step of {self.images} images of {self.model} in {self.precision}: {self.milliseconds:.1f} ms, "
            f"{1000 * self.images / self.milliseconds:,.0f} images/s, {self.gigaflops:.1f} GFLOP counted, that is "
            f"{self.gigaflops / self.milliseconds:.3g} TFLOP/s, {self.of_ceiling:.0%} of the {self.ceiling:.3g} of a "
            "large matrix product.",
            "",
            "| kind of operation | ms a step | share | GFLOP | TFLOP/s |",
            "| --- | --- | --- | --- | --- |",
        ]
        for share in self.shares:
            counted = ("", "")
            if share.gigaflops is not None:
                counted = (f"{share.gigaflops:.2f}", f"{share.gigaflops / share.milliseconds:.3g}")
            part = share.milliseconds / self.milliseconds
            lines.append(f"| {share.kind} | {share.milliseconds:.1f} | {part:.0%} | {' | '.join(counted)} |")
        return "\n".join(lines)


def profile(name: str, model: Classifier, config: TrainConfig, train_set: Dataset, steps: int) -> Profile:
    """Of so many steps of a run of this model and config, batches and optimizers included.

    The profiler makes a step some percent slower; the step's own time is measured without it.
    """
    device = next(model.parameters()).device
    train_set = train_set.to(device)
    model.classes, model.mean, model.std = train_set.classes, train_set.mean, train_set.std
    state = TrainState(model.train(), config)
    precision = settle(state, config).name

    def run(count: int) -> None:
        source = batches(train_set, config.batch_size, seed=0, epoch=state.step, crop=config.crop, flip=config.flip)
        for _, (images, labels) in zip(range(count), source):
            step(state, config, images, labels, config.lr / 100)

    run(WARMUP)
    before = now(device)
    run(steps)
    milliseconds = 1000 * (now(device) - before) / steps
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the profiler calls it an error that there is no GPU
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.type == "cuda" else [])
    with torch.profiler.profile(activities=activities, acc_events=True) as recorded:
        run(steps)
        now(device)
    taken = _by_kind(recorded.events(), steps, device.type == "cuda")
    scale = min(1.0, milliseconds / sum(taken.values()))  # what the profiler adds is added to each
    counted = _counted(state, run)
    shares = [
        Share(kind, scale * taken[kind], counted.get(kind)) for kind in sorted(taken, key=taken.__getitem__)[::-1]
    ]
    shares.append(Share(BETWEEN, milliseconds - scale * sum(taken.values())))
    return Profile(name, precision, config.batch_size, milliseconds, teraflops(device, precision), shares)


def _by_kind(events, steps: int, on_gpu: bool) -> dict[str, float]:
    """Milliseconds a step, of the operations themselves, without those that they call."""
    taken: dict[str, float] = defaultdict(float)
    for event in events:
        if event.device_type != torch.autograd.DeviceType.CPU:
            continue  # a GPU's kernel, whose time the operation that started it has
        microseconds = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        taken[_kind(event)] += microseconds / 1000 / steps
    return {kind: milliseconds for kind, milliseconds in taken.items() if milliseconds > 0}


def _kind(event) -> str:
    above = event
    while above is not None:
        if above.name.startswith("Optimizer.step#"):
            return above.name.removeprefix("Optimizer.step#").removesuffix(".step")
        above = above.cpu_parent
    return _kind_of(event.name)


def _kind_of(operation: str) -> str:
    name = operation.lower()
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), REST)


def _counted(state: TrainState, run) -> dict[str, float]:
    """10^9 floating-point operations of a step, by kind: a multiplication and an addition are two."""
    parts: dict[str, float] = {}
    for optimizer in state.optimizers:
        with FlopCounterMode(display=False, custom_mapping=FUSED) as counter:
            optimizer.step()
        if flops := counter.get_total_flops():
            parts[type(optimizer).__name__] = flops / 1e9
    with FlopCounterMode(display=False, custom_mapping=FUSED) as counter:
        run(1)
    by_operation = counter.get_flop_counts()["Global"]
    for operation, flops in by_operation.items():
        kind = _kind_of(str(operation))
        parts[kind] = parts.get(kind, 0.0) + flops / 1e9
    matrices = sum(parts.get(type(optimizer).__name__, 0.0) for optimizer in state.optimizers)
    parts["attention"] = parts.get("attention", 0.0) - matrices  # an optimizer's products are batched ones, too
    return {kind: flops for kind, flops in parts.items() if flops > 0}
