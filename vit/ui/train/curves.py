"""The curves of a run over its time, and those of several runs on top of each other."""

import math
from collections.abc import Sequence

from vit.live.history import History, thin
from vit.live.run import LiveRun
from vit.ui.charts import Axis, Series, chart, clock

POINTS = 300  # of a drawn line at most
OVERLAID_POINTS = 100


def draw(history: History, seconds: float, classes: int, lr: float, reference: tuple[str, float] | None = None) -> str:
    """Loss, accuracy, learning rate.

    seconds, lr: what the run is given; classes: for the chance level; reference: name and accuracy of another model.
    """
    drawn = History(**history.thinned(POINTS))
    time = _minutes(max([seconds, *drawn.seconds[-1:]]))

    def both(training: list[float], validation: list[float]) -> list[Series]:
        return [
            Series("training", drawn.seconds, training, "v-train"),
            Series("validation", drawn.validation_seconds, validation, "v-val"),
        ]

    chance = math.log(classes)
    highest = max(loss for loss in (1.05 * chance, *drawn.loss, *drawn.validation_loss) if math.isfinite(loss))
    loss = _axis(math.ceil(2 * highest) / 2, 2, "{:.2f}")
    levels = [("chance", 1 / classes), *([reference] if reference and not drawn.seconds else [])]
    lrs = [Series("now" if drawn.lr else "", drawn.seconds, drawn.lr, "v-train")]
    return "".join(
        [
            f'<div class="v-charts" style="--end:{time.end:.3f}">',
            chart("Loss, nats", both(drawn.loss, drawn.validation_loss), time, loss, [("chance", chance)]),
            chart("Accuracy", both(drawn.accuracy, drawn.validation_accuracy), time, _axis(1, 4, "{:.0%}"), levels),
            chart("Learning rate", lrs, time, _axis(max([lr, *drawn.lr]), 2, "{:.2g}")),
            "</div>",
        ]
    )


def overlaid(compared: Sequence[tuple[str, str, LiveRun]]) -> str:
    """Validation accuracy of several runs; compared: a name, a color and the run."""
    end = max(run.history.seconds[-1] for _, _, run in compared)
    lines = []
    for name, color, run in compared:
        history, measured = run.history, len(run.history.validation_seconds)
        x, y = (
            thin(values, measured, OVERLAID_POINTS)
            for values in (history.validation_seconds, history.validation_accuracy)
        )
        lines.append(Series(name, x, y, color=color))
    return chart("Validation accuracy", lines, _minutes(end), _axis(1, 2, "{:.0%}"))


def _minutes(end: float) -> Axis:
    return Axis(end, [0, end / 2, end], clock, " min")


def _axis(end: float, parts: int, text: str) -> Axis:
    return Axis(end, [end * part / parts for part in range(parts + 1)], text.format)
