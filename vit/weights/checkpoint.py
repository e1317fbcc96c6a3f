"""Saving and loading in the Hub's convention: config.json, model.safetensors and a model card in one folder.

The only code that reads or writes weights, and it reads safetensors alone: a pickle is never opened.
"""

import errno
import json
import os
import re
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from vit.model import Classifier, Model
from vit.variants import KINDS
from vit.weights import description
from vit.weights.card import card
from vit.weights.description import Description

CONFIG, WEIGHTS, CARD, STATE = "config.json", "model.safetensors", "README.md", "state.safetensors"


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or not one of ours; the message says which and what to do."""


def save_pretrained(model: nn.Module, folder: str | os.PathLike, dtype: torch.dtype | None = None) -> Path:
    """Writes weights, config and card, with class names, mean, std and model.trained, and returns the folder.

    model: also one that torch.compile, DataParallel, DistributedDataParallel or an AveragedModel has wrapped.
    dtype: of the stored weights, such as torch.float16 for half the size; they are float32 again once loaded.

    Everything is written before anything is replaced, each file by a rename, weights first: a crash leaves the old
    checkpoint, or files of which each is whole. Other files in an existing folder stay. Raises OSError on a full disk.
    """
    model, folder = unwrapped(model), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
        new = Path(temporary)
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        if dtype is not None:  # a count of batches stays a whole number
            weights = {name: w.to(dtype) if w.is_floating_point() else w for name, w in weights.items()}
        write_tensors(weights, new / WEIGHTS, {"format": "pt"})
        (new / CONFIG).write_text(json.dumps(config_of(model), indent=2) + "\n", encoding="utf-8")
        (new / CARD).write_text(card(model), encoding="utf-8")
        for name in (WEIGHTS, CONFIG, CARD):
            os.replace(new / name, folder / name)
    return folder


def unwrapped(model: nn.Module) -> Classifier:
    """The model itself, without what torch wraps around it. Raises TypeError where there is none of ours within."""
    inner = model
    while not isinstance(inner, Classifier):
        # torch.compile's name for it, and that of DataParallel, DistributedDataParallel and AveragedModel
        within = getattr(inner, "_orig_mod", None) or getattr(inner, "module", None)
        if not isinstance(within, nn.Module):
            raise TypeError(
                f"{type(inner).__name__} can't be saved: expected a ViT or a CNN of this package, wrapped or not; save "
                "its state_dict yourself."
            )
        inner = within
    return inner


def from_pretrained(
    source: str | os.PathLike,
    revision: str | None = None,
    kind: type[Model] = Classifier,  # type: ignore[assignment]  # mypy gives a type variable no default
) -> Model:
    """The model saved in a folder, or in a repository of the Hub ("owner/name"), in eval mode on the CPU.

    kind: the class that it must be of; Classifier for any.

    Strict: config.json is whole and every value of its kind; every tensor is there, with its shape, and no other; all
    weights and what comes out are finite numbers. Raises CheckpointError otherwise.
    """
    config_file, weights_file = _files(source, revision)
    try:
        described = description.read(config_file)
    except (OSError, ValueError) as error:
        raise _undescribed(source, error) from error
    if not issubclass(described.kind, kind):
        raise CheckpointError(
            f"{source} holds a {described.kind.__name__}, which has no attention; expected a {kind.__name__}, as the "
            "variants called vit_... are."
        )
    try:
        weights, _ = read_tensors(weights_file)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{source}/{WEIGHTS} is damaged or not a safetensors file ({error}); copy or download it again."
        ) from error
    model = _outline(source, described, weights)
    due = {name: tensor.dtype for name, tensor in model.state_dict().items()}
    # Assigned, in memory of their own: filling a model that was made without takes torch a second to learn.
    weights = {name: tensor.to(due[name], copy=True) for name, tensor in weights.items()}
    model.load_state_dict(weights, strict=True, assign=True)
    model.classes, model.mean, model.std = described.classes, described.mean, described.std
    model.trained, model.temperature, model.doubt = described.trained, described.temperature, described.doubt
    _check_finite(source, model.eval())
    assert isinstance(model, kind)
    return model


def _outline(source: str | os.PathLike, described: Description, weights: dict[str, Tensor]) -> Classifier:
    """The model without memory, so that no config.json can ask for more than its weights have."""
    try:
        if (depth := described.architecture.get("depth", 0)) > len(weights):
            raise ValueError(f"depth={depth}, and {len(weights)} tensors in {WEIGHTS}")
        with torch.device("meta"):
            model = described.kind(**described.architecture)
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise _undescribed(source, error) from error
    expected = model.state_dict()
    wrong = [f"{name} is missing" for name in expected if name not in weights]
    wrong += [f"{name!r} is not expected" for name in weights if name not in expected]
    for name in expected.keys() & weights.keys():
        came, due = weights[name], expected[name]
        if came.shape != due.shape or came.is_floating_point() != due.is_floating_point():
            kinds = [f"{tuple(tensor.shape)} {tensor.dtype}" for tensor in (due, came)]
            wrong.append(f"size mismatch for {name}: expected {kinds[0]}, got {kinds[1]}")
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointError(
            f"{source}/{WEIGHTS} does not fit the architecture in {CONFIG}; take both from the same save. "
            f"{'; '.join(wrong[:3])}{more}."
        )
    return model


def _check_finite(source: str | os.PathLike, model: Classifier) -> None:
    """Finite weights can still overflow, so black and white go through the model, too. Raises CheckpointError."""
    wrong = [name for name, tensor in model.state_dict().items() if not tensor.isfinite().all()]
    if not wrong:
        channels, size = model.config["in_chans"], model.config["img_size"]
        pixels = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(-1, channels, size, size)
        with torch.inference_mode():
            finite = model(model.normalize(pixels)).isfinite().all()
        wrong = [] if finite else [f"what comes out for a black and a white image, normalized by {CONFIG}"]
    if wrong:
        raise CheckpointError(
            f"{source}/{WEIGHTS} is damaged or its training diverged: expected finite numbers, got others in "
            f"{wrong[0]}; take the weights of another save."
        )


def _undescribed(source: str | os.PathLike, error: Exception) -> CheckpointError:
    reason = " ".join(str(error).split())
    return CheckpointError(
        f"{source}/{CONFIG} does not describe a model of this package ({type(error).__name__}: {reason}); "
        f"expected {', '.join(description.KEYS)}, as save_pretrained writes them."
    )


def save_state(folder: Path, tensors: dict[str, Tensor], about: dict) -> None:
    """Writes an unfinished run's tensors, and about, which is JSON, to one file that is replaced at a stroke."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_tensors(tensors, folder / STATE, {"about": json.dumps(about)})


