"""One training loop for the command line, the page, the tests and the benchmark: a generator of Progress.

It prints nothing, writes nothing and starts no thread; whoever iterates decides what to do with each Progress, and
stops the run by not asking for the next.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vit.data import Dataset, batches, normalize

VALIDATIONS = 20  # in a run, evenly spread over it; fewer where they would take more than their share of its time
VALIDATION_SHARE = 0.1
QUICK_VALIDATION = 1_000  # images of the validation set used on the way; at the end it is the whole set


class TrainingDiverged(RuntimeError):
    """The loss is no longer finite; the message says what to try."""


@dataclass
class TrainConfig:
    """What a run is, besides its model and data. Raises ValueError on values that cannot work.

    epochs or minutes: how long; exactly one is set. Minutes count the time spent in the loop, validation included,
        not the time its consumer takes between two steps.
    lr: peak learning rate; may be changed while the run goes on, and holds from the next step.
    warmup: share of the run over which the rate rises linearly from 0; then it falls to 0 along half a cosine.
    weight_decay: of matrices and convolution kernels only, never of biases, norms, tokens or position embeddings.
    clip_norm: largest norm of all gradients together. crop: padding of the random crop in pixels, 0 for none.
    """

    epochs: float | None = None
    minutes: float | None = None
    batch_size: int = 128
    lr: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.1
    label_smoothing: float = 0.1
    clip_norm: float = 1.0
    crop: int = 2
    flip: bool = True
    seed: int = 0

    def __post_init__(self):
        if (self.epochs is None) == (self.minutes is None):
            raise ValueError(
                f"Set either epochs or minutes, got epochs={self.epochs} and minutes={self.minutes}; "
                f"epochs fix the work, minutes fix the time."
            )
        for name in ("epochs", "minutes", "batch_size", "lr", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be a positive number, got {value}.")
        if not (self.weight_decay >= 0 and math.isfinite(self.weight_decay)) or self.crop < 0:
            raise ValueError(f"weight_decay and crop must be 0 or positive, got {self.weight_decay} and {self.crop}.")
        for name in ("warmup", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {getattr(self, name)}.")


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a step.

    done: share of the run, in [0, 1]. steps: of the whole run; an estimate where the run is bounded by minutes.
    epoch: passes over the training set so far, with fraction. loss, train_accuracy: of the last batch.
    validation_loss, validation_accuracy: None where nothing new was measured at this step; the last Progress of a
    run has them for the whole validation set. elapsed, remaining: seconds in the loop. images_per_second: trained
    images over the time since the start, without validation.
    """

    step: int
    steps: int
    epoch: float
    done: float
    loss: float
    train_accuracy: float
    lr: float
    images_per_second: float
    elapsed: float
    remaining: float
    validation_loss: float | None = None
    validation_accuracy: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """How a model does on a dataset. confusion: (classes, classes) counts, rows are true classes; loss in nats."""

    accuracy: float
    loss: float
    n: int
    images_per_second: float
    confusion: Tensor = field(repr=False)

    @property
    def per_class(self) -> list[float]:
        """Share of each true class's images that were recognised, in [0, 1]; nan for a class without images."""
        return (self.confusion.diag() / self.confusion.sum(1)).tolist()


class _Stopwatch:
    """Seconds between start and stop, summed up; the time in between belongs to whoever consumes the generator."""

    def __init__(self):
        self.seconds, self.since = 0.0, None

    def start(self):
        self.since = time.perf_counter()

    def stop(self):
        self.seconds += time.perf_counter() - self.since
        self.since = None

    @property
    def elapsed(self) -> float:
        return self.seconds + (0.0 if self.since is None else time.perf_counter() - self.since)


