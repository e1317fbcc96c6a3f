"""A training run with a folder of its own: saved on the way, recorded, and resumed as if never interrupted."""

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from vit.data import Splits
from vit.data.claim import claimed
from vit.data.dataset import fitted
from vit.device import is_first_process
from vit.model import Classifier
from vit.precision import Precision
from vit.training import earlier
from vit.training.finetune import seen_by
from vit.training.loop import finite, train
from vit.training.progress import Progress, TrainingDiverged, extent
from vit.training.record import draw_curve, record
from vit.training.recorder import Recorder
from vit.training.spec import RunSpec
from vit.training.state import TrainState
from vit.training.trial import settle
from vit.weights.checkpoint import CONFIG, STATE, CheckpointError, load_state, save_state

CLAIM = ".training"  # locked while a process trains into the folder


class Run:
    """What `python -m vit train` does, without its words.

    Raises ValueError where model, data, teacher and settings do not fit.
    """

    def __init__(self, folder: Path, spec: RunSpec, splits: Splits, device: torch.device):
        self.folder, self.spec, self.device = folder, spec, device
        self.model = spec.build().to(device)
        channels, size = self.model.config["in_chans"], self.model.config["img_size"]
        self.splits = Splits(*(fitted(split, channels, size) for split in splits))
        if spec.parent is not None:
            self.splits = seen_by(self.model, self.splits)
        self.teacher = Classifier.from_pretrained(spec.distill_from) if spec.distill_from else None
        self.state = TrainState(self.model, spec.config)
        self.pictures = spec.entry.pictures  # asked now: a folder may be gone later
        self.accuracy: float | None = None  # the latest on held-out images
        self.progress: Progress | None = None
        self.recorder: Recorder | None = None

    @staticmethod
    def check_new(folder: Path) -> None:
        """Raises ValueError where a new run, or another model, would overwrite something."""
        if (folder / STATE).exists():
            raise ValueError(
                f"{folder} holds an unfinished run; go on with train --resume {folder}, or choose another folder."
            )
        if (folder / CONFIG).exists():
            raise ValueError(f"{folder} already holds a checkpoint; choose another folder, or delete it first.")

    def restore(self, tensors: dict, numbers: dict) -> None:
        """Goes back to where a saved state was."""
        self.state.restore(tensors, numbers)
        self.accuracy = numbers["accuracy"]

    def settle(self) -> Precision:
        """What it computes in, found by a trial where neither the settings nor a saved state say it."""
        return settle(self.state, self.spec.config, len(self.splits.validation), len(self.splits.train))

    def steps(self, save_every: float, show: Callable[..., object] | None = None) -> Iterator[Progress]:
        """Trains; writes metrics on the way, and the state every so many seconds and when it is stopped.

        show: called as show(fraction, desc=...) while a head's features are computed.
        """
        held_out = self.splits.validation if len(self.splits.validation) else None
        answers = Path(self.spec.distill_answers) if self.spec.distill_answers else None
        training = train(
            self.model, self.splits.train, self.spec.config, held_out, self.state, self.teacher, answers, show
        )
        if not is_first_process():
            yield from training
            return
        saved_at, good = time.monotonic(), True
        self.folder.mkdir(parents=True, exist_ok=True)
        refusal = f"Another process trains into {self.folder}; choose another --out, or wait for it."
        with claimed(self.folder / CLAIM, refusal):
            if not self.state.step:
                earlier.forget(self.folder)  # of a run that broke down before it had a state
            if self.spec.record:
                self.recorder = Recorder(self.folder, self.spec, self.state, self.splits.validation)
            try:
                for progress in record(training, self.folder, self.state.step):
                    self.progress = progress
                    self.accuracy = (
                        self.accuracy if progress.validation_accuracy is None else progress.validation_accuracy
                    )
                    if self.recorder:
                        self.recorder.look(progress, self.accuracy)
                    if progress.done < 1 and time.monotonic() - saved_at >= save_every:
                        self.save()
                        saved_at = time.monotonic()
                    yield progress
            except TrainingDiverged as error:
                good = False
                raise TrainingDiverged(f"{error}{self._fall_back()}") from error
            finally:
                if good and self.progress is not None and self.progress.done < 1:
                    training.close()
                    self.save()

    @property
    def reached(self) -> Progress:
        """The latest progress of a run that has made a step."""
        assert self.progress is not None, "a run without a step has nothing to keep"
        return self.progress

    def save(self) -> None:
        """Writes all that a run needs to go on, unless its weights are broken already."""
        if not finite(self.model):
            return
        numbers = {**self.state.numbers(), "accuracy": self.accuracy, "pictures": self.pictures}
        save_state(self.folder, self.state.tensors(), {"settings": self.spec.saved(), "numbers": numbers})
        if self.recorder:
            self.recorder.save()

    def _fall_back(self) -> str:
        """Makes a checkpoint of the last state that was saved, which is of no other use; a sentence that says so."""
        if not (self.folder / STATE).exists():
            return ""
        _, tensors, numbers = unfinished(self.folder)
        self.restore(tensors, numbers)
        if self.recorder:
            self.recorder.cut()
        self.progress = self._where()
        self.finish()
        (self.folder / STATE).unlink()
        return f" What it had learned by step {self.state.step} is in {self.folder}."

    def _where(self) -> Progress:
        """Where a restored state stands, which knows no loss."""
        state, config = self.state, self.spec.config
        batch = config.batch_size * self.spec.processes
        per_epoch = len(self.splits.train) // batch
        return Progress(
            step=state.step,
            steps=extent(state.step, per_epoch, state.total.seconds, config)[0],
            epoch=state.step / per_epoch,
            done=state.done,
            loss=math.nan,
            train_accuracy=math.nan,
            lr=config.lr,
            images_per_second=state.step * batch / state.updating.seconds,
            elapsed=state.total.seconds,
            remaining=0.0,
        )

    def finish(self) -> None:
        """Writes the checkpoint and the curve, and drops the state once the run is complete."""
        progress = self.reached
        self.model.load_state_dict(self.state.best.state_dict())
        assert self.state.precision is not None, "a step was computed in one"
        spec = self.spec.computed_in(self.state.precision)
        self.model.eval().trained = spec.trained(progress, self.device, self.accuracy, precision=self.state.precision)
        self.model.save_pretrained(self.folder, torch.float16 if self.spec.float16 else None)
        if self.recorder:
            self.recorder.save()
        if progress.done >= 1:
            (self.folder / STATE).unlink(missing_ok=True)
        draw_curve(self.folder)


def unfinished(folder: Path) -> tuple[RunSpec, dict, dict]:
    """Spec, tensors and numbers of the run that a folder holds. Raises CheckpointError where there is none."""
    tensors, about = load_state(folder)
    try:
        return RunSpec.from_saved(about["settings"]), tensors, about["numbers"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"{folder / STATE} doesn't say what its run was ({type(error).__name__}: {error}); start it again."
        ) from error
