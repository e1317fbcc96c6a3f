"""Distillation: a student learns what a teacher says of the same images.

Touvron et al. 2021, "Training data-efficient image transformers & distillation through attention" (arXiv:2012.12877):
a distilled model has a head for the labels and one for the teacher. In others the one head learns both (Hinton et al.
2015, arXiv:1503.02531).
The answers can be kept (Wu et al. 2022, TinyViT, arXiv:2207.10666): as a run draws everything random from its seed and
step, the next run of the same settings meets the same images, and its teacher has nothing to do.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, distributed

from vit.data import Dataset
from vit.model import Classifier, unnormalize
from vit.training.config import TrainConfig
from vit.weights.checkpoint import read_tensors, write_tensors

# What the teacher's images and their order are made of.
SEEN = ("epochs", "batch_size", "crop", "flip", "mixup", "cutmix", "strong_until", "degrade", "erase", "color", "seed")


def distillation_loss(heads: Tensor, targets: Tensor, answers: Tensor, config: TrainConfig) -> Tensor:
    """Of a batch: the class head against the labels, the distillation head against the teacher (its Eq. 2 and 3).

    heads: (2, B, classes), logits of both; twice the same where a model has one. targets: (B, classes), as mixed.
    answers: the teacher's, (B, classes).
    "hard": (1 - a) CE(class head, targets) + a CE(distillation head, the teacher's choice), a = distill_alpha.
    "soft": the second term is a t^2 KL(teacher, distillation head), both softened by t = distill_tau.
    """
    of_class, of_distillation = heads.float()
    labels = F.cross_entropy(of_class, targets, label_smoothing=config.label_smoothing)
    answers = answers.float()
    if config.distill == "hard":
        taught = F.cross_entropy(of_distillation, answers.argmax(1))
    else:
        t = config.distill_tau
        soft = F.log_softmax(of_distillation / t, dim=1)
        taught = t**2 * F.kl_div(soft, F.log_softmax(answers / t, dim=1), reduction="batchmean", log_target=True)
    return (1 - config.distill_alpha) * labels + config.distill_alpha * taught


class Teacher:
    """Answers for the student's images: after the same crop and the same mixing, normalized and resized as its own.

    model: any that tells the student's classes apart, in the same order; used in eval mode, on the student's device.
    folder: where answers are kept and found; None for nowhere. Raises ValueError where the teacher knows other classes
    or channels, where the folder has the answers to other questions, or where the run has several processes or no fixed
    steps.
    """

    def __init__(
        self,
        model: Classifier,
        student: Classifier,
        train_set: Dataset,
        config: TrainConfig,
        folder: Path | None = None,
    ):
        check_teacher(model, train_set)
        if folder is not None and config.epochs is None:
            raise ValueError("Answers can be kept of a run whose steps are fixed; set epochs in place of minutes.")
        if folder is not None and distributed.is_initialized():
            raise ValueError("Answers can be kept of a run in one process; train without torchrun.")
        self.model = model.to(next(student.parameters()).device).eval().requires_grad_(False)
        self.student = student
        self.kept = None if folder is None else Answers(folder, fingerprint(model, train_set, config))

    @torch.no_grad()
    def answer(self, images: Tensor, step: int) -> Tensor:
        """Logits (B, classes) for the images of a step, (B, C, H, W) as the student gets them."""
        if self.kept is not None and (known := self.kept.find(step)) is not None:
            return known.to(images)
        size = self.model.config["img_size"]
        if (self.model.mean, self.model.std) != (self.student.mean, self.student.std):
            pixels = unnormalize(
                images, self.student.mean, self.student.std
            )  # mixed ones are no whole numbers any more
            images = self.model.normalize(pixels)
        if size != images.shape[-1]:
            images = F.interpolate(images, (size, size), mode="bilinear", antialias=True, align_corners=False)
        logits = self.model(images)
        if self.kept is not None:
            self.kept.add(step, logits)
        return logits

    def close(self) -> None:
        """Writes the answers that are not on disk yet."""
        if self.kept is not None:
            self.kept.write()


class Answers:
    """A teacher's logits for a run's steps, as float16 on disk, a file for some hundred steps.

    About 2 * classes bytes an image: 29 MB for 30 passes over 48,000 images of ten classes. Raises ValueError where the
    folder's answers are of another teacher, other data or other settings, or are damaged.
    """

    STEPS = 200  # a file

    def __init__(self, folder: Path, about: Mapping[str, Any]):
        self.folder, self.about = folder, dict(about)
        self.file = -1  # the number of the one in memory
        self.answers: dict[str, Tensor] = {}
        self.new = False
        folder.mkdir(parents=True, exist_ok=True)
        if files := sorted(folder.glob("answers-*.safetensors")):
            self._read(files[0])  # another teacher's are refused before the first step

    def find(self, step: int) -> Tensor | None:
        """None for a step without an answer."""
        self._turn_to(step)
        return self.answers.get(str(step))

    def add(self, step: int, logits: Tensor) -> None:
        """Keeps an answer; it is on disk once the steps have gone beyond its file, or after write()."""
        self._turn_to(step)
        self.answers[str(step)] = logits.detach().half().cpu()
        self.new = True

    def write(self) -> None:
        if self.new:
            write_tensors(self.answers, self._path(self.file), {"about": json.dumps(self.about)})
        self.new = False

    def _turn_to(self, step: int) -> None:
        number = step // self.STEPS
        if number != self.file:
            self.write()
            self.file, path = number, self._path(number)
            self.answers = self._read(path) if path.exists() else {}

    def _path(self, number: int) -> Path:
        return self.folder / f"answers-{number:05}.safetensors"

    def _read(self, file: Path) -> dict[str, Tensor]:
        try:
            tensors, metadata = read_tensors(file)
            about = json.loads(metadata["about"])
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"{file} holds no answers of a teacher ({error}); delete it, or name another folder."
            ) from error
        if other := [name for name, value in self.about.items() if about.get(name) != value]:
            raise ValueError(
                f"The answers in {file.parent} are of another {other[0]}, {about.get(other[0])!r}, and this run's is "
                f"{self.about[other[0]]!r}; name another folder, or delete it."
            )
        return tensors


def fingerprint(teacher: Classifier, train_set: Dataset, config: TrainConfig) -> dict[str, Any]:
    """What a teacher's answers depend on: its weights, the images in their order, and what is done to them."""
    weights = hashlib.sha256()
    for name, tensor in sorted(teacher.state_dict().items()):
        weights.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    images = hashlib.sha256(train_set.images.cpu().contiguous().numpy().tobytes())
    settings = {name: value for name, value in asdict(config).items() if name in SEEN}
    return {"teacher": weights.hexdigest()[:16], "data": images.hexdigest()[:16], **settings}


def check_teacher(teacher: Classifier, train_set: Dataset) -> None:
    """Raises ValueError where the teacher can't answer for these images."""
    if teacher.classes != train_set.classes:
        raise ValueError(
            f"The teacher tells {', '.join(teacher.classes)} apart, and the student is to learn "
            f"{', '.join(train_set.classes)}; take a teacher of the same classes in the same order."
        )
    if teacher.config["in_chans"] != train_set.images.shape[1]:
        raise ValueError(
            f"The teacher takes images of {teacher.config['in_chans']} channels, {train_set.name} has "
            f"{train_set.images.shape[1]}; take another teacher."
        )
