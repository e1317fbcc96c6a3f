"""Labeled pictures as uint8 tensors: loaded by name, split, and handed out in shuffled, augmented batches."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vit.data.registry import Entry, Progress, entry
from vit.data.turns import dealt

LARGEST = 4_000_000_000  # bytes of pictures that are scaled in memory
SCALED = 1_000  # pictures at a time


@dataclass(frozen=True)
class Dataset:
    """Labeled pictures: images (n, C, H, W) uint8, labels (n,) int64, mean and std of pixels in [0, 1].

    masks: (n, H, W) bool, True on the object; None where nobody knows them.
    """

    name: str
    split: str
    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    masks: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> "Dataset":
        return self._map(lambda tensor: tensor.to(device))

    def take(self, indices: Tensor | slice) -> "Dataset":
        return self._map(lambda tensor: tensor[indices])

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Dataset":
        masks = None if self.masks is None else change(self.masks)
        return replace(self, images=change(self.images), labels=change(self.labels), masks=masks)


class Splits(NamedTuple):
    train: Dataset
    validation: Dataset
    test: Dataset


def select_classes(splits: Splits, names: Sequence[str]) -> Splits:
    """The pictures of some classes only, labeled from 0 in the dataset's order. Raises ValueError on other names."""
    there = splits.train.classes
    if unknown := set(names) - set(there):
        raise ValueError(f"{splits.train.name} has no class {sorted(unknown)[0]!r}; choose of {', '.join(there)}.")
    kept = [label for label, name in enumerate(there) if name in names]
    classes = tuple(there[label] for label in kept)

    def select(dataset: Dataset) -> Dataset:
        part = dataset.take((dataset.labels[:, None] == torch.tensor(kept)).any(1))
        return replace(part, labels=torch.searchsorted(torch.tensor(kept), part.labels), classes=classes)

    return splits if len(kept) == len(there) else Splits(*map(select, splits))


def load(
    name: str, *, validation_size: int | None = None, progress: Progress | None = None, img_size: int | None = None
) -> Splits:
    """Load a dataset by name, or pictures of one's own: a folder, a zip, or hub:USER/NAME (`registry.entry`).

    validation_size: pictures held out of train, balanced over the classes and the same for everybody; None holds out
        a tenth, 0 trains on everything.
    progress: called as progress(fraction, desc=...) while downloading, decoding or drawing.
    img_size: to which one's own pictures are scaled; the others have the size that they have.
    Raises DatasetUnavailable where it is neither on this machine nor within reach, ValueError on an unknown name or
    where what was loaded is not what the registry says of it.
    """
    about = entry(name, img_size, progress)
    tensors = about.loader(progress or (lambda fraction, desc: None))
    about = entry(name, img_size)  # of one's own pictures more is known now
    train, test = (_split(about, split, tensors) for split in ("train", "test"))
    if "validation.images" in tensors:
        if validation_size is not None:
            raise ValueError(f"{name} has a folder of pictures to validate with; leave out --validation-size.")
        return Splits(train, _split(about, "validation", tensors), test)
    classes, tenth = len(about.classes), len(train) // 10
    usual = max(0, min(len(train) - classes, max(classes, tenth))) if about.dealt else tenth
    size = usual if validation_size is None else validation_size
    if not 0 <= size < len(train):
        raise ValueError(f"validation_size {size}: expected 0 to {len(train) - 1}, fewer than {name} has for training")
    if about.dealt:
        return Splits(train.take(slice(size, None)), replace(train.take(slice(size)), split="validation"), test)
    held_out, kept = hold_out(train.labels, size)
    return Splits(train.take(kept), replace(train.take(held_out), split="validation"), test)


def fitted(dataset: Dataset, channels: int, img_size: int) -> Dataset:
    """The pictures as a model takes them: scaled to its size, gray ones as three equal channels, or made gray.

    What fits already is not copied. Raises ValueError where scaling would need more than LARGEST bytes.
    """
    from vit.data.pictures import fit, gray  # when called: it needs Pillow

    images, masks, mean, std = dataset.images, dataset.masks, dataset.mean, dataset.std
    if (size := len(images) * channels * img_size**2) > LARGEST and images.shape[-1] != img_size:
        raise ValueError(
            f"{len(images):,} pictures of {img_size} x {img_size} pixels need {size / 1e9:.1f} GB, and "
            f"{LARGEST / 1e9:g} GB are the most that is scaled here; choose a smaller --img-size, or a model "
            "of smaller pictures."
        )
    if images.shape[-1] != img_size:
        starts = range(0, max(1, len(images)), SCALED)
        parts: list = [
            fit(images[at : at + SCALED], None if masks is None else masks[at : at + SCALED], img_size) for at in starts
        ]
        images = torch.cat([part for part, _ in parts])
        masks = None if masks is None else torch.cat([part for _, part in parts])
    if images.shape[1] < channels:
        images, mean, std = images.expand(-1, channels, -1, -1), mean * channels, std * channels
    elif images.shape[1] > channels:
        images = torch.cat([gray(part) for part in images.split(SCALED)])
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    return replace(dataset, images=images, masks=masks, mean=mean, std=std)


