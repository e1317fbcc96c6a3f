"""Where a model's files lie: in a folder, or in a repository of the Hub, from which they are downloaded."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vit.data.registry import GATED

CONFIG, WEIGHTS, PREPROCESSOR = "config.json", "model.safetensors", "preprocessor_config.json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.npz", "*.h5", "*.pkl")
MAX_JSON = 1_000_000  # bytes of a file that describes a model; the names of 20,000 classes have half as many
MAX_BYTES = 2_500_000_000  # of weights; a ViT-Large in float32 has 1.2 GB

Progress = Callable[[int, int], None]  # bytes that are here, and all of them


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or not one of ours; the message says which and what to do."""


@dataclass(frozen=True)
class Files:
    """config and preprocessor are None where there is no such file."""

    config: Path | None
    weights: Path
    preprocessor: Path | None


def files(
    source: str | os.PathLike, revision: str | None = None, progress: Progress | None = None, local: bool = False
) -> Files:
    """Of a folder, of a .safetensors file with what lies beside it, or of "owner/name" on the Hub, downloaded first.

    A download that broke off goes on where it stopped, and what is cached needs no network; local asks it for nothing.
    Raises CheckpointError: what is missing, refused, too large, or can't be reached, and the remedy.
    """
    path = Path(source)
    if path.is_dir():
        return _checked(path, path / WEIGHTS)
    if path.is_file():
        if path.suffix != ".safetensors":
            raise CheckpointError(f"{path} is no safetensors file. {_pickled(path.name)}")
        return _checked(path.parent, path)
    if not on_hub(source):
        raise CheckpointError(
            f"There is no folder {source}; expected a folder written by save_pretrained, or a repository of the Hub "
            f'as "owner/name".'
        )
    return _download(str(source), revision, progress, local)


def on_hub(source: str | os.PathLike) -> bool:
    """Whether it has the form of a repository's id, "owner/name"."""
    return not Path(source).is_absolute() and str(source).count("/") == 1 and not str(source).startswith(".")


def size(repository: str, revision: str | None = None) -> tuple[int, bool]:
    """Bytes of a repository's weights, and whether they are here already. Raises CheckpointError, as `files` does."""
    from huggingface_hub import hf_hub_download

    with _refused(repository):
        about = hf_hub_download(repository, WEIGHTS, revision=revision, dry_run=True)
    _check_size(repository, about.file_size or 0)
    return about.file_size or 0, about.is_cached


def check_handed_out(repository: str) -> None:
    """Raises CheckpointError unless the Hub itself hands it out to whoever asks now.

    `size` and `files` take what is cached for an answer where the Hub refuses, or is out of reach.
    """
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(repository, WEIGHTS, dry_run=True, force_download=True)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"The Hub doesn't hand {repository} out to everybody, or can't be reached; choose another model, or try "
            "again later."
        ) from error


def cached(repository: str) -> bool:
    """Whether config and weights of a repository are here, so that `files(..., local=True)` needs no network."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return all(isinstance(try_to_load_from_cache(repository, name), str) for name in (CONFIG, WEIGHTS))
    except HFValidationError:
        return False


def _checked(folder: Path, weights: Path) -> Files:
    missing = [file.name for file in (folder / CONFIG, weights) if not file.is_file()]
    if weights.name in missing:
        pickles = [file.name for ending in PICKLES for file in folder.glob(ending)]
        hint = f" {_pickled(pickles[0])}" if pickles else ""
        raise CheckpointError(
            f"{folder} has no {' and no '.join(missing)}; expected a folder written by save_pretrained.{hint}"
        )
    _check_size(folder, weights.stat().st_size)
    config, preprocessor = (file if file.is_file() else None for file in (folder / CONFIG, folder / PREPROCESSOR))
    return Files(config, weights, preprocessor)


def _download(repository: str, revision: str | None, progress: Progress | None, local: bool) -> Files:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    def beside(name: str) -> Path | None:
        try:
            if not local:
                about = hf_hub_download(repository, name, revision=revision, dry_run=True)
                _check_json(repository, name, about.file_size or 0)
            return Path(hf_hub_download(repository, name, revision=revision, local_files_only=local))
        except LocalEntryNotFoundError:  # the Hub is out of reach
            if name == CONFIG:
                raise
            return None
        except EntryNotFoundError:
            return None

    with _refused(repository):
        config = beside(CONFIG)
        total = 0 if local else size(repository, revision)[0]
        preprocessor = beside(PREPROCESSOR)
        told = _telling(progress, total)
        weights = hf_hub_download(repository, WEIGHTS, revision=revision, tqdm_class=told, local_files_only=local)
    return Files(config, Path(weights), preprocessor)


class _refused:
    """Turns what the Hub's client raises into a sentence."""

    def __init__(self, repository: str):
        self.repository = repository

    def __enter__(self) -> None: ...

    def __exit__(self, kind, error, _) -> None:
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        if isinstance(error, HfHubHTTPError | HFValidationError | OSError):
            raise CheckpointError(
                f"There is no folder {self.repository}, and loading it from the Hub failed: "
                f"{_reason(error, self.repository)}"
            ) from error


def _reason(error: Exception, repository: str) -> str:
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    if isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled | ConnectionError):
        return "the Hub can't be reached and nothing of it is cached. Check the name and the connection."
    if isinstance(error, GatedRepoError):
        return f"it {GATED}"
    if isinstance(error, RepositoryNotFoundError):
        if _is_dataset(repository):
            return "it is a dataset, not a model. Give a model's repository."
        return (
            "there is no such model, or it is private. Check the name; a private one needs a token (`hf auth login`)."
        )
    if isinstance(error, EntryNotFoundError):
        return f"it has no {WEIGHTS}. {_pickled('its weights in another file, perhaps')}"
    return f"{str(error).strip().splitlines()[0]}. Check the name and the connection."


def _is_dataset(repository: str) -> bool:
    from huggingface_hub import HfApi

    try:
        return HfApi().repo_exists(repository, repo_type="dataset")
    except (OSError, ValueError):
        return False


def _pickled(what: str) -> str:
    return (
        f"It has {what}, a pickle, which is never opened, since that can run programs: where you trust it, read it "
        "with its own library, and write its tensors with safetensors.torch.save_file."
    )


def _check_size(source: object, size: int) -> None:
    if size > MAX_BYTES:
        raise CheckpointError(
            f"{source} has {size / 1e9:.1f} GB of weights, and {MAX_BYTES / 1e9:g} GB are the most that is read here: "
            "that is no ViT up to Large. Take a smaller one."
        )


def _check_json(repository: str, name: str, size: int) -> None:
    if size > MAX_JSON:
        raise CheckpointError(
            f"{repository} has {size / 1e6:,.1f} MB of {name}, and {MAX_JSON / 1e6:g} MB are the most that is read: it "
            "describes no model that fits. Take another."
        )


def _telling(progress: Progress | None, total: int) -> type | None:
    """A bar for the Hub's client that draws nothing and tells bytes; None for the client's own."""
    if progress is None:
        return None
    tell: Progress = progress
    from huggingface_hub.utils import tqdm

    class Telling(tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **{**kwargs, "disable": True})
            self.here = kwargs.get("initial", 0)
            tell(self.here, total)

        def update(self, n=1):
            self.here += n
            tell(self.here, total)

    return Telling
