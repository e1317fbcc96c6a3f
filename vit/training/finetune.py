"""Fine-tuning: a student begins as a trained parent with a head for other classes, and settings that suit few pictures.

Whole or by its head alone it is then trained by `vit.training.train`, as any model is.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from vit.data import Splits
from vit.model import Classifier, Model
from vit.weights.pretrained import with_new_head
from vit.weights.resize import set_image_size

SEEN = 3_000  # pictures that the whole model sees at least, in at most MOST_EPOCHS passes over few of them
MOST_EPOCHS, FEWEST_EPOCHS = 20, 5
HEAD_EPOCHS = 100
WAYS = {"head": "Head alone", "all": "Whole model", "scratch": "From scratch"}  # to learn few pictures
AS_THEY_ARE = {"crop": 0, "flip": False, "patch_dropout": 0.0}  # a head alone sees each picture once
PIXELS = (*AS_THEY_ARE, "mixup", "cutmix", "erase", "degrade", "color")  # settings that change pictures
ALONE: dict[str, object] = {  # where settings are of which a head alone makes no use
    **dict.fromkeys(PIXELS, 0),
    "strong_until": 0.6,
    "optimizer": "adamw",
    "clip_norm": 1.0,
    "layer_decay": 1.0,
    "accumulate": 1,
    "compile": False,
}


def student(
    parent: Model,
    classes: Sequence[str],
    img_size: int | None = None,
    generator: torch.Generator | None = None,
    source: str = "",
) -> Model:
    """A new model with the parent's weights, mean and std, but for a head of these classes, drawn anew.

    img_size: of its pictures, where it is another than the parent's; position embeddings are then resized. source: what
    the parent is called, which `trained` keeps as "parent". Raises ValueError for fewer than two classes, and for a
    size that the parent's patches do not divide, or that is too small for a CNN.
    """
    if len(classes) < 2:
        raise ValueError(f"A model tells at least 2 classes apart, got {len(classes)}; add another class.")
    model = with_new_head(parent, len(classes), generator)
    if img_size not in (None, parent.config["img_size"]):
        set_image_size(model, img_size)
    model.classes = tuple(classes)
    model.trained = {"parent": source or parent.trained.get("model", "a trained model")}
    return model


def begin(
    way: str,
    parent: Model,
    classes: Sequence[str],
    images: int,
    generator: torch.Generator | None = None,
    source: str = "",
) -> tuple[Model, dict[str, Any]]:
    """A model at its start in one of WAYS, and values of TrainConfig's fields for so many training images.

    From scratch it has the parent's shape, and sees each picture as often as the whole parent does. generator, source:
    as in `student`.
    """
    if way != "scratch":
        return student(parent, classes, generator=generator, source=source), recipe(way, images)
    model = type(parent)(**{**parent.config, "num_classes": len(classes)})
    model.reset_parameters(generator)
    model.classes, model.mean, model.std = tuple(classes), parent.mean, parent.std
    whole = recipe("all", images)
    return model, {name: whole[name] for name in ("epochs", "batch_size")}


def seen_by(model: Classifier, splits: Splits) -> Splits:
    """The splits with the model's own mean and std, by which it goes on seeing pictures."""
    return Splits(*(replace(split, mean=model.mean, std=model.std) for split in splits))


def recipe(part: str, images: int | None) -> dict[str, Any]:
    """Values of TrainConfig's fields to fine-tune on so many training images, None for many.

    part: "all", or the "head" alone.
    """
    images = images or SEEN
    if part == "head":
        batch = min(128, max(1, images // 2))  # some of few may be held out, too
        return {
            "epochs": HEAD_EPOCHS,
            "batch_size": batch,
            "optimizer": "adamw",
            "lr": 1e-2,
            "label_smoothing": 0.0,
            "train": "head",
            **AS_THEY_ARE,
        }
    batch = 2 ** max(0, min(7, (images // 4).bit_length() - 1))  # about four steps a pass over few pictures
    return {
        "epochs": min(MOST_EPOCHS, max(FEWEST_EPOCHS, round(SEEN / images))),
        "batch_size": min(batch, images),
        "optimizer": "adamw",
        "lr": 1e-3,
        "layer_decay": 0.75,
        "train": "all",
    }
