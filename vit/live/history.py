"""What was measured in a run."""

from dataclasses import dataclass, field

from vit.training import Progress

SMOOTHING = 0.9  # of the running averages that are drawn


@dataclass
class History:
    """One entry a step; the validation lists one entry a measurement. seconds: in the loop. changes: of the rate."""

    seconds: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)  # running averages
    accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    validation_seconds: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: list[float] = field(default_factory=list)
    changes: list[tuple[float, float]] = field(default_factory=list)  # (seconds, new peak rate)

    def add(self, progress: Progress) -> None:
        self.loss.append(_average(self.loss, progress.loss))
        self.accuracy.append(_average(self.accuracy, progress.train_accuracy))
        self.lr.append(progress.lr)
        if progress.validation_accuracy is not None:
            self.validation_loss.append(progress.validation_loss)
            self.validation_accuracy.append(progress.validation_accuracy)
            self.validation_seconds.append(progress.elapsed)
        self.seconds.append(progress.elapsed)  # last: whoever reads meanwhile goes by its length

    def thinned(self, points: int) -> dict[str, list]:
        """At most that many entries of each list, the last one always among them."""
        n, m = len(self.seconds), len(self.validation_seconds)
        ends = {name: m if name.startswith("validation") else n for name in vars(self)} | {"changes": len(self.changes)}
        return {name: thin(values, ends[name], points) for name, values in vars(self).items()}


def thin(values: list, n: int, points: int) -> list:
    """At most that many of the first n values, evenly chosen, the last one always among them."""
    stride = max(1, -(-n // points))
    return values[:n][::-1][::stride][::-1]


def _average(averages: list[float], value: float) -> float:
    weight = max(1 - SMOOTHING, 1 / (len(averages) + 1))  # a plain mean until there is enough to forget
    return value if not averages else (1 - weight) * averages[-1] + weight * value
