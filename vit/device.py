"""Which device to compute on, and in which precision."""

import os

import torch
from torch import distributed


def choose_device(name: str = "auto") -> torch.device:
    """ "auto" is the GPU where there is one. Raises ValueError, naming what there is, for a device that is missing."""
    available = {"cpu": True, "cuda": torch.cuda.is_available()}
    if name == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available.get(name, False):
        usable = ", ".join(device for device, there in available.items() if there)
        raise ValueError(f"No device {name!r} is available here; use --device auto, or one of: {usable}.")
    return torch.device(name)


def join_processes(device: torch.device) -> torch.device:
    """This process's device, once all processes that torchrun started have met; without torchrun, the given one.

    They talk through nccl on GPUs, one each, and through gloo on CPUs.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def is_first_process() -> bool:
    """True for the one that speaks and writes; always, where there is only one."""
    return not distributed.is_initialized() or distributed.get_rank() == 0


def precision(device: torch.device) -> torch.autocast:
    """bfloat16 autocast where the device has arithmetic for it, float32 where it would be emulated."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)
