"""Keeps what happened in a run beside its weights: its moments, and the whole model at eight of them.

moments.safetensors is what can be played: maps of chosen pictures, predictions, head statistics and position
similarity, ever further apart. moments/step-.../ are checkpoints like any other, in half the size.
"""

from pathlib import Path

from vit.data import Dataset
from vit.model import ViT
from vit.training import earlier
from vit.training.moments import MOMENTS, Album, Camera, figures, probe, take
from vit.training.progress import Progress
from vit.training.spec import RunSpec
from vit.training.state import TrainState

SHARE = 0.01  # of the training time at most; the eight models that are kept come on top


class Recorder:
    """Records a run into a folder, as it goes: the average of its weights where one is kept.

    pictures: held-out images, of which `probe` takes a few. A resumed run goes on from where its state was saved, and
    what was recorded after that is dropped. left_out: a sentence on moments that could not be read.
    Raises ValueError for a model without attention. Methods raise OSError where the disk is full; what was recorded
    before stays whole.
    """

    def __init__(self, folder: Path, spec: RunSpec, state: TrainState, pictures: Dataset):
        if not isinstance(state.best, ViT):
            raise ValueError(f"{spec.model} has no attention, so there is nothing to record; leave out --record.")
        if not len(pictures):
            raise ValueError("What is recorded are maps of held-out images; hold some out (--validation-size).")
        self.folder, self.spec, self.state, self.model = folder, spec, state, state.best
        self.pictures = probe(pictures)
        self.camera = Camera(self.model, self.pictures, SHARE, longest=float("inf"), statistics=True)
        self.album, self.left_out = Album(), ""
        self.reached = earlier.reached(state.done)
        if state.step:
            self._go_on()
        else:
            self.album.add(take(self.model, self.pictures, statistics=True), figures())
            self._keep_model({"dataset": spec.dataset, "model": spec.model, "steps": 0})

    def look(self, progress: Progress, accuracy: float | None) -> None:
        """After a step. accuracy: the latest on held-out images."""
        if snapshot := self.camera.look(progress):
            loss, right = progress.loss, progress.train_accuracy
            self.album.add(snapshot, figures(progress, loss=loss, accuracy=right, validation=accuracy))
        if earlier.reached(progress.done) > self.reached:
            self.reached = earlier.reached(progress.done)
            device = next(self.model.parameters()).device
            self._keep_model(self.spec.trained(progress, device, accuracy))

    def save(self) -> None:
        """Writes the moments, in place of those that were written before."""
        self.album.save(self.folder / MOMENTS)

    def cut(self) -> None:
        """Drops what was recorded after the step to which the state has gone back."""
        self.album.cut(self.state.step)
        earlier.forget(self.folder, self.state.step)

    def _go_on(self) -> None:
        try:
            self.album = Album.load(self.folder / MOMENTS, self.model)
        except (OSError, ValueError) as error:
            self.left_out = f"What was recorded in {self.folder} is left out: {error}."
        self.cut()
        self.camera.taken_at = self.state.total.seconds

    def _keep_model(self, trained: dict) -> None:
        self.model.trained = trained
        earlier.keep(self.model, self.folder, self.state.step)
