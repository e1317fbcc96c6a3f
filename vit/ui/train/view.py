"""What the Train tab shows of a run: headline and figures, the curves, and the moments of attention forming."""

import base64
import math
from functools import lru_cache
from html import escape

import numpy as np

from vit.data import Dataset, load, select_classes
from vit.data.registry import DATASETS, fallback, label
from vit.live import models, runs, worker
from vit.live.datasets import SOURCES
from vit.live.history import History
from vit.live.run import LiveRun
from vit.live.settings import DEFAULTS, size
from vit.live.space import ON_ZERO
from vit.training.moments import TOP, Album, Moment, Snapshot, probe, take
from vit.training.spec import RunSpec
from vit.ui import pictures, theme
from vit.ui.asking import file
from vit.ui.charts import clock
from vit.ui.checks import check
from vit.ui.errors import BadInput, alert, as_bad_input
from vit.ui.train import curves
from vit.ui.train.animation import animation

BEFORE = "Before training: the weights are random, and so is where it looks. Start training and watch both change."
LIVE = "Live: what the model makes of a few pictures that it does not learn from, drawn again every few seconds."
COST = (
    " It asks for {asked} s of your daily ZeroGPU time, {starting} of them to get going; what it doesn't use stays "
    "yours. Hugging Face lends about 2 minutes a day, and about 5 to those who are signed in."
)
OVER = "The whole run: press Play, or move the slider to see how attention formed."


def charts(run: LiveRun) -> str:
    return curves.draw(run.history, run.settings.config, len(run.settings.classes))


def forming(run: LiveRun) -> dict:
    """What the page draws the moments with; it asks for the moments themselves by their ids."""
    moments = run.album.moments
    if not moments or SOURCES[run.settings.dataset].splits is None:  # after a restart the pictures may still be missing
        return {"run": run.id, "moments": []}
    seen = [{"id": moment.id, **moment.figures} for moment in moments]
    says = LIVE if run.live else OVER
    return {**frame(run.settings), "run": run.id, "moments": seen, "live": run.live, "says": says}


def fetch(wanted: list) -> list[dict]:
    """[run's id or checkpoint's name, moments' ids] -> those of them that are kept; the page's script asks."""
    if len(check("wanted", wanted, list)) != 2:
        raise BadInput(f"wanted must be a run's id and its moments' ids, got {len(wanted)} values; send these two.")
    key, ids = check("wanted[0]", wanted[0], str), check("wanted[1]", wanted[1], list[int])
    return packed(find_album(key).get(ids))


def find_album(key: str) -> Album:
    """The moments of a run, by its id, or of a checkpoint, by its name. Raises BadInput."""
    if (album := models.moments(key)).moments:
        return album
    with as_bad_input():
        return runs.find(key).album


def animate(wanted: list) -> dict:
    """[run's id or checkpoint's name, layer from 1] -> a GIF's name and content, or {"error": a sentence}."""
    try:
        if len(check("wanted", wanted, list)) != 2:
            raise BadInput(f"wanted must be a run's id and a layer, got {len(wanted)} values; send these two.")
        key = check("wanted[0]", wanted[0], str)
        gif = gif_of(key, check("wanted[1]", wanted[1], int))
    except BadInput as error:
        return {"error": error.sentence}
    return file("attention-forming.gif", gif)


def gif_of(key: str, layer: int) -> bytes:
    """How attention formed in a run, by its id, or in a checkpoint's recorded one, by its name. Raises BadInput."""
    album = find_album(key)
    if models.moments(key).moments:
        model = models.find_vit(key)
        dataset, classes, held_out = models.dataset(model), model.classes, model.trained.get("validation_size")
        name, tokens = models.name(model), model.num_tokens
    else:
        spec = runs.find(key).settings
        dataset, classes, held_out = spec.dataset, spec.classes, None
        name, tokens = spec.title, size(spec).tokens
    if SOURCES[dataset].splits is None:
        raise BadInput("The pictures of this run are not loaded yet; ask again in a minute.")
    pictures_ = fixed_pictures(dataset, tuple(classes), held_out).images.permute(0, 2, 3, 1).numpy()
    return animation(album.moments, pictures_, layer - 1, tokens, f"{name} learns {label(dataset)}, layer {layer}")


