"""A run's history as small charts: SVG lines without text, stretched over HTML labels that keep their size."""

import math
from html import escape

from vit.live.history import History

POINTS = 300  # of a drawn line at most
LEGEND = 12  # percent of the height at the top, where a name over its line would reach into the legend


def draw(history: History, seconds: float, classes: int, lr: float, reference: tuple[str, float] | None = None) -> str:
    """The charts. seconds, lr: what the run is given; classes: for the chance level; reference: name, accuracy."""
    drawn = History(**history.thinned(POINTS))
    n, x, vx = len(drawn.seconds), drawn.seconds, drawn.validation_seconds
    end = max([seconds, *x[-1:]])
    loss, vloss, accuracy, vaccuracy = drawn.loss, drawn.validation_loss, drawn.accuracy, drawn.validation_accuracy
    chance = math.log(classes)
    top = math.ceil(2 * max([chance * 1.05, *loss, *vloss])) / 2
    losses = _chart(
        "Loss, nats", (x, loss), (vx, vloss), end, top, [0, top / 2, top], "{:.2f}".format, [("chance", chance)]
    )
    levels = [("chance", 1 / classes), *([reference] if reference and not n else [])]
    accuracies = _chart(
        "Accuracy", (x, accuracy), (vx, vaccuracy), end, 1.0, [0, 0.25, 0.5, 0.75, 1], "{:.0%}".format, levels
    )
    most = max([lr, *drawn.lr])
    rates = _chart("Learning rate", (x, drawn.lr), None, end, most, [0, most / 2, most], "{:.2g}".format, [])
    return f'<div class="v-charts" style="--end:{end:.3f}">{losses}{accuracies}{rates}</div>'


def _chart(title, training, validation, end, top, ticks, text, levels) -> str:
    """One chart. training, validation: (seconds, values); levels: (label, value) drawn as dashed lines across."""

    def height(value: float) -> float:
        return 100 * (1 - min(value, top) / top)

    grid = "".join(f'<path class="v-grid" d="M0 {height(tick):.1f}H100"/>' for tick in ticks)
    dashes = "".join(f'<path class="v-level" d="M0 {height(value):.1f}H100"/>' for _, value in levels)
    series = [("v-train", "training", *training), *([("v-val", "validation", *validation)] if validation else [])]
    lines = "".join(_line(kind, seconds, values, end, height) for kind, _, seconds, values in series)
    marks = "".join(f'<span class="v-y" style="top:{height(tick):.1f}%">{text(tick)}</span>' for tick in ticks)
    names = "".join(
        f'<span class="v-level-name{" under" if height(value) < LEGEND else ""}" style="top:{height(value):.1f}%">'
        f"{escape(name)} {text(value)}</span>"
        for name, value in levels
    )
    points = "".join(_point(kind, seconds, values, end, height) for kind, _, seconds, values in series)
    named = [(kind, name if validation else "now", values) for kind, name, _, values in series if validation or values]
    legend = "".join(_legend(*key, text) for key in named)
    return (
        f'<figure class="v-chart"><figcaption><b>{title}</b>{legend}</figcaption><div class="v-plot">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{title} over time">'
        f'{grid}{dashes}{lines}</svg>{points}{marks}{names}<i class="v-cursor"></i></div>'
        f'<div class="v-x"><span>0</span><span>{clock(end / 2)}</span><span>{clock(end)} min</span></div></figure>'
    )


def _line(kind: str, seconds: list[float], values: list[float], end: float, height) -> str:
    points = " ".join(f"{100 * x / end:.2f},{height(y):.2f}" for x, y in zip(seconds, values, strict=True))
    return f'<polyline class="{kind}" points="{points}"/>'


def _point(kind: str, seconds: list[float], values: list[float], end: float, height) -> str:
    if not values:
        return ""
    return f'<i class="v-dot {kind}" style="left:{100 * seconds[-1] / end:.2f}%;top:{height(values[-1]):.2f}%"></i>'


def _legend(kind: str, name: str, values: list[float], text) -> str:
    latest = f" {text(values[-1])}" if values else ""
    return f'<span class="v-key {kind}">{name}<b>{latest}</b></span>'


def clock(seconds: float) -> str:
    """Minutes and seconds, as on a clock."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
