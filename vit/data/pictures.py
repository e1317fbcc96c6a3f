"""A picture from anywhere, decoded in a process of its own, which is bounded in memory and time."""

import json
import os
import queue
import signal
import subprocess
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.data import decode

AT_ONCE = 2  # pictures

# Whoever decodes takes a process from here and puts it back; None stands for one that is still to be started.
_processes: queue.LifoQueue = queue.LifoQueue()
for _ in range(AT_ONCE):
    _processes.put(None)

ALLOCATION = {  # of the processes: one arena, from which what was freed goes back to the system
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "1000000",
    "MALLOC_TRIM_THRESHOLD_": "1000000",
}


class UnreadablePicture(ValueError):
    """A file that gives no picture. name: the file's own, without its folder. reason: the rest of the sentence."""

    def __init__(self, name: str, reason: str):
        super().__init__(f"{name} {reason}")
        self.name, self.reason = name, reason


def read_picture(
    path: str | os.PathLike, img_size: int, frame: decode.Frame | None = None, channels: int = 3
) -> Tensor:
    """A square of a picture file's first frame, upright and over white, as (channels, img_size, img_size) uint8.

    channels: 3, or 1 for gray. frame: which square of the upright picture; the central one, as large as fits, if not
    given. Of a format that `decode` lists, whatever the file's name; waits while AT_ONCE others are decoded. Raises
    UnreadablePicture where the file is missing, no such picture, or takes more memory or time than decode.MEMORY and
    decode.SECONDS.
    """
    picture = _read(path, img_size, frame)[0]
    return gray(picture) if channels == 1 else picture


def gray(images: Tensor) -> Tensor:
    """Luminance (ITU-R BT.601) of uint8 pictures, (..., 3, H, W) -> (..., 1, H, W); of gray ones what they have."""
    weights = torch.tensor((0.299, 0.587, 0.114), device=images.device)[:, None, None]
    return (images * weights).sum(-3, keepdim=True).round().byte()


def preview(path: str | os.PathLike, size: int) -> tuple[Tensor, tuple[int, int]]:
    """All of a picture, (3, height, width) uint8 with no side above size, and its own width and height in pixels.

    As in read_picture, which also raises the same.
    """
    return _read(path, size, decode.WHOLE)


def _read(path: str | os.PathLike, size: int, frame: decode.Frame | str | None) -> tuple[Tensor, tuple[int, int]]:
    name = os.fsencode(Path(path).name or path).decode("utf-8", errors="replace")
    about = {"path": os.path.abspath(path), "size": size, "frame": frame, "seconds": decode.SECONDS}
    request = json.dumps(about)
    process = _processes.get()
    try:
        if process is None or process.poll() is not None:
            process = _start()
        answer, pixels = _ask(process, request)
    except BaseException:  # such as Ctrl-C: the answer that comes would be taken for the next one's
        if process:
            process.kill()
            process.wait()
        raise
    finally:
        _processes.put(process)
    if answer is None:
        late = hasattr(signal, "SIGALRM") and process.wait() == -signal.SIGALRM
        took = f"takes longer than {decode.SECONDS} s to decode" if late else "breaks what decodes it"
        raise UnreadablePicture(name, f"{took}: expected a picture; save it anew as PNG or JPEG")
    if "reason" in answer:
        raise UnreadablePicture(name, answer["reason"])
    (width, height), of = answer["size"], tuple(answer["of"])
    return torch.frombuffer(pixels, dtype=torch.uint8).view(height, width, 3).permute(2, 0, 1).contiguous(), of


def fit(images: Tensor, masks: Tensor | None, img_size: int) -> tuple[Tensor, Tensor | None]:
    """Pictures (n, C, H, W) uint8 and their masks (n, H, W) in the size that a model takes."""
    if images.shape[-1] == img_size:
        return images, masks
    resized = F.interpolate(images.float(), (img_size, img_size), mode="bilinear", antialias=True)
    if masks is not None:
        masks = F.interpolate(masks[:, None].float(), (img_size, img_size))[:, 0] > 0
    return resized.round().clamp(0, 255).byte(), masks


def _start() -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, decode.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # what libraries say of damaged files
        env=os.environ | ALLOCATION | {"PYTHONSAFEPATH": "1"},  # modules beside it are not to shadow others
    )


def _ask(process: subprocess.Popen, request: str) -> tuple[dict | None, bytearray]:
    """The answer and its pixels; None where the process ended instead."""
    assert process.stdin and process.stdout  # both are pipes
    try:
        process.stdin.write(request.encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = b""
    answer = json.loads(line) if line else None
    return answer, bytearray(process.stdout.read(answer["bytes"]) if answer and "bytes" in answer else b"")
