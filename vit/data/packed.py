"""Pictures decoded once, at the size that training needs, into a file of uint8 pixels that is mapped into memory.

They lie in the order in which they are dealt out: those to test with first, and last those to learn from, each shuffled
and balanced over the classes. So each split is a slice, and none is copied.
"""

import hashlib
import json
import math
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vit.data.claim import claimed
from vit.data.folder import Item, Source
from vit.data.pictures import AT_ONCE, UnreadablePicture, read_picture
from vit.data.turns import dealt

CLAIM = ".decoding"  # locked while a process decodes into the folder
KEPT = 20_000_000_000  # bytes of pixels in the cache folder; what was used longest ago goes first
SPARE = 500_000_000  # bytes that are left free on the disk
SAVED_EVERY = 500  # pictures, after which a decoding that breaks off would go on
NAMED = 3  # pictures in a sentence on those that were left out
PIXELS, INDEX = "pixels.u8", "index.json"

Progress = Callable[..., object]


@dataclass
class Index:
    """What lies in the file, and how far decoding has come.

    looked: items dealt with. rows: the number of each row's item. left_out: reasons by name. digests: of rows, where no
    picture may be there twice. gray: whether all rows are. mean, std: a value a channel, once it is complete.
    """

    looked: int = 0
    rows: list[int] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    digests: dict[str, int] = field(default_factory=dict)
    gray: bool = True
    mean: list[float] = field(default_factory=list)
    std: list[float] = field(default_factory=list)
    complete: bool = False


@dataclass(frozen=True)
class Packed:
    """images: (n, C, size, size) uint8 by split, labels (n,) int64; "validation" is there only where a folder is.

    mean, std: of those to learn from, a value a channel. left_out: a sentence on what could not be used.
    """

    images: dict[str, Tensor]
    labels: dict[str, Tensor]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    left_out: str


def cache() -> Path:
    """Where the files lie."""
    from huggingface_hub import constants

    return Path(constants.HF_ASSETS_CACHE) / "vit" / "pictures"


def pack(source: Source, size: int, progress: Progress) -> Packed:
    """The source's pictures at that size, decoded where they were not before; what broke off goes on where it stopped.

    progress: called as progress(fraction, desc=...), at once with the size of the file. Raises ValueError where there
    is no room, a picture lies in two classes, or too few of a class can be decoded; the file is then gone.
    """
    order = _order(source)
    needed = len(order) * 3 * size**2
    folder = cache() / hashlib.sha256(f"{source.fingerprint} {size} {len(source.classes)}".encode()).hexdigest()[:32]
    index = _read_index(folder)
    if not index.complete:
        _make_room(folder, needed, source.name)
        folder.mkdir(parents=True, exist_ok=True)
        with claimed(folder / CLAIM, "Another process is decoding the same pictures; wait for it, and start again."):
            index = _read_index(folder)
            try:
                _decode(source, order, size, folder, index, progress)
                _check(source, order, index)
            except ValueError:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            found, index.complete = _mapped(source, order, size, folder, index), True
            _write_index(folder, index)
            return found
    with suppress(OSError):  # of a cache that can only be read
        os.utime(folder)
    return _mapped(source, order, size, folder, index)


def _order(source: Source) -> list[Item]:
    """All items, those of each split dealt out by themselves."""
    order: list[Item] = []
    for split in ("test", "validation", "train", ""):
        mine = [item for item in source.items if item.split == split]
        order += [mine[i] for i in dealt(torch.tensor([item.label for item in mine], dtype=torch.int64)).tolist()]
    return order


