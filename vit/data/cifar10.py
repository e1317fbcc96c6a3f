"""CIFAR-10 as tensors: from a folder that somebody placed here, what was decoded before, or the Hub."""

import contextlib
import io
import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vit.environment import ROOT

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN = (0.4914, 0.4822, 0.4465)
STD = (0.2470, 0.2435, 0.2616)
REPO = "uoft-cs/cifar10"
REVISION = "0b2714987fa478483af9968de7c934580d0bb9a2"
FOLDER = ROOT / "data" / "cifar-10-batches-py"


class DatasetUnavailable(RuntimeError):
    """The dataset cannot be had here; the message says what was tried, why it failed and what to do."""


def read(progress: Callable[..., object]) -> dict[str, Tensor]:
    """Images (n, 3, 32, 32) uint8 and labels (n,) int64 under "train.images", "train.labels" and so on.

    progress: called as progress(fraction, desc=...). Raises DatasetUnavailable where it is not to be had.
    """
    return _read_folder() if FOLDER.is_dir() else _read_cache() or _read_hub(progress)


class _BatchUnpickler(pickle.Unpickler):
    """Unpickles arrays and plain containers; whatever else a pickle asks for could run code, and is refused."""

    def find_class(self, module: str, name: str) -> object:
        if f"{module}.{name}" in ("numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no CIFAR-10 batch needs")


def _read_folder() -> dict[str, Tensor]:
    """Read the five training batches and the test batch of "CIFAR-10 python version", as torchvision lays them out."""
    tensors: dict[str, Tensor] = {}
    for split, names in {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}.items():
        images, labels = zip(*(_read_batch(FOLDER / name) for name in names))
        tensors |= {f"{split}.images": torch.cat(images), f"{split}.labels": torch.cat(labels)}
    return tensors


def _read_batch(file: Path) -> tuple[Tensor, Tensor]:
    try:
        with open(file, "rb") as stream:
            batch = _BatchUnpickler(stream, encoding="latin1").load()
        return torch.from_numpy(batch["data"]).view(-1, 3, 32, 32), torch.tensor(batch["labels"])
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DatasetUnavailable(
            f"{file} is not a CIFAR-10 batch ({error}): extract cifar-10-python.tar.gz again, "
            f"remove {file.parent} to use the Hub, or use Shapes."
        ) from error


def _read_hub(progress: Callable[..., object]) -> dict[str, Tensor]:
    """Download the pinned revision's parquet files where the Hub's cache lacks them, decode them, keep the pixels."""
    import pyarrow.parquet as parquet
    from PIL import Image

    files = {split: _download(split, progress) for split in ("train", "test")}
    tensors: dict[str, Tensor] = {}
    decoded = 0
    for split, file in files.items():
        table, pixels = parquet.read_table(file), bytearray()
        for image in table["img"].to_pylist():
            pixels += Image.open(io.BytesIO(image["bytes"]), formats=("PNG",)).tobytes()
            decoded += 1
            if decoded % 1000 == 0:
                progress(decoded / 60_000, desc="Decoding CIFAR-10")
        images = torch.frombuffer(pixels, dtype=torch.uint8).view(-1, 32, 32, 3).permute(0, 3, 1, 2).contiguous()
        tensors |= {f"{split}.images": images, f"{split}.labels": torch.tensor(table["label"].to_pylist())}
    _write_cache(tensors)
    return tensors


def _download(split: str, progress: Callable[..., object]) -> str:
    """Path of a split's parquet file in the Hub's cache, downloaded where it is not there yet."""
    import huggingface_hub as hub
    from huggingface_hub.errors import LocalEntryNotFoundError
    from tqdm import tqdm

    class Bar(tqdm):
        def display(self, *args, **kwargs) -> None:
            if self.total:
                progress(min(self.n / self.total, 1.0), desc=f"Downloading CIFAR-10 ({split})")

    filename = f"plain_text/{split}-00000-of-00001.parquet"
    where: dict[str, Any] = {"repo_id": REPO, "filename": filename, "repo_type": "dataset", "revision": REVISION}
    try:
        with contextlib.suppress(LocalEntryNotFoundError):
            return hub.hf_hub_download(**where, local_files_only=True)
        # Without a network this fails at once, where hf_hub_download would retry for 23 seconds.
        hub.get_hf_file_metadata(hub.hf_hub_url(**where), timeout=10)
        return hub.hf_hub_download(**where, tqdm_class=Bar)
    except Exception as error:  # OSError, httpx's, hf_xet's: however a download fails, the remedy is the same
        why = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        raise DatasetUnavailable(
            f"CIFAR-10 is neither in {FOLDER} nor in the Hub's cache, and {REPO} cannot be downloaded "
            f"({why}). Connect to the internet, set HF_HUB_CACHE to a cache that has it, extract "
            f"cifar-10-python.tar.gz in {FOLDER.parent}, or use Shapes."
        ) from error


def _cache_file() -> Path:
    from huggingface_hub import cached_assets_path

    return cached_assets_path("vit", "cifar10", REVISION) / "pixels.safetensors"


def _read_cache() -> dict[str, Tensor] | None:
    """The pixels decoded before; None where there are none, or none that can be read."""
    import safetensors.torch

    try:
        return safetensors.torch.load_file(_cache_file())
    except (OSError, ValueError, safetensors.SafetensorError):
        return None


def _write_cache(tensors: dict[str, Tensor]) -> None:
    """Keep the pixels for the next start; a disk that is full or read-only costs that start its speed, nothing else."""
    import safetensors.torch

    with contextlib.suppress(OSError, ValueError, safetensors.SafetensorError):
        file = _cache_file()
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            unfinished = Path(folder) / file.name
            safetensors.torch.save_file(tensors, unfinished)
            os.replace(unfinished, file)
