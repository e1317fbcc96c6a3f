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
from vit.weights import description, fetch, pretrained
from vit.weights.card import card
from vit.weights.description import Description
from vit.weights.fetch import CONFIG, WEIGHTS, CheckpointError, Files, Progress
from vit.weights.timm_config import timm_config

CARD, STATE, PICTURES = "README.md", "state.safetensors", "pictures.json"
SHOWN = 5  # tensors that a refusal names
UNSPEAKABLE = "replace"  # names of files need not be UTF-8: a card has "?" there


def save_pretrained(model: nn.Module, folder: str | os.PathLike, dtype: torch.dtype | None = None) -> Path:
    """Writes weights, config and card, with class names, mean, std and model.trained, and returns the folder.

    model: also one that torch.compile, DataParallel, DistributedDataParallel or an AveragedModel has wrapped.
    dtype: of the stored weights, such as torch.float16 for half the size; they are float32 again once loaded.

    Everything is written before anything is replaced, each file by a rename, weights first: a crash leaves the old
    checkpoint, or files of which each is whole. Other files in an existing folder stay. Raises OSError on a full disk,
    and CheckpointError, before anything is written, for a model whose parts are not those that its config describes.
    """
    model, folder = unwrapped(model), Path(folder)
    _check_parts(model)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as temporary:
        new = Path(temporary)
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
        if dtype is not None:  # a count of batches stays a whole number
            weights = {name: w.to(dtype) if w.is_floating_point() else w for name, w in weights.items()}
        write_tensors(weights, new / WEIGHTS, {"format": "pt"})
        (new / CONFIG).write_text(json.dumps(config_of(model), indent=2) + "\n", encoding="utf-8")
        (new / CARD).write_text(card(model), encoding="utf-8", errors=UNSPEAKABLE)
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
    progress: Progress | None = None,
    headless: bool = False,
    local: bool = False,
) -> Model:
    """The model saved in a folder, or in a repository of the Hub ("owner/name"), in eval mode on the CPU.

    Also one of timm, transformers or torchvision, if it is a plain ViT: `vit.weights.pretrained` says which. kind: the
    class that it must be of; Classifier for any. progress: told of a download. headless: leaves a foreign model's head
    out, whatever is wrong with it. local: only what was downloaded before.

    Strict: config.json is whole and every value of its kind; every tensor is there, with its shape, and no other; all
    weights and what comes out are finite numbers. Raises CheckpointError otherwise.
    """
    described, weights = _read(source, fetch.files(source, revision, progress, local), headless)
    if not issubclass(described.kind, kind):
        raise CheckpointError(
            f"{source} holds a {described.kind.__name__}, which has no attention; expected a {kind.__name__}, as the "
            "variants called vit_... are."
        )
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


def _read(source: str | os.PathLike, files: Files, headless: bool) -> tuple[Description, dict[str, Tensor]]:
    """What the files say of the model, and its tensors by our names."""
    try:
        config, preprocessor = (
            None if file is None else description.read(file) for file in (files.config, files.preprocessor)
        )
        if config is not None and not pretrained.is_foreign(config):
            return description.parse(config), _read_weights(source, files)
    except (OSError, ValueError) as error:
        raise _undescribed(source, error) from error
    weights = _read_weights(source, files)
    try:
        return pretrained.describe(config, preprocessor, weights, str(source), headless)
    except ValueError as error:
        raise CheckpointError(f"{source} can't be a model of this package: {error}.") from error


def _read_weights(source: str | os.PathLike, files: Files) -> dict[str, Tensor]:
    try:
        return read_tensors(files.weights)[0]
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{source}/{files.weights.name} is damaged or not a safetensors file ({error}); copy or download it again."
        ) from error


def _outline(source: str | os.PathLike, described: Description, weights: dict[str, Tensor]) -> Classifier:
    """The model without memory, so that no config.json can ask for more than its weights have."""
    try:
        if (depth := described.arguments.get("depth", 0)) > len(weights):
            raise ValueError(f"depth={depth}, and {len(weights)} tensors in {WEIGHTS}")
        with torch.device("meta"):
            model = described.kind(**described.arguments)
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise _undescribed(source, error) from error
    if wrong := _differences(model.state_dict(), weights):
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        fitting = f" What fits is {pretrained.FITTING}." if "pretrained" in described.trained else ""
        raise CheckpointError(
            f"{source}/{WEIGHTS} does not fit the architecture in {CONFIG}; take both from the same save. "
            f"{'; '.join(wrong[:SHOWN])}{more}.{fitting}"
        )
    return model


def _differences(expected: dict[str, Tensor], weights: dict[str, Tensor]) -> list[str]:
    wrong = [f"{name} is missing" for name in expected if name not in weights]
    wrong += [f"{name!r} is not expected" for name in weights if name not in expected]
    for name in expected.keys() & weights.keys():
        came, due = weights[name], expected[name]
        if came.shape != due.shape or came.is_floating_point() != due.is_floating_point():
            kinds = [f"{tuple(tensor.shape)} {tensor.dtype}" for tensor in (due, came)]
            wrong.append(f"size mismatch for {name}: expected {kinds[0]}, got {kinds[1]}")
    return wrong


def _check_parts(model: Classifier) -> None:
    """Raises CheckpointError for a model that could not be loaded again, such as one whose head was replaced."""
    with torch.device("meta"):
        described = type(model)(**model.config)
    if wrong := _differences(described.state_dict(), model.state_dict()):
        raise CheckpointError(
            f"The model is not what its config describes: {'; '.join(wrong[:SHOWN])}. Nothing was saved. Build it anew "
            "from a config that fits; vit.weights.pretrained.with_new_head gives a model another head and says so in "
            "its config."
        )


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
    new.write_text(text, encoding="utf-8", errors=UNSPEAKABLE)
    os.replace(new, file)


def config_of(model: Classifier) -> dict:
    """What config.json holds: the constructor's arguments and what the model's inputs and outputs mean.

    Before them, of a model that timm has too, what timm needs to load the folder or repository as it is.
    """
    return {
        **timm_config(model),
        "kind": next(name for name, kind in KINDS.items() if type(model) is kind),
        "arguments": model.config,
        "classes": list(model.classes),
        "mean": list(model.mean),
        "std": list(model.std),
        "temperature": model.temperature,
        **({"doubt": model.doubt._asdict()} if model.doubt else {}),
        "trained": model.trained,
    }