def untrained(settings: RunSpec) -> dict | None:
    """As forming, before a run: one moment, of the model at its random start; None while the pictures are missing."""
    if SOURCES[settings.dataset].splits is None:
        return None
    start = _start(settings.dataset, settings.model, settings.classes, tuple(settings.shape.items()))
    moments = [{"id": 0, "step": 0, "seconds": 0.0, "epoch": 0.0, "lr": 0.0}]
    own = {"run": "", "says": BEFORE, "moments": moments, "live": False, "inline": packed([Moment(0, start, {})])}
    return {**frame(settings), **own}


@lru_cache(maxsize=16)
def _start(dataset: str, variant: str, classes: tuple[str, ...], shape: tuple) -> Snapshot:
    settings = RunSpec(dataset, variant, DEFAULTS, classes, dict(shape))
    return take(settings.build(), fixed_pictures(dataset, classes))


@lru_cache(maxsize=16)
def fixed_pictures(dataset: str, classes: tuple[str, ...], validation_size: int | None = None) -> Dataset:
    """The pictures of all moments of a run. validation_size: as the run held them out, None for a tenth.

    Raises BadInput where that can't be.
    """
    try:
        splits = SOURCES[dataset].splits if validation_size is None else load(dataset, validation_size=validation_size)
        return probe(select_classes(splits, classes).validation)
    except (ValueError, IndexError) as error:  # as many as there are, or so few that a class is missing
        raise BadInput(f"No pictures can be shown of a run that held out {validation_size}; choose another.") from error


def frame(settings: RunSpec) -> dict:
    """What the moments of such a run are drawn with; its pictures must be loaded."""
    counted = size(settings)
    return {
        **pictures_of(settings.dataset, settings.classes),
        "readout": counted.has_readout,
        "tokens": counted.tokens,
    }


@lru_cache(maxsize=16)
def pictures_of(dataset: str, classes: tuple[str, ...], validation_size: int | None = None) -> dict:
    """The fixed pictures and all that is said of their classes."""
    fixed, entry = fixed_pictures(dataset, classes, validation_size), DATASETS[dataset]
    colors = dict(zip(entry.classes, theme.class_colors(len(entry.classes))))
    return {
        "pictures": [pictures.shared_uri(picture) for picture in fixed.images],
        "labels": fixed.labels.tolist(),
        "classes": list(classes),
        "colors": [colors[name] for name in classes],
        "top": TOP,
    }


def packed(moments: list[Moment]) -> list[dict]:
    """As the page's script unpacks them."""
    return [
        {"id": m.id, "data": base64.b64encode(m.snapshot.data).decode(), "shapes": m.snapshot.shapes} for m in moments
    ]


def ready(settings: RunSpec) -> str:
    """The head before a run: what would be trained on what."""
    source, counted = SOURCES[settings.dataset], size(settings)
    share = len(settings.classes) / len(DATASETS[settings.dataset].classes)
    text = f"{settings.title} starts from random weights and learns {source.label} in {settings.config.minutes:g} min."
    if source.error:
        text = f"{source.label} {source.state}. Start tries once more; {fallback().label} is built in."
    if ON_ZERO:
        text += COST.format(asked=worker.asked(settings), starting=worker.STARTING)
    shown = [
        ("Parameters", f"{counted.parameters:,}"),
        ("Tokens", f"{counted.tokens}"),
        ("Pictures", f"{len(source.splits.train) * share:,.0f}" if source.splits else "–"),
        ("Classes", f"{len(settings.classes)}"),
    ]
    return head("Ready to train", text) + _told(shown)


def empty_charts(settings: RunSpec) -> str:
    """The frame that the run will fill, and how accurate the shipped model of the same data is."""
    shipped = [model for key in models.shipped() if models.dataset(model := models.find(key)) == settings.dataset]
    accuracies = [accuracy for model in shipped if (accuracy := models.accuracy(model)) is not None]
    reference = (f"shipped model, {accuracies[0][1]}", accuracies[0][0]) if accuracies else None
    return curves.draw(History(), settings.config, len(settings.classes), reference)


