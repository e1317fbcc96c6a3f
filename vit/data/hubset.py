"""Datasets of the Hub: parquet files with one image feature and a class label, at a pinned revision.

No code of a repository is run. What its features are is read from the parquet files themselves, as the Hub's `datasets`
writes them.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from vit.data.cifar10 import DatasetUnavailable
from vit.data.folder import SPLITS, Item, Reading, check_names
from vit.data.registry import GATED

MOST_BYTES = 10_000_000_000  # of the files that are downloaded
NAME = re.compile(r"hub:(?P<repo>[\w.-]+/[\w.-]+)(:(?P<config>[^@/]+))?(@(?P<revision>.+))?")
# config/train-00000-of-00001.parquet, or, where the Hub converted it, config/train/0000.parquet
FILES = re.compile(r"((?P<config>[^/]+)/)?(?P<split>\w+?)(-\d+-of-\d+(-\w+)?|/\d+)\.parquet")
FORM = "hub:USER/NAME, hub:USER/NAME:CONFIG or either with @REVISION"


class File(NamedTuple):
    name: str
    split: str
    size: int


@dataclass
class HubSet:
    """What was downloaded, by split, of a repository's config at a revision. Raises ValueError on other features."""

    repo: str
    config: str
    revision: str
    files: dict[str, list[Path]]
    classes: tuple[str, ...] = ()
    items: list[Item] = field(default_factory=list)
    unique = False  # CIFAR-100 has pictures twice, as it was published

    def __post_init__(self):
        import pyarrow.parquet as parquet

        first = next(iter(self.files.values()))[0]
        self.image, self.label, names = _features(first, self.repo)
        self.classes = tuple(names)
        for split, files in self.files.items():
            labels = [
                label for file in files for label in parquet.read_table(file, columns=[self.label])[0].to_pylist()
            ]
            known = [i for i, label in enumerate(labels) if label is not None and 0 <= label < len(self.classes)]
            self.items += [Item(split, labels[i], f"{split} {i}") for i in known]  # those of a contest have none

    @property
    def name(self) -> str:
        """As the command line has it, with the revision that it is pinned to."""
        return f"hub:{self.repo}{f':{self.config}' if self.config else ''}@{self.revision}"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.name} {self.image} {self.label}".encode()).hexdigest()

    @contextmanager
    def reading(self, folder: Path) -> Iterator[Reading]:
        """Copies the pictures as they are into one file: parquet has them in blocks, and they are dealt out mixed."""
        import pyarrow.parquet as parquet

        places: dict[str, tuple[int, int]] = {}
        with open(folder / "all", "w+b") as blob:
            for split, files in self.files.items():
                row = 0
                for file in files:
                    for batch in parquet.ParquetFile(file).iter_batches(batch_size=500, columns=[self.image]):
                        for image in batch.column(0).to_pylist():
                            content = (image or {}).get("bytes") or b""
                            places[f"{split} {row}"] = (blob.tell(), len(content))
                            blob.write(content)
                            row += 1
            blob.flush()
            yield _Rows(folder, [places[item.name] for item in self.items])


class _Rows:
    def __init__(self, folder: Path, places: list[tuple[int, int]]):
        self.folder, self.places = folder, places

    def fetch(self, number: int) -> Path:
        start, size = self.places[number]
        target = self.folder / f"{number}"
        with open(self.folder / "all", "rb") as blob:
            blob.seek(start)
            target.write_bytes(blob.read(size))
        return target


def download(name: str, progress: Callable[..., object]) -> HubSet:
    """The dataset of a name such as hub:USER/NAME:CONFIG; what is cached is not asked for again.

    progress: called as progress(fraction, desc=...), at once with the size of what is to be downloaded. Raises
    ValueError where it is none that can be read here, and DatasetUnavailable where it can't be reached.
    """
    from huggingface_hub import hf_hub_download

    match = NAME.fullmatch(name)
    if not match:
        raise ValueError(f"{name!r} names no dataset of the Hub: expected {FORM}.")
    repo, wanted = match["repo"], match["config"]
    with _refused(repo):
        revision, there = _listed(repo, match["revision"])
        config, files = _chosen(repo, wanted, there)
        total, done = sum(file.size for file in files), 0
        if total > MOST_BYTES:
            raise ValueError(
                f"{repo} has {total / 1e9:.0f} GB, and {MOST_BYTES / 1e9:g} GB are the most that is downloaded here; "
                "take a smaller dataset, or put some of its pictures into folders."
            )
        paths: dict[str, list[Path]] = defaultdict(list)
        for file in files:
            progress(done / max(1, total), desc=f"Downloading {total / 1e6:,.1f} MB of {repo}")
            path = hf_hub_download(repo, file.name, repo_type="dataset", revision=revision)
            if not paths:
                _features(Path(path), repo)  # before the others are downloaded
            paths[SPLITS[file.split]].append(Path(path))
            done += file.size
    return HubSet(repo, wanted or config, revision, dict(paths))


