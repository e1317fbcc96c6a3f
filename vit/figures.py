"""Arrays in, matplotlib Figures out; never pyplot, whose global state is not safe between visitors.

matplotlib is imported by the first figure: a command that draws nothing starts without it.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORMAP = "inferno"  # perceptually uniform: equal steps in attention look like equal steps

DIVERGING = "RdBu_r"  # around an even share, which is white: less is blue, more is red

LEGIBLE = 50  # classes of which a confusion matrix has numbers: of more they could not be read


def color_table(name: str = COLORMAP) -> bytes:
    """256 RGB triples of a color map, from weight 0 to the top of the scale: what the page's scripts draw with."""
    from matplotlib import colormaps

    return np.round(colormaps[name](np.arange(256))[:, :3] * 255).astype(np.uint8).tobytes()


def _figure(width: float, height: float) -> Figure:
    """Empty, of so many inches; its canvas is its own, whatever backend the process has."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def encoded(figure: Figure, format: str) -> bytes:
    """As a file of a format that matplotlib knows: png, svg, pdf."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=format)
    return buffer.getvalue()


def attention_figure(
    image: np.ndarray,
    attention: np.ndarray,
    title: str = "",
    vmax: float | None = None,
    colormap: str = COLORMAP,
    name: str = "attention of the class token",
    opacity: float = 0.6,
) -> Figure:
    """The three panels input / attention / overlay.

    image: (H, W, 3), uint8, or float in [0, 1]: de-normalized. attention: (h, w), not negative; drawn with its
    patches as they are in the middle and spread over the image on the right. vmax: weight at the top of the
    color scale, by default the largest one. name: of the map. opacity: of the overlay's color, in [0, 1]. Raises
    ValueError on another shape or range.
    """
    image, attention = np.asarray(image), np.asarray(attention)
    _check_image(image)
    if attention.ndim != 2 or not attention.size or not np.isfinite(attention).all() or attention.min() < 0:
        raise ValueError(f"attention must be (h, w) of finite weights, 0 or more, got shape {attention.shape}.")
    vmax = vmax or float(attention.max()) or 1.0
    figure = _figure(9, 3.3)
    axes = figure.subplots(1, 3)
    axes[0].imshow(image, interpolation="nearest")
    drawn = axes[1].imshow(attention, cmap=colormap, vmin=0, vmax=vmax, interpolation="nearest")
    axes[2].imshow(overlay(image, attention, vmax, opacity, colormap), interpolation="nearest")
    for axis, heading in zip(axes, ("input", name, "overlay")):
        axis.set_title(heading, fontsize=10, parse_math=False)
        axis.set_axis_off()
    bar = figure.colorbar(drawn, ax=axes[1], fraction=0.046, pad=0.02)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    if title:
        figure.suptitle(title, fontsize=11, parse_math=False)
    return figure


def overlay(
    image: np.ndarray,
    attention: np.ndarray,
    vmax: float | None = None,
    opacity: float = 0.6,
    colormap: str = COLORMAP,
) -> np.ndarray:
    """The image in gray under its attention in color: (H, W, 3) uint8.

    image and attention as in attention_figure; H and W are multiples of h and w. opacity: of the color, in [0, 1].
    """
    from matplotlib import colormaps

    image, attention = np.asarray(image), np.asarray(attention)
    _check_image(image)
    pixels = image / 255.0 if image.dtype == np.uint8 else image
    gray = pixels @ np.array([0.299, 0.587, 0.114])  # luma of ITU-R BT.601
    scaled = np.clip(attention / (vmax or float(attention.max()) or 1.0), 0, 1)
    rows, columns = image.shape[0] // attention.shape[0], image.shape[1] // attention.shape[1]
    color = colormaps[colormap](scaled.repeat(rows, axis=0).repeat(columns, axis=1))[..., :3]
    return np.round(255 * ((1 - opacity) * gray[..., None] + opacity * color)).astype(np.uint8)


def _check_image(image: np.ndarray) -> None:
    is_rgb = image.ndim == 3 and image.shape[2] == 3
    if not is_rgb or (image.dtype != np.uint8 and (image.min() < 0 or image.max() > 1)):
        raise ValueError(
            f"Expected an image (H, W, 3), uint8 or float in [0, 1], got shape {image.shape}, {image.dtype}"
            + (f" from {image.min():.2f} to {image.max():.2f}" if is_rgb else "")
            + "; undo the normalization first."
        )


