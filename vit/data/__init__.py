"""Labeled pictures as uint8 tensors on the device: datasets by name, one picture from anywhere, augmentation."""

from vit.data.cifar10 import DatasetUnavailable
from vit.data.dataset import (
    Dataset,
    Splits,
    batches,
    load,
    random_crop,
    random_flip,
    select_classes,
)
from vit.data.registry import DATASETS, Progress
from vit.model import denormalize, normalize

__all__ = [
    "DATASETS",
    "Dataset",
    "DatasetUnavailable",
    "Progress",
    "Splits",
    "batches",
    "denormalize",
    "load",
    "normalize",
    "random_crop",
    "random_flip",
    "select_classes",
]