def load_state(folder: Path) -> tuple[dict[str, Tensor], dict]:
    """What save_state wrote. Raises CheckpointError where there is none, or none that can be read."""
    if not (folder / STATE).is_file():
        raise CheckpointError(f"{folder} holds no unfinished run ({STATE}); start one with train --out {folder}.")
    try:
        tensors, metadata = read_tensors(folder / STATE)
        return tensors, json.loads(metadata["about"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / STATE} is damaged ({error}); the run has to start again.") from error


def write_tensors(tensors: dict[str, Tensor], file: Path, metadata: dict[str, str]) -> None:
    """Writes a safetensors file and renames it into place, so that there is the old one or the new one.

    Raises OSError where that fails, as on a full disk, of which safetensors speaks in an error of its own.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    new = file.with_name(f".{file.name}")
    new.touch()
    mode = new.stat().st_mode  # what the system gives a new file; save_file's can be read by their owner alone
    try:
        save_file(tensors, new, metadata=metadata)
        new.chmod(mode)
    except SafetensorError as error:
        new.unlink(missing_ok=True)
        match = re.search(r"os error (\d+)", str(error))
        code = int(match[1]) if match else errno.EIO
        raise OSError(code, os.strerror(code), str(file)) from error
    os.replace(new, file)


def read_tensors(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A safetensors file's tensors and metadata. Raises OSError or ValueError where there is none, or a damaged one."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def write_text(text: str, file: Path) -> None:
    """Writes a file beside the old one and renames it into place, so that there is the old one or the new one."""
    new = file.with_name(f".{file.name}")
    new.write_text(text, encoding="utf-8")
    os.replace(new, file)


def config_of(model: Classifier) -> dict:
    """What config.json holds: the constructor's arguments and what the model's inputs and outputs mean."""
    return {
        "kind": next(name for name, kind in KINDS.items() if type(model) is kind),
        "architecture": model.config,
        "classes": list(model.classes),
        "mean": list(model.mean),
        "std": list(model.std),
        "temperature": model.temperature,
        **({"doubt": model.doubt._asdict()} if model.doubt else {}),
        "trained": model.trained,
    }


def _files(source: str | os.PathLike, revision: str | None) -> tuple[Path, Path]:
    """Where config and weights lie, downloaded first when source names a repository of the Hub."""
    folder = Path(source)
    if folder.is_dir():
        missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
        if missing:
            pickles = [file.name for ending in ("*.bin", "*.pt", "*.pth", "*.ckpt") for file in folder.glob(ending)]
            hint = f" It has {pickles[0]}, a pickle, which is never opened: convert it." if pickles else ""
            raise CheckpointError(
                f"{folder} has no {' and no '.join(missing)}; expected a folder written by save_pretrained.{hint}"
            )
        return folder / CONFIG, folder / WEIGHTS
    if folder.is_absolute() or str(source).count("/") != 1 or str(source).startswith("."):
        raise CheckpointError(
            f"There is no folder {source}; expected a folder written by save_pretrained, or a repository of the Hub "
            f'as "owner/name".'
        )

    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        config, weights = (Path(hf_hub_download(str(source), name, revision=revision)) for name in (CONFIG, WEIGHTS))
        return config, weights
    except LocalEntryNotFoundError as error:
        reason = "the Hub can't be reached and nothing of it is cached"
        cause: Exception = error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        cause = error
    raise CheckpointError(
        f"There is no folder {source}, and loading it from the Hub failed: {reason}. Check the name and the connection."
    ) from cause
