"""Which device to compute on, and in which precision."""

import torch


def choose_device(name: str = "auto") -> torch.device:
    """ "auto" is the GPU where there is one. Raises ValueError, naming what there is, for a device that is missing."""
    available = {"cpu": True, "cuda": torch.cuda.is_available()}
    if name == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available.get(name, False):
        usable = ", ".join(device for device, there in available.items() if there)
        raise ValueError(f"No device {name!r} is available here; use --device auto, or one of: {usable}.")
    return torch.device(name)


def precision(device: torch.device) -> torch.autocast:
    """bfloat16 autocast where the device has arithmetic for it, float32 where it would be emulated."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = device.type == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)
