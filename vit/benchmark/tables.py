"""What was measured, as Markdown: rates, what each part of a change of tools is worth, accuracies, files compared."""

import itertools
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vit.benchmark.machine import SAME
from vit.benchmark.rates import PRECISIONS, RECIPE, ROWS, Rate, TimedAccuracy


@dataclass(frozen=True)
class Factor:
    """What one change is worth: images a second after it, as a multiple of those before."""

    change: str
    times: float
    before: float
    after: float


def tables(measured: list[Rate], timed: list[TimedAccuracy]) -> list[str]:
    """Only what there is."""
    parts = [_rate_table(measured)] if measured else []
    parts += [_factor_table(parted)] if (parted := factors(measured)) else []
    return parts + ([_accuracy_table(timed)] if timed else [])


def factors(measured: list[Rate]) -> list[Factor]:
    """From the tutorial's model and loop in float32 to this package, one change after the other; the last is all.

    Precision first, in the tutorial's own loop; then the loop, the model, and the recipe, each in the faster precision.
    Empty where one of them was not measured.
    """
    medians = {(rate.contender, rate.row, rate.precision): rate.median for rate in measured if rate.median}

    usual = "tutorial", "usual loop"
    best = max(PRECISIONS, key=lambda precision: medians.get((*usual, precision), 0.0))
    keys = {
        "": (*usual, "float32"),
        f"precision: {best}": (*usual, best),
        "loop": ("tutorial", "our loop", best),
        "model": ("ours", "our loop", best),
        "recipe: half of the patches, Muon": ("ours", RECIPE, best),
    }
    if any(key not in medians for key in keys.values()):
        return []
    stations = [(change, medians[key]) for change, key in keys.items()]
    parts = [
        Factor(change, after / before, before, after) for (_, before), (change, after) in itertools.pairwise(stations)
    ]
    first, last = parts[0].before, parts[-1].after
    return [*parts, Factor("all of them", last / first, first, last)]


def compared(files: list[Path]) -> str:
    """Medians of several benchmark.json of one machine, side by side, each beside the first file's.

    Raises ValueError, naming what differs, for those of different machines, and for what is no such file.
    """
    reports = {file: _read(file) for file in files}
    first, *others = files
    for file in others:
        here, there = reports[first]["machine"], reports[file]["machine"]
        if other := [name for name in SAME if here[name] != there[name]]:
            name = other[0]
            raise ValueError(
                f"{file} was measured on another machine than {first}: its {name} is {there[name]}, there "
                f"{here[name]}. Only figures of one machine can be compared; measure both on the same."
            )
    rows: dict[tuple[str, str, str], dict[Path, float]] = {}
    for file, report in reports.items():
        for rate in report.get("rates", ()):
            if rate["rates"]:
                key = rate["contender"], rate["row"], rate["precision"]
                rows.setdefault(key, {})[file] = statistics.median(rate["rates"])
    lines = ["| images/s | " + " | ".join(map(str, files)) + " |", "| --- |" + " --- |" * len(files)]
    for key, medians in rows.items():
        cells = [f"{medians[first]:.0f}" if first in medians else ""]
        for file in others:
            times = f" ({medians[file] / medians[first]:.2f}x)" if {first, file} <= medians.keys() else ""
            cells.append(f"{medians[file]:.0f}{times}" if file in medians else "")
        lines.append(f"| {', '.join(key)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _read(file: Path) -> Mapping:
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
        machine = report["machine"]
        if not all(name in machine for name in SAME):
            raise KeyError("machine")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{file} doesn't say on which machine it was measured, as a benchmark.json does ({type(error).__name__}: "
            f"{error}); measure it again with --out."
        ) from error
    return report


def _rate_table(measured: list[Rate]) -> str:
    """Medians, with the range of the repeats in brackets."""
    columns = [(row, precision) for row in ROWS[1:] for precision in PRECISIONS]
    heads = [f"{row}, {precision}" for row, precision in columns]
    lines = ["| images/s | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for name in dict.fromkeys(rate.contender for rate in measured if rate.row != "data"):
        cells = {(rate.row, rate.precision): _cell(rate) for rate in measured if rate.contender == name}
        lines.append(f"| {name} | " + " | ".join(cells.get(column, "") for column in columns) + " |")
    apart = {"data": "Batches alone", RECIPE: "By our recipe"}
    lines += [f"\n{apart[r.row]}, {r.contender}, {r.precision}: {_cell(r)}" for r in measured if r.row in apart]
    return "\n".join(lines)


def _factor_table(parts: list[Factor]) -> str:
    lines = ["| from the tutorial's script to this package | images/s | times as many |", "| --- | --- | --- |"]
    lines += [f"| {part.change} | {part.before:.0f} to {part.after:.0f} | {part.times:.2f} |" for part in parts]
    return "\n".join(lines)


def _accuracy_table(measured: list[TimedAccuracy]) -> str:
    """The accuracies as Markdown: median and range over the seeds."""
    lines = ["| trained | minutes | test accuracy | seeds | images/s |", "| --- | --- | --- | --- | --- |"]
    for row in measured:
        low, high = min(row.accuracies), max(row.accuracies)
        share = f"{statistics.median(row.accuracies):.2%} ({low:.2%} to {high:.2%})"
        lines.append(
            f"| {row.contender} | {row.minutes:g} | {share} | {len(row.accuracies)} | {row.images_per_second:.0f} |"
        )
    return "\n".join(lines)


def _cell(rate: Rate) -> str:
    return f"{rate.median:.0f} ({min(rate.rates):.0f}-{max(rate.rates):.0f})" if rate.rates else rate.note