def panel(run: LiveRun) -> str:
    """Headline, bar and figures of a run."""
    what = f"{run.settings.title} on {label(run.settings.dataset)}"
    progress, source = run.progress, SOURCES[run.settings.dataset]
    warning = alert(run.warning) if run.warning else ""
    if run.status == "queued":
        place = runs.place(run)
        ahead = f"{place - 1} before it" if place > 1 else "next"
        return head(f"Waiting for its turn: {what}", f"Place {place} in the queue, {ahead}.")
    if run.status == "loading":
        text, done = ("Warming up: the first step is the slowest.", 0.0)
        if source.splits is None:
            text, done = f"{source.doing}: {source.fraction:.0%}", source.fraction
        return head(f"Preparing {what}", text, done)
    if run.status == "testing":
        text = f"Testing on pictures it has never seen: {run.tested:.0%}"
        return head(f"Trained {what}", text, run.tested) + figures(run) + warning
    if run.status in ("running", "paused"):
        text = "" if run.status == "running" else "Paused. Look around, change the rate, resume."
        title = "Training" if run.status == "running" else "Paused:"
        done = progress.done if progress else 0.0
        return head(f"{title} {what}", text, done, run.status) + figures(run) + warning
    if progress and run.damaged:
        text = "Its weights were damaged on the server's disk, so there is no model of it any more; train another."
        return head(f"{what} can't be read", text, kind="error") + figures(run)
    if progress is None or not run.usable:
        text = run.message or "It was stopped before its first step; there is no model of it."
        return head(f"{what} ended", text, kind="error" if run.status == "failed" else "")
    if run.status == "failed":
        text = f"{run.message} The last good state is kept and chosen in Classify and Attention."
        return head(f"{what} ended early", text, kind="error") + figures(run) + warning
    verb = {"stopped": "Stopped", "interrupted": "Interrupted"}.get(run.status, "Done")
    return head(f"{verb}: {what}", run.message, kind="done", below=_next(run.id)) + figures(run) + warning


def _next(run_id: str) -> str:
    """What one does with a finished run; its model is the chosen one by then, unless another was chosen since."""
    name = escape(run_id)
    return (
        f'<div class="t-next"><button type="button" data-tab="Classify" data-use="{name}">Classify with it</button>'
        f'<button type="button" data-tab="Attention" data-use="{name}">Look inside it</button>'
        f'<button type="button" data-run="{name}">Copy the run\'s link</button></div>'
    )


def head(title: str, text: str, done: float | None = None, kind: str = "", below: str = "") -> str:
    """below: HTML in the place of a bar."""
    bar = (
        ""
        if done is None
        else (
            f'<div class="v-progress" role="progressbar" aria-label="Training" aria-valuenow="{100 * done:.0f}">'
            f'<i style="width:{100 * done:.1f}%"></i></div>'
        )
    )
    words = f"<p>{escape(text)}</p>" if text else ""
    return f'<div class="v-head {kind}"><h2>{escape(title)}</h2>{words}{bar}{below}</div>'


def figures(run: LiveRun) -> str:
    """How far a run is and how well it does; nothing before its first step, where it can be paused already."""
    progress = run.progress
    if progress is None:
        return ""
    accuracy = ("Validation accuracy", "–" if run.accuracy is None else f"{run.accuracy:.1%}")
    if run.evaluation:
        accuracy = ("Test accuracy", f"{run.evaluation.accuracy:.1%}")
    time = ("Time left", clock(progress.remaining)) if run.live else ("Time", clock(progress.elapsed))
    of = f" of ~{progress.steps:,}" if run.live else ""
    shown = [
        accuracy,
        ("Step", f"{progress.step:,}<small>{of}</small>"),
        ("Epoch", f"{progress.epoch:.2f}"),
        ("Speed", f"{progress.images_per_second:,.0f}<small> images/s</small>"),
        (time[0], f"{time[1]}<small> min</small>"),
    ]
    return _told(shown)


def _told(shown: list[tuple[str, str]]) -> str:
    return '<dl class="v-figures">' + "".join(f"<div><dt>{n}</dt><dd>{v}</dd></div>" for n, v in shown) + "</dl>"


def readable(run: LiveRun, moment: Moment) -> dict:
    """A moment as numbers: its figures, the pictures' classes, probabilities and attention."""
    shapes, start, parts = moment.snapshot.shapes, 0, {}
    for name, shape in shapes.items():
        length = math.prod(shape)
        parts[name] = np.frombuffer(moment.snapshot.data, np.uint8, length, start).reshape(shape) / 255
        start += length
    fixed = fixed_pictures(run.settings.dataset, run.settings.classes)
    return {
        **moment.figures,
        "classes": list(fixed.classes),
        "truth": [fixed.classes[label] for label in fixed.labels.tolist()],
        "probabilities": parts["probabilities"].round(4).tolist(),
        "attention": (TOP * parts["maps"]).round(3).tolist(),
    }
