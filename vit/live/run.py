"""One training run as the page knows it, and as it is kept on disk."""

import contextlib
import copy
import math
import os
import secrets
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch

from vit.evaluation import Evaluation
from vit.live import storage, worker
from vit.live.datasets import SOURCES
from vit.live.history import History
from vit.live.zerogpu import Letter
from vit.model import ViT
from vit.precision import Precision
from vit.training import Progress
from vit.training.config import TrainConfig
from vit.training.moments import Album
from vit.training.spec import RunSpec
from vit.weights.checkpoint import save_pretrained

UNWATCHED_MINUTES = float(os.getenv("VIT_UNWATCHED_MINUTES", "5"))
LIVE = ("queued", "loading", "running", "paused", "testing")
CURVE = 300  # points of each curve that are kept on disk

changed = threading.Condition()  # that some run's status, or what its owner wants, is another now


@dataclass(kw_only=True)
class Turn:
    """What waits in the queue for its turn to compute, and then has it.

    status: queued, loading, running or paused, testing; then finished, stopped or failed, or interrupted where the
    server went down. message: why it ended early.
    """

    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    owner: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    address: str | None = field(default=None, repr=False)  # of who started it, where it is one person's
    arrived: float = field(default_factory=time.monotonic)
    status: str = "queued"
    message: str = ""
    stopping: bool = False
    watched_at: float = field(default_factory=time.monotonic)

    @property
    def live(self) -> bool:
        return self.status in LIVE

    @property
    def computing(self) -> bool:
        """Whether it has its turn."""
        return self.live and self.status != "queued"

    def owned_by(self, token: str) -> bool:
        return secrets.compare_digest(self.owner.encode(), str(token).encode())

    def end_if_left(self) -> bool:
        """Stops what nobody has watched for too long; returns whether it is to end."""
        if not self.stopping and time.monotonic() - self.watched_at > 60 * UNWATCHED_MINUTES:
            self.message = f"It ended because nobody had watched it for {UNWATCHED_MINUTES:g} minutes."
            self.stopping = True
        return self.stopping