def _listed(repo: str, revision: str | None) -> tuple[str, list[File]]:
    """The revision as a commit, and its files."""
    from huggingface_hub import HfApi

    info = HfApi().dataset_info(repo, revision=revision, files_metadata=True)
    files = [(file.rfilename, file.size or 0) for file in info.siblings or []]
    found = [File(name, match["split"], size) for name, size in files if (match := FILES.fullmatch(name)) is not None]
    if not found:
        programs = [name for name, _ in files if name.endswith(".py")]
        what = (
            f"it is made by a program of its own, {programs[0]} (trust_remote_code), which is never run here"
            if programs
            else "it has no parquet files named after their split, as train-00000-of-00001.parquet"
        )
        raise ValueError(
            f"{repo} can't be read: {what}. Try the copy that the Hub makes of many, hub:{repo}@refs/convert/parquet, "
            "or put its pictures into folders."
        )
    return info.sha or revision or "main", found


def _chosen(repo: str, wanted: str | None, there: list[File]) -> tuple[str, list[File]]:
    """A config, and its files of splits to train and test with. Raises ValueError where that is not one choice."""
    configs: dict[str, list[File]] = defaultdict(list)
    for file in there:
        match = FILES.fullmatch(file.name)
        assert match is not None, "as listed"
        if file.split in SPLITS:
            configs[match["config"] or "data"].append(file)
    names = ", ".join(sorted(configs))
    if wanted is not None and wanted not in configs:
        raise ValueError(f"{repo} has no config {wanted!r}; choose of {names}.")
    if wanted is None and len(configs) > 1:
        raise ValueError(f"{repo} has several configs, {names}; choose one, as in hub:{repo}:{sorted(configs)[0]}.")
    config = wanted or next(iter(configs), "")
    files = sorted(configs[config])
    if not any(file.split == "train" for file in files):
        splits = ", ".join(sorted({file.split for file in there})) or "none"
        raise ValueError(f"{repo} has no split to train on: expected train, got {splits}.")
    return config, files


def _features(file: Path, repo: str) -> tuple[str, str, list[str]]:
    """The image column, the label column, and the names of its classes. Raises ValueError on other features."""
    import pyarrow.parquet as parquet

    metadata = parquet.read_schema(file).metadata or {}
    try:
        features: dict[str, Any] = json.loads(metadata[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"The parquet files of {repo} don't say what their columns are: expected features, as the Hub's `datasets` "
            "writes them; put its pictures into folders, a folder a class."
        ) from error
    kinds = {
        name: about.get("_type", "nested") if isinstance(about, dict) else "nested" for name, about in features.items()
    }
    there = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
    images = [name for name, kind in kinds.items() if kind == "Image"]
    labels = [name for name, kind in kinds.items() if kind == "ClassLabel" and features[name].get("names")]
    if len(images) != 1:
        what = f"two or more columns of images, {', '.join(images)}" if images else "no column of images"
        raise ValueError(
            f"{repo} has {what}: expected one, got {there}; put its pictures into folders, a folder a class."
        )
    if not labels:
        raise ValueError(f"{repo} has no class labels: expected a ClassLabel, got {there}; take a labeled dataset.")
    label = "label" if "label" in labels else max(labels, key=lambda name: len(features[name]["names"]))
    names = [str(name) for name in features[label]["names"]]
    if len(names) < 2:
        raise ValueError(f"{repo} has one class, {names[0]!r}: with one there is nothing to tell apart.")
    check_names(repo, names)
    return images[0], label, names


class _refused:
    """Turns what the Hub's client raises into a sentence."""

    def __init__(self, repo: str):
        self.repo = repo

    def __enter__(self) -> None: ...

    def __exit__(self, kind, error, _) -> None:
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            HFValidationError,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )

        if isinstance(error, GatedRepoError):
            raise ValueError(f"{self.repo} {GATED}") from error
        if isinstance(error, RevisionNotFoundError):
            raise ValueError(
                f"{self.repo} has no such revision; leave out @..., or take a commit of its page."
            ) from error
        if isinstance(error, RepositoryNotFoundError | HFValidationError):
            raise ValueError(
                f"There is no dataset {self.repo} on the Hub, or it is private; check the name, or sign in: "
                "`hf auth login`."
            ) from error
        if isinstance(error, HfHubHTTPError | OSError) or type(error).__module__.startswith("httpx"):
            said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
            raise DatasetUnavailable(
                f"{self.repo} can't be downloaded from the Hub ({said}). Check the connection, and start again."
            ) from error
