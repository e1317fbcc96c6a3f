"""Which device to compute on, what it is called, and how its memory is kept."""

import contextlib
import ctypes
import math
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import distributed

LACKING = ("can't allocate memory", "not enough memory: you tried to allocate")  # on Linux and macOS; on Windows
_keeping, _keeping_lock = 0, threading.Lock()  # how many are in keeping_memory


def choose_device(name: str = "auto") -> torch.device:
    """ "auto" is the GPU where there is one: cuda (AMD's, too), mps (Apple's) or xpu (Intel's).

    Raises ValueError, naming what there is, for a device that is missing.
    """
    gpu = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    devices = [torch.device("cpu"), *([gpu] if gpu else [])]
    if name == "auto":
        return devices[-1]
    for device in devices:
        if device.type == name:
            return device
    usable = ", ".join(device.type for device in devices)
    raise ValueError(f"No device {name!r} is available here; use --device auto, or one of: {usable}.")


def device_name(device: torch.device) -> str:
    """The GPU's name, or the CPU's with the number of threads that compute on it."""
    if device.type != "cpu":
        return gpu_name(device)
    threads = torch.get_num_threads()
    return f"{torch.cpu.get_capabilities().get('cpu_name', 'CPU')}, {threads} thread{'s' * (threads != 1)}"


def gpu_name(device: torch.device) -> str:
    """As its maker calls it; of a kind that doesn't tell, such as mps, its kind."""
    named = getattr(torch.get_device_module(device), "get_device_name", None)
    return named(device) if named else f"{device.type} GPU"


def memory(device: torch.device) -> float:
    """Bytes that a process may have: a GPU's, or the system's within control group and ulimit; or infinity."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    bounds = [math.inf]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # there is none, or it says "max"
            bounds.append(float(int(Path(file).read_text(encoding="utf-8"))))
    with contextlib.suppress(OSError, ValueError, AttributeError):  # AttributeError: Windows has no sysconf
        bounds.append(float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")))
    with contextlib.suppress(ImportError):  # so has it no limits
        import resource

        limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
        bounds += [float(limit) for limit in limits if limit != resource.RLIM_INFINITY]
    return min(bounds)


def lacks_memory(error: BaseException) -> bool:
    """Whether that is what an error says: torch's for CPUs has no kind of its own."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(said in str(error) for said in LACKING)


def now(device: torch.device) -> float:
    """Seconds, once the device has done what it was told: a GPU works on after it was asked."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter()


def join_processes(device: torch.device) -> torch.device:
    """This process's device, once all processes that torchrun started have met; without torchrun, the given one.

    They talk through nccl on GPUs, one each, and through gloo on CPUs. Raises ValueError for other kinds of GPU, and
    where there are fewer GPUs than processes.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return device
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"Processes train together on CPUs or cuda GPUs, not on {device.type}; use --device cpu.")
    if device.type == "cuda":
        there, rank = torch.cuda.device_count(), int(os.environ["LOCAL_RANK"])
        if rank >= there:
            raise ValueError(
                f"Each process trains on a GPU of its own; this is process {rank + 1} here, and the GPUs are "
                f"{there}. Use --nproc-per-node {there}, or --device cpu."
            )
        device = torch.device("cuda", rank)
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def is_first_process() -> bool:
    """True for the one that speaks and writes; always, where there is only one."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def share_memory() -> None:
    """Has all threads that are started from now on take their memory from one arena of glibc's.

    The arenas of further threads give back what is freed whatever keeping_memory says, and each keeps some for itself.
    Does nothing where there is no glibc.
    """
    if glibc := _glibc():
        glibc.mallopt(-8, 1)  # M_ARENA_MAX of malloc.h


def images_at_once(device: torch.device) -> int:
    """Where nothing is learned: a GPU wants many to be busy, and what a CPU's layers hand on stays in its caches."""
    return 64 if device.type == "cpu" else 250


@contextlib.contextmanager
def keeping_memory() -> Iterator[None]:
    """Has glibc keep freed memory for the next step, where it would hand it back to the system.

    A training step on a CPU allocates and frees the same tens of megabytes each time, and fetching them anew, page by
    page, takes a share of it. Takes effect for the whole process until the last of those that are in it leaves, which
    hands back what is free; does nothing where there is no glibc.
    """
    _change_keeping(+1)
    try:
        yield
    finally:
        _change_keeping(-1)


def _change_keeping(by: int) -> None:
    global _keeping
    with _keeping_lock:
        before, _keeping = _keeping, _keeping + by
        if (before > 0) == (_keeping > 0) or not (glibc := _glibc()):
            return
        give_back_above, ask_for, from_system = -1, -2, -3  # M_TRIM_THRESHOLD and so on, of malloc.h
        glibc.mallopt(from_system, 32 << 20)
        glibc.mallopt(give_back_above, 1 << 30 if _keeping else 4 << 20)
        glibc.mallopt(ask_for, 64 << 20 if _keeping else 128 << 10)
        if not _keeping:
            glibc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    try:
        glibc = ctypes.CDLL("libc.so.6")
    except OSError:
        return None
    return glibc if hasattr(glibc, "mallopt") else None
