"""What a benchmark's figures hang on: which machine it is, what its arithmetic can do, and what else it did."""

import os
from dataclasses import dataclass

import torch

from vit.device import device_name, now
from vit.precision import DTYPES, contenders

SAME = ("device", "flags", "threads", "torch")  # what two machines have in common whose figures may be compared
FLAGS = ("avx2", "avx512_f", "avx512_bf16", "avx512_vnni", "amx_tile", "amx_bf16", "amx_fp16", "neon", "sve", "bf16")
SIDE, LARGEST = 256, 8192  # of the square matrices that are multiplied
LONG = 0.05  # seconds of a product that is long enough to be timed
TIMES = 5


@dataclass(frozen=True)
class Machine:
    """device: the GPU's or the CPU's name. flags: of the CPU's arithmetic. threads: that compute on it.

    teraflops: floating-point operations a second, in 10^12, of a product of two large matrices in each precision.
    load: processes that wanted to compute, on average over the minute before, anything of ours left out.
    """

    device: str
    flags: list[str]
    threads: int
    torch: str
    teraflops: dict[str, float]
    load: float | None

    def __str__(self) -> str:
        speeds = ", ".join(f"{name} {speed:.3g}" for name, speed in self.teraflops.items())
        busy = "" if self.load is None else f"; load before it began: {self.load:.2f}"
        return f"{self.device} ({', '.join(self.flags)}), torch {self.torch}; matmul TFLOP/s: {speeds}{busy}"


def describe(device: torch.device) -> Machine:
    """Takes a second or two; to be called before anything else computes, as it looks at the load first."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None  # Windows has none
    capabilities = torch.cpu.get_capabilities()
    flags = [name for name in FLAGS if capabilities.get(name) is True]
    speeds = {name: teraflops(device, name) for name in contenders(device)[0]}
    return Machine(device_name(device), flags, torch.get_num_threads(), torch.__version__, speeds, load)


def teraflops(device: torch.device, precision: str) -> float:
    """The most that a product of two square matrices reached, in 10^12 operations a second; precision: of DTYPES.

    Grows the matrices until a product takes long enough to be timed.
    """
    side, best = SIDE, 0.0
    while True:
        matrix = torch.ones(side, side, device=device, dtype=DTYPES[precision])
        (matrix @ matrix)[0, 0].item()
        taken = []
        for _ in range(TIMES):
            before = now(device)
            matrix @ matrix
            taken.append(now(device) - before)
        best = max(best, 2 * side**3 / min(taken) / 1e12)
        if min(taken) > LONG or side >= LARGEST:
            return best
        side *= 2