def train(
    model: nn.Module, train_set: Dataset, config: TrainConfig, validation_set: Dataset | None = None
) -> Iterator[Progress]:
    """Trains the model in place and yields Progress after every step, on the device the model's weights are on.

    AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), label smoothing, gradient clipping, warm-up and cosine decay,
    bfloat16 autocast where the device is fast at it. Same seed, same device and epochs: the same losses.
    Raises TrainingDiverged when the loss is no longer finite, ValueError where model and data do not fit.
    """
    _check_fit(model, train_set)
    model.classes, model.mean, model.std = train_set.classes, train_set.mean, train_set.std
    device = next(model.parameters()).device
    quick = validation_set and validation_set.take(slice(QUICK_VALIDATION))
    torch.manual_seed(config.seed)  # dropout and drop-path
    optimizer = adamw(model, config.lr, config.weight_decay)
    autocast = precision(device)
    total, updating, validating = _Stopwatch(), _Stopwatch(), _Stopwatch()
    done, validations = 0.0, 0

    model.train()
    total.start()
    for step, (images, labels) in enumerate(_endless_batches(train_set.to(device), config), start=1):
        updating.start()
        lr = config.lr * schedule(done, config.warmup)
        with autocast:
            logits = model(normalize(images, model.mean, model.std))
            loss = F.cross_entropy(logits, labels, label_smoothing=config.label_smoothing)
        _update(optimizer, loss, lr, config.clip_norm)
        loss, accuracy = loss.item(), (logits.argmax(1) == labels).float().mean().item()
        updating.stop()
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"The loss became {loss} at step {step} with a learning rate of {lr:.2g}. "
                f"Try a rate of {min(config.lr / 3, TrainConfig.lr):.1g}, "
                f"or a longer warm-up than {config.warmup:.0%} of the run."
            )
        epoch = step / (len(train_set) // config.batch_size)
        steps, done = _extent(step, epoch, total.elapsed, config)
        measured = {}
        affordable = validating.seconds <= VALIDATION_SHARE * total.elapsed
        if validation_set and (done >= 1 or (affordable and int(done * VALIDATIONS) > validations)):
            validations = int(done * VALIDATIONS)
            validating.start()
            evaluation = evaluate(model, quick if done < 1 else validation_set)
            validating.stop()
            model.train()
            measured = {"validation_loss": evaluation.loss, "validation_accuracy": evaluation.accuracy}
        if done >= 1:
            model.eval()
        total.stop()
        yield Progress(
            step=step,
            steps=steps,
            epoch=epoch,
            done=done,
            loss=loss,
            train_accuracy=accuracy,
            lr=lr,
            images_per_second=step * config.batch_size / updating.seconds,
            elapsed=total.seconds,
            remaining=total.seconds * (1 - done) / done,
            **measured,
        )
        if done >= 1:
            return
        total.start()


def _endless_batches(train_set: Dataset, config: TrainConfig) -> Iterator[tuple[Tensor, Tensor]]:
    for epoch in itertools.count():
        yield from batches(
            train_set, config.batch_size, seed=config.seed, epoch=epoch, crop=config.crop, flip=config.flip
        )


def _update(optimizer: torch.optim.Optimizer, loss: Tensor, lr: float, clip_norm: float) -> None:
    """One step of the optimizer along the clipped gradient."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip_norm)
    optimizer.step()


@torch.no_grad()
def predict(model: nn.Module, dataset: Dataset, batch_size: int = 250) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields (logits, labels) batch by batch, in the dataset's order, on the model's device, in eval mode."""
    device = next(model.parameters()).device
    model.eval()
    for start in range(0, len(dataset), batch_size):
        part = dataset.take(slice(start, start + batch_size)).to(device)
        with precision(device):
            logits = model(normalize(part.images, model.mean, model.std))
        yield logits.float(), part.labels


def evaluate(model: nn.Module, dataset: Dataset, progress: Callable[..., None] | None = None) -> Evaluation:
    """Runs the model over the whole dataset, one view an image; leaves it in eval mode.

    progress is called with the share done, in [0, 1], and desc=. Raises ValueError where model and data do not fit
    or the dataset is empty.
    """
    _check_fit(model, dataset)
    if not len(dataset):
        raise ValueError(f"There is nothing to evaluate: the {dataset.split} split of {dataset.name} is empty.")
    classes, loss, started = len(dataset.classes), 0.0, time.perf_counter()
    confusion, n = torch.zeros(classes, classes, dtype=torch.long), 0
    for logits, labels in predict(model, dataset):
        loss += F.cross_entropy(logits, labels, reduction="sum").item()
        pairs = (labels * classes + logits.argmax(1)).cpu()
        confusion += pairs.bincount(minlength=classes**2).view(classes, classes)
        n += len(labels)
        if progress:
            progress(n / len(dataset), desc=f"Evaluating on {dataset.name} {dataset.split}")
    seconds = time.perf_counter() - started
    return Evaluation(confusion.diag().sum().item() / n, loss / n, n, n / seconds, confusion)


def schedule(done: float, warmup: float) -> float:
    """Share of the peak rate after that share of the run: a linear rise, then half a cosine down to 0.

    done, warmup: in [0, 1]. The first step, at done = 0, already moves: it has a hundredth of the rate.
    """
    if done < warmup:
        return max(done / warmup, 0.01)
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def adamw(model: nn.Module, lr: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices and convolution kernels only: not biases, norms, tokens or position embeddings."""
    decayed, free = [], []
    for name, parameter in model.named_parameters():
        is_weight = parameter.ndim >= 2 and not name.endswith(("_token", "pos_embed"))
        (decayed if is_weight else free).append(parameter)
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), fused=True)


def precision(device: torch.device) -> torch.autocast:
    """bfloat16 autocast where the device has arithmetic for it, float32 where it would be emulated."""
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu.get_capabilities().get("amx_bf16", False)
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=fast)


def choose_device(name: str = "auto") -> torch.device:
    """ "auto" is the GPU where there is one. Raises ValueError, naming what there is, for a device that is missing."""
    available = {"cpu": True, "cuda": torch.cuda.is_available()}
    if name == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available.get(name, False):
        usable = ", ".join(device for device, there in available.items() if there)
        raise ValueError(f"No device {name!r} is available here; use --device auto, or one of: {usable}.")
    return torch.device(name)


def _extent(step: int, epoch: float, elapsed: float, config: TrainConfig) -> tuple[int, float]:
    """Steps of the whole run and the share done, in (0, 1]."""
    if config.epochs is not None:
        steps = max(1, round(config.epochs * step / epoch))
        return steps, min(1.0, step / steps)
    done = min(1.0, elapsed / (60 * config.minutes))
    return max(step, round(step / done)), done


def _check_fit(model: nn.Module, dataset: Dataset) -> None:
    config = model.config
    if tuple(dataset.images.shape[1:]) != (config["in_chans"], config["img_size"], config["img_size"]):
        raise ValueError(
            f"The model takes {config['in_chans']} x {config['img_size']} x {config['img_size']} images, "
            f"{dataset.name} has {' x '.join(map(str, dataset.images.shape[1:]))}; "
            f"build the model with img_size={dataset.images.shape[-1]}."
        )
    if config["num_classes"] != len(dataset.classes):
        raise ValueError(
            f"The model has {config['num_classes']} classes, {dataset.name} has {len(dataset.classes)}; "
            f"build the model with num_classes={len(dataset.classes)}."
        )
