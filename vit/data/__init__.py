"""Labelled pictures as uint8 tensors on the device: datasets by name, one picture from anywhere, augmentation."""

from vit.data.cifar10 import DatasetUnavailable
from vit.data.dataset import (
    DATASETS,
    Dataset,
    Progress,
    Splits,
    batches,
    denormalize,
    load,
    normalize,
    random_crop,
    random_flip,
    select_classes,
)

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
