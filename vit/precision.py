"""In which precision to compute: the one that a short trial of the real work finds fastest on this device."""

import math
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CHOICES = ("auto", *DTYPES)
SECONDS = 0.5  # of a trial in each precision
FIRST, FEW = 2, 8  # images of the first step, of which batch norm may see one pixel each, and of the second
PATIENCE = 1.0  # seconds for FIRST images, twice, where that took less in float32: kernels are loaded meanwhile
HOPELESS = 4  # times as long as in float32 for a matrix product: arithmetic that this device only emulates
SIDE = 64  # of the matrices in that product: one thread multiplies them, whatever else the machine does
KEPT = 64  # races of which the outcome is kept

Step = Callable[[int], float]  # does the work on so many images, and returns a number that has to be finite


@dataclass(frozen=True)
class Precision:
    """name: of DTYPES. why: the words that follow the name, as in "bf16 by trial: 1,240 against 690 images/s"."""

    name: str
    why: str = "as chosen"

    def __str__(self) -> str:
        return f"{self.name} {self.why}"


@dataclass(frozen=True)
class Race:
    """rates: images a second in each precision that came through. left_out: what became of the others."""

    rates: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class _LeftOut(Exception):
    """A precision that can't win; the message says why, to follow its name."""


def autocast(device: torch.device, name: str) -> torch.autocast:
    """Computes in a precision of DTYPES, as autocast does: weights, sums and losses stay float32."""
    return torch.autocast(device.type, dtype=None if name == "fp32" else DTYPES[name], enabled=name != "fp32")


def check(device: torch.device, name: str) -> None:
    """Raises ValueError for float16 on a CPU, which emulates it, and whose bfloat16 needs no scaled losses."""
    if name == "fp16" and device.type == "cpu":
        raise ValueError("fp16 is a GPU's; on this CPU choose --precision bf16, fp32 or auto.")


def choose(device: torch.device, key: Hashable, begin: Callable[[str], Step], most: int) -> Precision:
    """The fastest precision for a piece of work; what float32 alone can do well here is not raced for.

    key: what the work is, and all that its speed depends on. begin: the step in a precision. most: images a step.
    """
    names, left_out = contenders(device)
    found = race((device, key), names, begin, most) if len(names) > 1 else Race()
    return _verdict(found.rates, {**left_out, **found.left_out})


def _verdict(rates: dict[str, float], left_out: dict[str, str]) -> Precision:
    name = max(rates, key=rates.__getitem__, default="fp32")
    others = sorted((name for name in rates.keys() - {name}), key=rates.__getitem__, reverse=True)
    told = " and ".join(f"{rates[name]:,.0f}" + (f" in {name}" if len(others) > 1 else "") for name in others)
    if told:
        return Precision(name, f"by trial: {rates[name]:,.0f} against {told} images/s")
    reasons = ", ".join(f"{name} {reason}" for name, reason in left_out.items() if name != "fp32" or rates)
    return Precision(name, f"by trial: {reasons}" if reasons else "as nothing else is there")


@lru_cache
def contenders(device: torch.device) -> tuple[tuple[str, ...], dict[str, str]]:
    """Precisions that are worth a trial, float32 first, and why others are not: a device may only emulate them."""
    kept, left_out = ["fp32"], {}
    names = [name for name in DTYPES if name != "fp32" and not (name == "fp16" and device.type == "cpu")]
    usual = _product_seconds(device, torch.float32)
    for name in names:
        try:
            times = _product_seconds(device, DTYPES[name]) / usual
        except (RuntimeError, TypeError):
            left_out[name] = "does not work here"
            continue
        if times > HOPELESS:
            left_out[name] = f"multiplies matrices {times:.0f} times slower"
        else:
            kept.append(name)
    return tuple(kept), left_out


