"""What is kept on disk of a run beside its model, checked when it is read back."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ValidationError, model_validator

from vit.data.registry import DATASETS
from vit.live.history import History
from vit.live.settings import SHAPE, VARIANTS
from vit.precision import Precision
from vit.training import Progress
from vit.training.config import TrainConfig, current_names

LARGEST = 1e12  # of any figure but a loss: what is drawn from larger ones is no number any more
LOSSES = ("loss", "validation_loss")  # of a run that diverged they may be anything


class Measured(BaseModel):
    """An Evaluation; confusion: rows of counts."""

    accuracy: float
    loss: float
    n: int
    images_per_second: float
    confusion: list[list[int]]


class Record(BaseModel):
    """A run that has ended, or would have where the server went down."""

    dataset: str
    variant: Literal[VARIANTS]
    classes: tuple[str, ...]
    shape: dict[Literal[SHAPE], int | str]
    config: Annotated[TrainConfig, BeforeValidator(current_names)]
    precision: Precision | None = None  # not known of runs from before it was tried for
    status: Literal["finished", "stopped", "failed", "interrupted"]
    message: str
    progress: Progress
    history: History
    evaluation: Measured | None

    @model_validator(mode="after")
    def _check(self) -> "Record":
        history, n = self.history, len(self.classes)
        for group in (("seconds", "loss", "accuracy", "lr"), tuple(k for k in vars(history) if "validation" in k)):
            lengths = {name: len(getattr(history, name)) for name in group}
            if len(set(lengths.values())) != 1:
                raise ValueError(f"the history's lists should be equally long, got {lengths}")
        if not history.seconds or history.seconds[-1] <= 0:
            raise ValueError("the history should have a step that took some time")
        if self.dataset not in DATASETS:
            raise ValueError(f"the dataset should be one of {', '.join(DATASETS)}, got {self.dataset!r}")
        if n < 2 or len(set(self.classes) & set(DATASETS[self.dataset].classes)) != n:
            raise ValueError(f"classes should be two or more of {self.dataset}'s, each once, got {self.classes}")
        if self.config.minutes is None:
            raise ValueError("the config should have minutes")
        confusion = self.evaluation.confusion if self.evaluation else []
        if self.evaluation and (len(confusion) != n or any(len(row) != n for row in confusion)):
            raise ValueError(f"the confusion should be {n} x {n} counts")
        for name, number in _numbers("", self.model_dump()):
            if number < -1e-6 or not (name in LOSSES or number <= LARGEST):
                raise ValueError(f"all figures should be from 0 to {LARGEST:g}, got {number}")
        return self


def parse(text: str) -> Record:
    """Raises ValueError that names, in a line, the first thing that is wrong."""
    try:
        return Record.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'the record'}: {first['msg']}") from error


def _numbers(name: str, value: object) -> Iterator[tuple[str, float]]:
    """Every number with the name of the field that it stands in."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(key, item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(name, item)
    elif isinstance(value, int | float):
        yield name, value
