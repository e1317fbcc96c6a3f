"""Training runs: each in one daemon thread, a few at a time, the others in a queue in order of arrival.

Pages and programs hold a run's id and only read; stopping it takes the owner's token. Limits come from the environment:
VIT_MAX_RUNS at once, VIT_MAX_QUEUE waiting, VIT_MAX_MINUTES for each, VIT_KEEP_RUNS that have ended.
"""

import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from vit.data import DATASETS, DatasetUnavailable
from vit.device import choose_device
from vit.model import MODELS, ViT, create_model
from vit.training import Progress, TrainConfig, TrainingDiverged, train
from vit.ui.datasets import SOURCES

MAX_RUNS = int(os.getenv("VIT_MAX_RUNS", "1"))
MAX_QUEUE = int(os.getenv("VIT_MAX_QUEUE", "8"))
MAX_MINUTES = float(os.getenv("VIT_MAX_MINUTES", "10"))
KEEP_RUNS = int(os.getenv("VIT_KEEP_RUNS", "12"))

VARIANTS = tuple(name for name in MODELS if name not in ("vit_base", "vit_large"))  # those that fit 32 px
MAX_BATCH = 1024
SMOOTHING = 0.9  # of the running averages that are drawn
SNAPSHOT_EVERY = 5.0  # seconds; what a diverged run falls back to


@dataclass
class History:
    """What was measured, one entry a step; the validation lists one entry a measurement. seconds: in the loop."""

    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)  # running averages
    accuracy: list[float] = field(default_factory=list)
    validation_seconds: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)

    def add(self, progress: Progress) -> None:
        self.loss.append(_average(self.loss, progress.loss))
        self.accuracy.append(_average(self.accuracy, progress.train_accuracy))
        if progress.validation_accuracy is not None:
            self.validation_loss.append(progress.validation_loss)
            self.validation_accuracy.append(progress.validation_accuracy)
            self.validation_seconds.append(progress.elapsed)
        self.seconds.append(progress.elapsed)  # last: whoever reads meanwhile goes by its length


@dataclass
class Run:
    """One training. status: queued, loading, running, then finished, stopped or failed; message says why it failed."""

    dataset: str
    variant: str
    config: TrainConfig
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    owner: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    status: str = "queued"
    message: str = ""
    history: History = field(default_factory=History)
    progress: Progress | None = None
    model: ViT | None = None
    stopping: bool = False

    @property
    def live(self) -> bool:
        return self.status in ("queued", "loading", "running")

    @property
    def accuracy(self) -> float | None:
        """The latest on validation images, in [0, 1]."""
        return self.history.validation_accuracy[-1] if self.history.validation_accuracy else None

    @property
    def place(self) -> int:
        """In the queue, from 1; 0 once it has its turn."""
        waiting = [run.id for run in list(RUNS.values()) if run.status == "queued"]
        return waiting.index(self.id) + 1 if self.id in waiting else 0


RUNS: dict[str, Run] = {}  # in order of arrival
_changed = threading.Condition()


def start(dataset: str, variant: str, config: TrainConfig) -> Run:
    """Queues a run and returns at once. Raises ValueError, naming the remedy, on what cannot be trained here."""
    if dataset not in DATASETS:
        raise ValueError(f"No dataset is called {dataset!r}; choose {' or '.join(DATASETS)}.")
    if variant not in VARIANTS:
        raise ValueError(f"No model for 32 px images is called {variant!r}; choose one of {', '.join(VARIANTS)}.")
    if config.minutes is None or config.minutes > MAX_MINUTES:
        raise ValueError(f"A run here may take at most {MAX_MINUTES:g} minutes; choose fewer.")
    if not (config.batch_size == int(config.batch_size) and config.batch_size <= MAX_BATCH):
        raise ValueError(f"The batch size must be a whole number, at most {MAX_BATCH}, got {config.batch_size:g}.")
    with _changed:
        if sum(run.status == "queued" for run in list(RUNS.values())) >= MAX_QUEUE:
            raise ValueError(f"{MAX_QUEUE} runs are waiting already; try again in a few minutes.")
        run = Run(dataset, variant, config)
        RUNS[run.id] = run
        _forget_old()
    threading.Thread(target=_work, args=(run,), name=f"run-{run.id}", daemon=True).start()
    return run


