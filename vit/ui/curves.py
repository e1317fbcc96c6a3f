"""A run's history as two small charts: SVG lines without text, stretched over HTML labels that keep their size."""

import math
from html import escape

from vit.ui.runs import History

POINTS = 300  # of a drawn line at most


def thin(values: list[float], n: int, points: int = POINTS) -> list[float]:
    """At most that many of the first n values, evenly chosen, the last one always among them."""
    stride = max(1, math.ceil(n / points))
    return values[:n][::-1][::stride][::-1]


def draw(history: History, seconds: float, classes: int, reference: tuple[str, float] | None = None) -> str:
    """Both charts. seconds: what the run is given; classes: for the chance level; reference: name, accuracy."""
    n, m = len(history.seconds), len(history.validation_seconds)
    x, vx = thin(history.seconds, n), thin(history.validation_seconds, m)
    end = max([seconds, *x[-1:]])
    loss, vloss = thin(history.loss, n), thin(history.validation_loss, m)
    accuracy, vaccuracy = thin(history.accuracy, n), thin(history.validation_accuracy, m)
    chance = math.log(classes)
    top = math.ceil(2 * max([chance * 1.05, *loss, *vloss])) / 2
    losses = _chart(
        "Loss, nats", (x, loss), (vx, vloss), end, top, [0, top / 2, top], "{:.2f}".format, [("chance", chance)]
    )
    levels = [("chance", 1 / classes), *([reference] if reference and not n else [])]
    accuracies = _chart(
        "Accuracy", (x, accuracy), (vx, vaccuracy), end, 1.0, [0, 0.25, 0.5, 0.75, 1], "{:.0%}".format, levels
    )
    return f'<div class="v-charts">{losses}{accuracies}</div>'


def _chart(title, training, validation, end, top, ticks, text, levels) -> str:
    """One chart. training, validation: (seconds, values); levels: (label, value) drawn as dashed lines across."""

    def height(value: float) -> float:
        return 100 * (1 - min(value, top) / top)

    grid = "".join(f'<path class="v-grid" d="M0 {height(tick):.1f}H100"/>' for tick in ticks)
    dashes = "".join(f'<path class="v-level" d="M0 {height(value):.1f}H100"/>' for _, value in levels)
    lines = _line("v-train", *training, end, height) + _line("v-val", *validation, end, height)
    marks = "".join(f'<span class="v-y" style="top:{height(tick):.1f}%">{text(tick)}</span>' for tick in ticks)
    names = "".join(
        f'<span class="v-level-name" style="top:{height(value):.1f}%">{escape(name)} {text(value)}</span>'
        for name, value in levels
    )
    points = _point("v-train", *training, end, height) + _point("v-val", *validation, end, height)
    legend = _legend("v-train", "training", training[1], text) + _legend("v-val", "validation", validation[1], text)
    return (
        f'<figure class="v-chart"><figcaption><b>{title}</b>{legend}</figcaption><div class="v-plot">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{title} over time">'
        f"{grid}{dashes}{lines}</svg>{points}{marks}{names}</div>"
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
