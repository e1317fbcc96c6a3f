"""Training: the loop as a generator of progress, its settings, and a run that is saved, recorded and resumed."""

from vit.training.config import TrainConfig
from vit.training.loop import finite, train
from vit.training.progress import Progress, TrainingDiverged, processes

__all__ = ["Progress", "TrainConfig", "TrainingDiverged", "finite", "processes", "train"]
