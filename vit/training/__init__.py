"""Training: the loop as a generator of progress, its settings, and a run that is saved, recorded and resumed."""

from vit.training.config import TrainConfig
from vit.training.loop import Progress, TrainingDiverged, finite, processes, train

__all__ = ["Progress", "TrainConfig", "TrainingDiverged", "finite", "processes", "train"]