def _decode(source: Source, order: list[Item], size: int, folder: Path, index: Index, progress: Progress) -> None:
    numbers = {item: number for number, item in enumerate(source.items)}
    megabytes = f"{len(order) * 3 * size**2 / 1e6:,.1f} MB"
    about = f"{len(order):,} pictures at {size} px into {megabytes} in {folder.parent}"
    progress(index.looked / max(1, len(order)), desc=f"Decoding {about}")
    with (
        tempfile.TemporaryDirectory(prefix="vit-pictures-") as temporary,
        source.reading(Path(temporary)) as reading,
        open(folder / PIXELS, "r+b" if (folder / PIXELS).exists() else "w+b") as file,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        file.truncate(len(index.rows) * 3 * size**2)
        file.seek(0, os.SEEK_END)

        def read(item: Item) -> tuple[Tensor, str] | str:
            path = None
            try:
                path = reading.fetch(numbers[item])
                picture = read_picture(path, size)
                return picture, hashlib.blake2b(path.read_bytes(), digest_size=12).hexdigest() if source.unique else ""
            except UnreadablePicture as error:
                return error.reason
            except (ValueError, OSError) as error:
                return str(error)
            finally:
                if path is not None and path.parent == Path(temporary):
                    path.unlink()

        for start in range(index.looked, len(order), SAVED_EVERY):
            part = order[start : start + SAVED_EVERY]
            for item, found in zip(part, pool.map(read, part), strict=True):
                _take(order, item, found, index, file)
                index.looked += 1
            file.flush()
            _write_index(folder, index)
            progress(index.looked / len(order), desc=f"Decoding {about}")


def _take(order: list[Item], item: Item, found: tuple[Tensor, str] | str, index: Index, file) -> None:
    """Writes a row, or the reason why there is none. Raises ValueError for a picture in two classes."""
    if isinstance(found, str):
        index.left_out[item.name] = found
        return
    picture, digest = found
    if digest:
        if (first := index.digests.get(digest)) is not None:
            other = order[first]
            if other.label != item.label:
                raise ValueError(
                    f"The same picture lies in two classes, as {other.name} and as {item.name}; remove one of them."
                )
            index.left_out[item.name] = f"is the same picture as {other.name}"
            return
        index.digests[digest] = index.looked
    index.gray = index.gray and bool((picture[0] == picture[1]).all() and (picture[0] == picture[2]).all())
    index.rows.append(index.looked)
    file.write(picture.numpy().tobytes())


def _check(source: Source, order: list[Item], index: Index) -> None:
    """Raises ValueError where a class has too few pictures for the splits that it takes."""
    given = {item.split for item in order}
    learned = "train" if "train" in given else ""
    needed = 1 + ("test" not in given) + ("validation" not in given)
    held_out = {order[row].label for row in index.rows if order[row].split == "validation"}
    if "validation" in given and (missing := set(range(len(source.classes))) - held_out):
        raise ValueError(
            f"Class {source.classes[min(missing)]!r} of {source.name} has no usable picture to validate with; add one, "
            "or remove those of the other classes, too: then some are held out of those to learn from."
        )
    counts = Counter(order[row].label for row in index.rows if order[row].split == learned)
    few = [label for label in range(len(source.classes)) if counts[label] < needed]
    if not few:
        return
    kind, count = source.classes[few[0]], counts[few[0]]
    why = [f"{name} {reason}" for name, reason in index.left_out.items() if f"/{kind}/" in f"/{name}"]
    first = f" ({why[0]})" if why else ""
    raise ValueError(
        f"Class {kind!r} of {source.name} has {count} usable picture{'' if count == 1 else 's'}{first}, and at least "
        f"{needed} are needed, to learn from and to measure on; add some, or remove the class."
    )


def tested(pictures: int, classes: int) -> int:
    """How many are held out to test with, where no folder says which: a fifth, and one of each class at least."""
    return max(0, min(pictures - classes, max(classes, pictures // 5)))


def _mapped(source: Source, order: list[Item], size: int, folder: Path, index: Index) -> Packed:
    shape = (len(index.rows), 3, size, size)
    pixels = torch.from_file(str(folder / PIXELS), shared=False, size=math.prod(shape), dtype=torch.uint8).view(shape)
    pixels = pixels[:, :1] if index.gray else pixels
    items = [order[row] for row in index.rows]
    labels = torch.tensor([item.label for item in items])
    counts = Counter(item.split for item in items)
    sizes = {split: counts[split] for split in ("test", "validation") if counts[split]}
    if "test" not in sizes:  # those that a folder names come first in the file
        sizes["test"] = tested(counts["train"] + counts[""], len(source.classes))
    bounds, at = {}, 0
    for split, count in sizes.items():
        bounds[split] = slice(at, at + count)
        at += count
    bounds["train"] = slice(at, len(items))
    learned = pixels[bounds["train"]]
    if not index.mean:
        index.mean, index.std = _moments(learned)
    names = list(index.left_out)
    said = ", ".join(f"{name} {index.left_out[name]}" for name in names[:NAMED])
    more = f", and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    plural = "file was" if len(names) == 1 else "files were"
    return Packed(
        {split: pixels[where] for split, where in bounds.items()},
        {split: labels[where] for split, where in bounds.items()},
        tuple(index.mean),
        tuple(index.std),
        f"{len(names):,} {plural} left out: {said}{more}." if names else "",
    )


def _moments(images: Tensor) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel, of pixels in [0, 1], to four digits; a flat one has 1/255."""
    total = torch.zeros(2, images.shape[1], dtype=torch.float64)
    for start in range(0, len(images), SAVED_EVERY):
        part = images[start : start + SAVED_EVERY].double() / 255
        total += torch.stack([part.sum((0, 2, 3)), part.square().sum((0, 2, 3))])
    mean, square = total / (len(images) * images.shape[2] * images.shape[3])
    std = (square - mean.square()).clamp_min(0).sqrt().clamp_min(1 / 255)
    return [round(value, 4) for value in mean.tolist()], [round(value, 4) for value in std.tolist()]


def _read_index(folder: Path) -> Index:
    try:
        index = Index(**json.loads((folder / INDEX).read_text(encoding="utf-8")))
        return index if (folder / PIXELS).is_file() else Index()
    except (OSError, ValueError, TypeError):
        return Index()


def _write_index(folder: Path, index: Index) -> None:
    new = folder / f".{INDEX}"
    new.write_text(json.dumps(asdict(index)), encoding="utf-8")
    os.replace(new, folder / INDEX)


def _make_room(folder: Path, needed: int, name: str) -> None:
    """Removes what was used longest ago. Raises ValueError where there is no room all the same."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    others = [path for path in folder.parent.iterdir() if path.is_dir() and path != folder]
    others.sort(key=lambda path: path.stat().st_mtime)
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in others}
    here = sum(file.stat().st_size for file in folder.iterdir()) if folder.is_dir() else 0
    for path in others:
        free = shutil.disk_usage(folder.parent).free - SPARE
        if sum(sizes.values()) + needed <= KEPT and needed - here <= free:
            break
        shutil.rmtree(path, ignore_errors=True)
        del sizes[path]
    room = min(KEPT, shutil.disk_usage(folder.parent).free - SPARE + here)
    if needed > room:
        raise ValueError(
            f"The pictures of {name} need {needed / 1e9:.1f} GB, and {folder.parent} has room for "
            f"{max(0, room) / 1e9:.1f} GB; choose a smaller --img-size or fewer pictures, or another disk, by the "
            "variable HF_ASSETS_CACHE."
        )