def hold_out(labels: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Split range(len(labels)) into `size` indices balanced over the classes, and the rest; both ascending.

    A small hold-out is part of every larger one.
    """
    order = dealt(labels)
    return order[:size].sort().values, order[size:].sort().values


def _split(entry: Entry, split: str, tensors: dict[str, Tensor]) -> Dataset:
    images, labels = tensors[f"{split}.images"], tensors[f"{split}.labels"]
    expected = (len(labels), entry.channels, entry.size, entry.size)
    if images.shape != expected or images.dtype != torch.uint8:
        raise ValueError(f"{entry.name}: expected uint8 images {expected}, got {images.dtype} {tuple(images.shape)}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < len(entry.classes):
        raise ValueError(f"{entry.name}: expected labels from 0 to {len(entry.classes) - 1}, got others")
    masks = tensors.get(f"{split}.masks")
    return Dataset(entry.name, split, images, labels, entry.classes, entry.mean, entry.std, masks)


def random_crop(images: Tensor, offsets: Tensor, padding: int) -> Tensor:
    """Pad (B, C, H, W) by reflection and cut each image out at its own offset.

    offsets: (B, 2) int64, rows and columns in [0, 2 * padding]; `padding` itself leaves an image where it was.
    padding: pixels, less than H and W.
    """

    def reflected(offset: Tensor, size: int) -> Tensor:  # (B,) -> (B, size), the pixel that each position reads
        position = offset[:, None] - padding + torch.arange(size, device=images.device)
        return size - 1 - (size - 1 - position.abs()).abs()

    rows, columns = reflected(offsets[:, 0], images.shape[2]), reflected(offsets[:, 1], images.shape[3])
    shifted = images.gather(2, rows[:, None, :, None].expand(images.shape))
    return shifted.gather(3, columns[:, None, None, :].expand(images.shape))


def random_flip(images: Tensor, flips: Tensor) -> Tensor:
    """Mirror left to right the images of (B, C, H, W) for which flips (B,) is True."""
    return torch.where(flips[:, None, None, None], images.flip(3), images)


def shuffled(size: int, batch_size: int, seed: int, epoch: int) -> tuple[Tensor, torch.Generator]:
    """The epoch's order of a set, (size,), and the generator that drew it. Raises ValueError for too large a batch."""
    if not 1 <= batch_size <= size:
        raise ValueError(f"batch_size {batch_size}: expected 1 to {size}, the size of the set; change it")
    mixed = np.random.SeedSequence((seed, epoch)).generate_state(1).item()  # so (0, 1) and (1, 0) share nothing
    generator = torch.Generator().manual_seed(mixed)
    return torch.randperm(size, generator=generator), generator


def batches(
    dataset: Dataset, batch_size: int, *, seed: int, epoch: int, crop: int = 4, flip: bool = True, start: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of shuffled, augmented (images (B, C, H, W) uint8, labels (B,)), on the dataset's device.

    All of the epoch's draws are made up front on the CPU from (seed, epoch): they are the same on every device, and
    a run resumed at batch `start` sees the batches it would have seen. An incomplete last batch is dropped.
    """
    order, generator = shuffled(len(dataset), batch_size, seed, epoch)
    offsets = torch.randint(2 * crop + 1, (len(dataset), 2), generator=generator)
    flips = torch.rand(len(dataset), generator=generator) < 0.5
    order, offsets, flips = (draw.to(dataset.images.device) for draw in (order, offsets, flips))

    def batch(index: int) -> tuple[Tensor, Tensor]:
        here = slice(index * batch_size, (index + 1) * batch_size)
        images = random_crop(dataset.images[order[here]], offsets[here], crop)
        return random_flip(images, flips[here]) if flip else images, dataset.labels[order[here]]

    return map(batch, range(start, len(dataset) // batch_size))