def curve_figure(history: list[dict]) -> Figure:
    """Loss, accuracy and learning rate over the steps of a run.

    history: dicts with step, loss, train_accuracy, lr, validation_loss and validation_accuracy, the last two None
    where nothing was measured. Raises ValueError on an empty history.
    """
    if not history:
        raise ValueError("There is nothing to draw: the history is empty.")
    figure = _figure(10, 3.2)
    axes = figure.subplots(1, 3)
    steps = [line["step"] for line in history]
    validated = [line for line in history if line["validation_accuracy"] is not None]
    for axis, title, train, validation in (
        (axes[0], "loss, nats", "loss", "validation_loss"),
        (axes[1], "accuracy", "train_accuracy", "validation_accuracy"),
    ):
        axis.plot(steps, [line[train] for line in history], color="tab:blue", alpha=0.5, lw=0.8, label="batch")
        if validated:  # not where every image was learned from
            at = [line["step"] for line in validated]
            axis.plot(at, [line[validation] for line in validated], color="tab:orange", marker=".", label="validation")
        axis.set_title(title, fontsize=10)
        axis.legend(fontsize=8, frameon=False)
    axes[1].set_ylim(0, 1)
    axes[2].plot(steps, [line["lr"] for line in history], color="tab:green")
    axes[2].set_title("learning rate", fontsize=10)
    for axis in axes:
        axis.set_xlabel("step", fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def confusion_figure(confusion: np.ndarray, classes: tuple[str, ...]) -> Figure:
    """Counts of true class (rows) against answer (columns); the color is the share of the row.

    confusion: (classes, classes) of counts, which are written into the cells of up to LEGIBLE classes.
    """
    figure = _figure(6.4, 6.0)
    axis = figure.subplots()
    shares = confusion / np.maximum(1, confusion.sum(1, keepdims=True))
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    numbered = np.ndindex(*confusion.shape) if len(classes) <= LEGIBLE else ()
    for row, column in numbered:
        color = "white" if shares[row, column] > 0.5 else "black"
        axis.text(column, row, str(confusion[row, column]), ha="center", va="center", fontsize=8, color=color)
    axis.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=9)
    axis.set_yticks(range(len(classes)), classes, fontsize=9)
    axis.set_xlabel("taken for")
    axis.set_ylabel("true class")
    axis.spines[:].set_visible(False)
    return figure


def reliability_figure(before: list[tuple], after: list[tuple], temperature: float) -> Figure:
    """Accuracy over confidence, without and with the temperature: on the diagonal a model is as sure as it is right.

    before, after: of each bin its count, mean confidence and accuracy; empty bins are left out.
    """
    figure = _figure(4.6, 4.4)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="gray", lw=0.8, ls="--")
    for rows, name, color in (
        (before, "as trained", "tab:orange"),
        (after, f"temperature {temperature:g}", "tab:blue"),
    ):
        filled = [row for row in rows if row[0]]
        axis.plot([row[1] for row in filled], [row[2] for row in filled], marker="o", ms=4, color=color, label=name)
    axis.set_xlabel("confidence")
    axis.set_ylabel("accuracy")
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    axis.legend(fontsize=8, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def rates_figure(rates: list) -> Figure:
    """Images a second of the benchmark as bars, one group a contender; the thin lines are the range of the repeats.

    rates: with contender, row, precision, rates and median, all of them measured.
    """
    from matplotlib import colormaps

    rates = [rate for rate in rates if rate.row not in ("data", "our recipe")]
    names = list(dict.fromkeys(rate.contender for rate in rates))
    kinds = list(dict.fromkeys((rate.row, rate.precision) for rate in rates))
    figure = _figure(9, 0.6 + 0.8 * len(names))
    axis, thick = figure.subplots(), 0.85 / len(kinds)
    for i, kind in enumerate(kinds):
        mine = [rate for rate in rates if (rate.row, rate.precision) == kind]
        at = [names.index(rate.contender) + (i - (len(kinds) - 1) / 2) * thick for rate in mine]
        spread = [[r.median - min(r.rates) for r in mine], [max(r.rates) - r.median for r in mine]]
        color = colormaps["tab20"](i)
        axis.barh(at, [r.median for r in mine], thick, xerr=spread, color=color, label=", ".join(kind))
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xlabel("images a second")
    axis.legend(fontsize=8, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    return figure