def _product_seconds(device: torch.device, dtype: torch.dtype, seconds: float = 0.05, at_most: int = 20) -> float:
    """The least that a matrix product takes: others may use the machine, too."""
    matrix = torch.ones(SIDE, SIDE, device=device, dtype=dtype)
    started = time.perf_counter()
    taken: list[float] = []
    while len(taken) < 3 or (len(taken) < at_most and time.perf_counter() - started < seconds):
        before = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # waits for a GPU
        taken.append(time.perf_counter() - before)
    return min(taken[1:])


_races: dict[Hashable, Race] = {}
_one_at_a_time = threading.Lock()


def race(key: Hashable, names: Sequence[str], begin: Callable[[str], Step], most: int) -> Race:
    """Tries the precisions one after the other, SECONDS each; once in a process for a key.

    One that raises or returns a number that is not finite is left out, and so is one that takes longer than PATIENCE,
    and than one before it, for its first images.
    """
    with _one_at_a_time:
        entry = (key, tuple(names), most)
        if entry not in _races:
            if len(_races) >= KEPT:
                del _races[next(iter(_races))]
            _races[entry] = _run(names, begin, most)
        return _races[entry]


def _run(names: Sequence[str], begin: Callable[[str], Step], most: int) -> Race:
    rates: dict[str, float] = {}
    left_out: dict[str, str] = {}
    limit = math.inf
    for name in names:
        try:
            rates[name], began = _rate(begin(name), most, limit)
            limit = min(limit, max(PATIENCE, began))
        except _LeftOut as error:
            left_out[name] = str(error)
        except (RuntimeError, TypeError) as error:  # no kernel for this type, or no memory for this much
            left_out[name] = f"fails ({type(error).__name__})"
    return Race(rates, left_out)


def _rate(step: Step, most: int, limit: float) -> tuple[float, float]:
    """Images a second in steps of `most` images, or what smaller ones lead to expect where such a step takes too long.

    A step takes a fixed time, mostly the optimizer's, and a time for each image. It begins with FIRST images, twice;
    how long that took is the second value, and is at most the limit, in seconds.
    """

    def timed(images: int) -> float:
        before = time.perf_counter()
        if not math.isfinite(step(images)):
            raise _LeftOut("gives no finite loss")
        return time.perf_counter() - before

    def best_of_two(images: int) -> float:  # the first time, kernels are loaded
        seconds = timed(images)
        return seconds if seconds > SECONDS else min(seconds, timed(images))

    started, few = time.perf_counter(), min(FIRST, most)
    with _Deadline(limit):
        first = best_of_two(few)
    began = time.perf_counter() - started
    if most == few:
        return most / first, began
    started, size = time.perf_counter(), min(FEW, most)
    seconds = best_of_two(size)
    each = max(0.0, (seconds - first) / (size - few))
    if seconds < SECONDS / 2:
        size = min(most, size + int((SECONDS / 2 - seconds) / each)) if each else most
        timed(size)
        count, again = 0, time.perf_counter()
        while not count or time.perf_counter() - started < SECONDS:
            timed(size)
            count += 1
        seconds = (time.perf_counter() - again) / count
        each = max(0.0, (seconds - first) / (size - few))
    return most / (seconds + each * (most - size)), began


class _Deadline(TorchFunctionMode):
    """Breaks off before the first of torch's functions of a tensor that would begin too late, such as a backward pass.

    What is no function of a tensor always runs: so no_grad and autocast end with what they began in.
    """

    def __init__(self, seconds: float):
        super().__init__()
        self.until = time.perf_counter() + seconds

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if time.perf_counter() > self.until and isinstance(next(iter(args), None), Tensor):
            raise _LeftOut("is slower")
        return func(*args, **(kwargs or {}))


def shape_of(model: nn.Module) -> Hashable:
    """What a model's speed depends on: two with the same are equally fast."""
    sizes = hash(tuple(parameter.shape for parameter in model.parameters()))
    return type(model).__name__, sizes, hash(tuple(getattr(model, "config", {}).items()))