def find(run_id: str) -> Run:
    """Raises ValueError where there is no such run, or none any more."""
    if run_id not in RUNS:
        raise ValueError("There is no such run, or it is no longer kept; start a new one.")
    return RUNS[run_id]


def stop(run_id: str, owner: str) -> Run:
    """Ends a run after the step under way; what it learned is kept. Raises PermissionError for a wrong token."""
    run = find(run_id)
    if not secrets.compare_digest(run.owner.encode(), str(owner).encode()):
        raise PermissionError("Only the page or program that started this run can stop it; you can watch it.")
    with _changed:
        run.stopping = True
        _changed.notify_all()
    return run


def _work(run: Run) -> None:
    with _changed:
        _changed.wait_for(lambda: run.stopping or (run.place == 1 and _busy() < MAX_RUNS))
        run.status = "stopped" if run.stopping else "loading"
        _changed.notify_all()
    try:
        if run.status == "loading":
            for progress in _steps(run):
                run.progress = progress
                run.history.add(progress)
                run.status = "running"
                if run.stopping:
                    break
            _finish(run, "stopped" if run.stopping else "finished")
    except (TrainingDiverged, DatasetUnavailable, ValueError) as error:
        _finish(run, "failed", str(error))
    except Exception as error:  # out of memory, say: the page must not wait for ever
        _finish(run, "failed", f"Training broke off ({type(error).__name__}: {error}). Try a smaller model or batch.")
        raise
    finally:
        with _changed:
            _changed.notify_all()


def _steps(run: Run) -> Iterator[Progress]:
    """The run itself, with a finite state to fall back to. Whatever runs it elsewhere replaces this generator."""
    splits = SOURCES[run.dataset].load()
    torch.manual_seed(run.config.seed)
    shape = {"img_size": splits.train.images.shape[-1], "num_classes": len(splits.train.classes)}
    model = create_model(run.variant, **shape).to(choose_device())
    kept, kept_at = None, 0.0
    try:
        for progress in train(model, splits.train, run.config, splits.validation):
            if progress.elapsed - kept_at >= SNAPSHOT_EVERY and all(p.isfinite().all() for p in model.parameters()):
                kept, kept_at = {name: value.clone() for name, value in model.state_dict().items()}, progress.elapsed
            run.model = model
            yield progress
    except TrainingDiverged:
        run.model = model if kept else None
        if kept:
            model.load_state_dict(kept)
        raise


def _finish(run: Run, status: str, message: str = "") -> None:
    if run.model is not None:
        run.model.eval().to("cpu")
        run.model.trained = {
            "dataset": run.dataset,
            "model": run.variant,
            "validation_accuracy": run.accuracy,
            "steps": run.progress.step,
            "epochs": round(run.progress.epoch, 3),
            "seconds": round(run.progress.elapsed, 1),
            "config": vars(run.config),
        }
    run.message = message
    run.status = status  # last: whoever sees it may use the model


def _busy() -> int:
    return sum(run.status in ("loading", "running") for run in list(RUNS.values()))


def _forget_old() -> None:
    finished = [run.id for run in list(RUNS.values()) if not run.live]
    for run_id in finished[: max(0, len(finished) - KEEP_RUNS)]:
        del RUNS[run_id]


def _average(averages: list[float], value: float) -> float:
    weight = max(1 - SMOOTHING, 1 / (len(averages) + 1))  # a plain mean until there is enough to forget
    return value if not averages else (1 - weight) * averages[-1] + weight * value
