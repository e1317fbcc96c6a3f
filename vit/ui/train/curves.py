"""The curves of a run over its time, and those of several runs on top of each other."""

import math
from collections.abc import Callable, Sequence

from vit.live.history import History, thin
from vit.live.run import LiveRun
from vit.training.config import TrainConfig
from vit.ui.charts import Axis, Series, chart, clock

POINTS = 300  # of a drawn line at most
OVERLAID_POINTS = 100
HIGHEST = 20  # losses so many times chance's end the axis
PLAIN = "Of whole pictures as they are, with their labels."


def draw(history: History, config: TrainConfig, classes: int, reference: tuple[str, float] | None = None) -> str:
    """Accuracy, both losses, learning rate.

    The losses have a chart each: the training loss is what is minimized, of pictures and labels made harder, and says
    nothing beside the validation loss; where it was not measured it has none. config: of a run that has begun, or
    bounded by minutes; classes: for the chance level; reference: name and accuracy of another model.
    """
    drawn = History(**history.thinned(POINTS))
    time = _minutes(max([60 * (config.minutes or 0), *drawn.seconds[-1:]]))
    training, validation = (drawn.seconds, "v-train"), (drawn.validation_seconds, "v-val")

    def line(of: tuple[list[float], str], values: list[float], name: str) -> Series:
        return Series(name, of[0], values, of[1])

    chance = math.log(classes)
    losses = [loss for loss in (*drawn.loss, *drawn.validation_loss) if math.isfinite(loss)]
    highest = min(max([1.05 * chance, *losses]), HIGHEST * chance)
    loss = _axis(math.ceil(2 * highest) / 2, 2, _loss_text)
    levels = [("chance", 1 / classes), *([reference] if reference and not drawn.seconds else [])]
    accuracies = [
        line(training, drawn.accuracy, "training batches"),
        line(validation, drawn.validation_accuracy, "validation"),
    ]
    floor = [("least", least)] if (least := _least_loss(config, classes)) else []
    guessing = [] if config.distill else [("chance", chance), *floor]  # with a teacher's answers it is another loss
    lr = _axis(max([config.lr, *drawn.lr]), 2, "{:.2g}".format)
    measured = len(drawn.validation_loss) == len(drawn.validation_seconds)  # which moments of a run don't hold
    drawings = [
        chart("Accuracy", accuracies, time, _axis(1, 4, "{:.0%}".format), levels, _why_above(drawn, config)),
        chart(
            "Training loss, nats",
            [line(training, drawn.loss, "now")],
            time,
            loss,
            guessing,
            _harder(config),
        ),
        chart("Learning rate", [line(training, drawn.lr, "now" if drawn.lr else "")], time, lr),
    ]
    if measured:
        of_whole = [line(validation, drawn.validation_loss, "now")]
        drawings.insert(2, chart("Validation loss, nats", of_whole, time, loss, [("chance", chance)], PLAIN))
    return f'<div class="v-charts" style="--end:{time.end:.3f}">{"".join(drawings)}</div>'


def _why_above(history: History, config: TrainConfig) -> str:
    """Why validation lies above training, while it does."""
    training, validation = history.accuracy[-1:], history.validation_accuracy[-1:]
    changes = _changes(config)
    if not changes or not training or validation <= training:
        return ""
    return f"Validation lies above training, which is harder: {changes[-1]}."


def _harder(config: TrainConfig) -> str:
    """What sets the training loss apart from the loss on whole pictures with plain labels."""
    done = [f"labels smoothed by {config.label_smoothing:g}"] if config.label_smoothing else []
    if config.distill:
        done.append(f"a teacher's answers for {config.distill_alpha:.0%} of it")
    done += _changes(config)
    return f"What it minimizes: {', '.join(done)}." if done else "Of the batches it learns from."


def _changes(config: TrainConfig) -> list[str]:
    """What is done to the pictures that it learns from."""
    done = []
    if config.patch_dropout:
        until = f" until {config.strong_until:.0%} of the time" if config.strong_until < 1 else ""
        done.append(f"{config.patch_dropout:.0%} of the patches left out{until}")
    if config.mixup or config.cutmix:
        done.append("pictures mixed")
    if config.degrade:
        done.append(f"{config.degrade:.0%} of the pictures blurred, noisy or saved as JPEG")
    if config.crop or config.flip or config.erase or config.color:
        done.append("pictures changed at random")
    return done


def _least_loss(config: TrainConfig, classes: int) -> float:
    """Entropy of a smoothed label, which no prediction's loss is below; 0 without smoothing, or where labels mix."""
    if not config.label_smoothing or config.mixup or config.cutmix:
        return 0.0
    other = config.label_smoothing / classes
    true = 1 - (classes - 1) * other
    return -true * math.log(true) - (classes - 1) * other * math.log(other)


def _loss_text(loss: float) -> str:
    return f"{loss:.2f}" if loss < 1e4 else f"{loss:.0e}"


def overlaid(compared: Sequence[tuple[str, str, LiveRun]]) -> str:
    """Validation accuracy of several runs; compared: a name, a color and the run.

    Whatever is drawn of the first has the class t-run-0, and so on: the page shows those that are ticked.
    """
    end = max(run.history.seconds[-1] for _, _, run in compared)
    lines = []
    for i, (name, color, run) in enumerate(compared):
        history, measured = run.history, len(run.history.validation_seconds)
        x, y = (
            thin(values, measured, OVERLAID_POINTS)
            for values in (history.validation_seconds, history.validation_accuracy)
        )
        lines.append(Series(name, x, y, f"t-run-{i}", color))
    return chart("Validation accuracy", lines, _minutes(end), _axis(1, 2, "{:.0%}".format))


def _minutes(end: float) -> Axis:
    return Axis(end, [0, end / 2, end], clock, " min")


def _axis(end: float, parts: int, text: Callable[[float], str]) -> Axis:
    return Axis(end, [end * part / parts for part in range(parts + 1)], text)
