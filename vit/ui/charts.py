"""Charts: SVG lines without text, stretched over HTML labels that keep their size."""

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby
from typing import NamedTuple

LEGEND = 12  # percent of the height at the top, where a name over its line would reach into the legend


class Series(NamedTuple):
    """A line with gaps where y is not finite. name: in the legend, or ''. kind: a CSS class; color: if it has none."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    kind: str = ""
    color: str = ""


class Axis(NamedTuple):
    """From 0 to end. ticks: where labels stand, evenly spaced on the x axis; unit: goes with the last one."""

    end: float
    ticks: Sequence[float]
    text: Callable[[float], str]
    unit: str = ""


def chart(
    title: str, series: Sequence[Series], x: Axis, y: Axis, levels: Sequence[tuple[str, float]] = (), note: str = ""
) -> str:
    """A chart with a legend of the latest values. levels: (label, value), drawn as dashed lines across. note: a
    sentence below it, so that charts side by side keep their titles and plots in line."""

    def height(value: float) -> float:
        return 100 * (1 - min(value, y.end) / y.end) if math.isfinite(value) else math.nan

    grid = "".join(f'<path class="v-grid" d="M0 {height(tick):.1f}H100"/>' for tick in y.ticks)
    dashes = "".join(f'<path class="v-level" d="M0 {height(value):.1f}H100"/>' for _, value in levels)
    marks = "".join(f'<span class="v-y" style="top:{height(tick):.1f}%">{y.text(tick)}</span>' for tick in y.ticks)
    names = "".join(
        f'<span class="v-level-name{" under" if height(value) < LEGEND else ""}" style="top:{height(value):.1f}%">'
        f"{escape(name)} {y.text(value)}</span>"
        for name, value in levels
    )
    lines, points, legend = "", "", ""
    for line in series:
        color = f"--line:{line.color};" if line.color else ""
        places = [(100 * at / x.end, height(value)) for at, value in zip(line.x, line.y, strict=True)]
        lines += _polylines(line.kind, color, places)
        if places and math.isfinite(places[-1][1]):
            left, top = places[-1]
            points += f'<i class="v-dot {line.kind}" style="{color}left:{left:.2f}%;top:{top:.2f}%"></i>'
        if not line.name:
            continue
        latest = f" {y.text(line.y[-1]) if math.isfinite(line.y[-1]) else 'not a number'}" if line.y else ""
        legend += f'<span class="v-key {line.kind}" style="{color}">{escape(line.name)}<b>{latest}</b></span>'
    below = f'<small class="v-note">{escape(note)}</small>' if note else ""
    labels = "".join(f"<span>{x.text(tick)}{x.unit if tick == x.ticks[-1] else ''}</span>" for tick in x.ticks)
    return (
        f'<figure class="v-chart"><figcaption><b>{escape(title)}</b>{legend}</figcaption><div class="v-plot">'
        f'<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{escape(title)}">'
        f'{grid}{dashes}{lines}</svg>{points}{marks}{names}<i class="v-cursor"></i></div>'
        f'<div class="v-x">{labels}</div>{below}</figure>'
    )


def _polylines(kind: str, color: str, places: list[tuple[float, float]]) -> str:
    """One for each stretch of finite places; an empty one where there is none."""
    stretches = [list(group) for finite, group in groupby(places, lambda place: math.isfinite(place[1])) if finite]
    lines = [" ".join(f"{left:.2f},{top:.2f}" for left, top in stretch) for stretch in stretches or [[]]]
    return "".join(f'<polyline class="{kind}" style="{color}" points="{line}"/>' for line in lines)


def clock(seconds: float) -> str:
    """Minutes and seconds, as on a clock."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