@dataclass
class LiveRun(Turn):
    """One training. warning: what does not stop it. model: where it can't be on disk.

    earlier: what it was at moments that are kept, until they are on disk.
    """

    settings: RunSpec
    warning: str = ""
    history: History = field(default_factory=History)
    album: Album = field(default_factory=Album)
    progress: Progress | None = None
    evaluation: Evaluation | None = None
    tested: float = 0.0  # share of the test pictures
    drawing: float = 0.0  # seconds spent on snapshots
    model: ViT | None = None
    earlier: list[ViT] = field(default_factory=list)
    saved_step: int | None = None  # of what is on disk
    pausing: bool = False
    lr: float | None = None  # the new peak rate, once it was changed
    precision: Precision | None = None  # once it is known
    letter: Letter | None = None  # tells the process where it trains all that, on ZeroGPU
    paused_at: float = field(default_factory=time.monotonic)  # the latest step here, or pause

    @property
    def computing(self) -> bool:
        """Whether it has its turn; while it waits for its data, others have theirs."""
        return super().computing and SOURCES[self.settings.dataset].splits is not None

    @property
    def usable(self) -> bool:
        """Whether there is a model of it to use."""
        return not self.live and (self.model is not None or storage.folder(self.id) is not None)

    @property
    def damaged(self) -> bool:
        """Whether there was a model of it to use, which can't be read any more."""
        return not self.live and not self.usable and storage.exists(self.id)

    @property
    def accuracy(self) -> float | None:
        """The latest on validation images, in [0, 1]."""
        return self.history.validation_accuracy[-1] if self.history.validation_accuracy else None

    @property
    def divergence(self) -> str:
        """A sentence where training ended without a TrainingDiverged and yet it is none: by its loss on pictures that
        it didn't learn from, which is no number, or, after an epoch at least, no better than that of guessing."""
        measured = [*self.history.validation_loss[-1:], *([self.evaluation.loss] if self.evaluation else [])]
        if self.status == "failed":
            return ""
        if not all(map(math.isfinite, measured)):
            return "Its loss on pictures it didn't learn from is no number: it diverged. Try a lower learning rate."
        classes, tested = len(self.settings.classes), self.evaluation
        if self.progress and self.progress.epoch >= 1 and tested and tested.accuracy * classes < 1.5:
            guessing = math.log(classes)
            if tested.loss >= guessing:
                return (
                    f"It learned nothing: its loss on the test pictures, {tested.loss:.2f}, is no better than that of "
                    f"guessing, {guessing:.2f}. Try a lower learning rate, or a longer warm-up."
                )
        return ""

    def steer(self, config: TrainConfig) -> bool:
        """Between two steps: waits while paused, hands on a new rate; False once the run shall end."""
        self.paused_at = time.monotonic()
        while self.pausing and not self.end_if_left():
            self.status = "paused"
            with changed:
                changed.wait(1.0)
        config.lr = self.lr or config.lr
        return not self.end_if_left()

    def keep(self) -> None:
        """Has the model as it is now saved beside the next weights, as what it was at this moment."""
        assert self.model
        moment, done = copy.deepcopy(self.model).half(), self.progress
        moment.trained = (
            self.settings.trained(done, worker.device(), self.accuracy, precision=self.precision)
            if done
            else {"dataset": self.settings.dataset, "model": self.settings.model, "steps": 0}
        )
        self.earlier.append(moment)

    def save(self, status: str) -> None:
        """Weights, history and moments to disk, or a warning; status: what the run is to those who find it there."""
        self.model.trained = self.settings.trained(
            self.progress, worker.device(), self.accuracy, self.evaluation, self.history.changes, self.precision
        )
        try:
            storage.save(self.id, self.model, self._record(status), self.album, self.earlier)
            self.earlier, self.warning, self.saved_step = [], "", self.progress.step
        except OSError as error:
            kept = "loses them" if self.saved_step is None else f"leaves those of step {self.saved_step:,}"
            going = "training goes on" if status == "interrupted" else "download them now"
            reason = error.strerror or type(error).__name__
            self.warning = f"Its weights can't be saved ({reason}): {going}; a restart of the server {kept}."

    @contextlib.contextmanager
    def checkpoint(self) -> Iterator[Path]:
        """A folder with the model that an ended run came to: the saved one, or what could not be saved, written anew.

        Raises ValueError where there is none, OSError where it can't be written.
        """
        if self.live:
            raise ValueError("This model is still being trained; wait until the run ends, or stop it.")
        if self.model is not None:
            with tempfile.TemporaryDirectory() as folder:
                yield save_pretrained(self.model, folder)
        elif folder := storage.folder(self.id):
            yield folder
        else:
            raise ValueError("Nothing of this run is saved, so there is nothing to download or push; train another.")

    @classmethod
    def restore(cls, run_id: str) -> "LiveRun | None":
        """The run as it was saved, None where it was not; a new owner's token, so nobody steers it.

        Raises storage.DamagedRun.
        """
        if (record := storage.record(run_id)) is None:
            return None
        settings = RunSpec(record.dataset, record.variant, record.config, record.classes, record.shape)
        measured = record.evaluation
        run = cls(settings, id=run_id, status=record.status, message=record.message, album=storage.album(run_id))
        run.history, run.progress, run.saved_step = record.history, record.progress, record.progress.step
        run.precision = record.precision
        run.evaluation = measured and Evaluation(**{**vars(measured), "confusion": torch.tensor(measured.confusion)})
        if run.status == "interrupted":
            run.message = (
                f"The server was restarted during this run; what it had learned by step {run.progress.step:,} is kept."
            )
        run.message = run.message or run.divergence
        return run

    def _record(self, status: str) -> dict:
        evaluation = self.evaluation
        return {
            "dataset": self.settings.dataset,
            "variant": self.settings.model,
            "classes": self.settings.classes,
            "shape": self.settings.shape,
            "config": asdict(self.settings.config),
            "precision": self.precision and asdict(self.precision),
            "status": status,
            "message": self.message,
            "progress": asdict(self.progress),
            "history": self.history.thinned(CURVE),
            "evaluation": evaluation and {**vars(evaluation), "confusion": evaluation.confusion.tolist()},
        }
