"""Heads over many pictures: which matter to the prediction, and which favor which region. Progress, then a table."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape

import gradio as gr
import torch

from vit.data import Dataset, select_classes
from vit.data.pictures import fit
from vit.data.registry import label
from vit.interpret import heads
from vit.interpret.describe import layer_names
from vit.interpret.heads import HeadImportance, HeadRegions
from vit.live import models
from vit.live.datasets import SOURCES
from vit.model import ViT
from vit.ui import pictures, waiting
from vit.ui.checks import check, checked
from vit.ui.endpoints import MODEL, unseen
from vit.ui.errors import BadInput, as_bad_input
from vit.ui.quiet import QUIET

MAX_PICTURES = 1000
BATCH = 20
NOW = "(...inputs) => [...inputs.slice(0, -1), performance.now()]"


@checked
def head_importance(model: str | None, pictures: float) -> Iterator[dict]:
    """What switching off each head alone costs the true class's probability, over that many test pictures."""
    for importance in _importance(model, pictures):
        low, high = importance.interval
        numbers = {"drop": importance.drop, "low": low, "high": high}
        yield {"done": importance.done, "n": importance.n} | {name: _listed(values) for name, values in numbers.items()}


@checked
def head_regions(model: str | None, pictures: float) -> Iterator[dict]:
    """Which head's class token favors which region, over that many test pictures; examples index the test set."""
    vit, dataset, places = model_and_pictures(model, pictures)
    for regions in heads.head_regions(vit, dataset, BATCH):
        rows = []
        for row in regions.ranked(100):
            seen_in = [places[i] for i in row["examples"]]
            rows.append({**row, "layer": row["layer"] + 1, "head": row["head"] + 1, "examples": seen_in})
        yield {"done": regions.done, "n": regions.n, "ranked": rows}


@checked
def show_importance(model: str | None, pictures: float) -> Iterator[str]:
    for importance in _importance(model, pictures):
        table = importance_table(importance, model or models.default()) if importance.n > 1 else ""
        yield _progress(importance.done, importance.n, int(pictures), model) + table


@checked
def show_regions(model: str | None, pictures: float) -> Iterator[str]:
    vit, dataset, _ = model_and_pictures(model, pictures)
    for regions in heads.head_regions(vit, dataset, BATCH):
        yield _progress(regions.done, regions.n, int(pictures), model) + regions_table(regions, dataset)


def newest(study: Callable[..., Iterator[str]]) -> Callable[..., Iterator[str | dict]]:
    """The study as a button of the page calls it: it ends where another was asked for since, or all were stopped.

    latest: when that was, by the page's clock, alone in a list that all of a page share; at: when this one was.
    """

    def show(model: str | None, pictures: float, latest: list[float], at: float) -> Iterator[str | dict]:
        end_earlier(latest, at)
        for shown in study(model, pictures):
            if latest[0] > at:
                break
            yield shown
        if latest[0] > at:
            yield gr.skip()  # Gradio sends the last once more at the end, which another's table would make way for

    return show


def end_earlier(latest: list[float], at: float) -> None:
    """Ends what was asked for before."""
    latest[0] = max(latest[0], check("at", at, float))


def build(model: gr.Dropdown) -> None:
    """Lays out the section and names its endpoints. model: the one that the tab has chosen."""
    quiet = {**QUIET, "concurrency_limit": 2, "concurrency_id": "study"}
    with gr.Accordion("All heads over many test pictures", open=False, elem_classes="x-study"):
        pictures = gr.Slider(20, 500, 200, step=20, label="Pictures", info="More of them, narrower intervals.")
        with gr.Row(elem_classes="v-buttons"):
            importance = gr.Button("What each head is worth", variant="secondary", size="md")
            regions = gr.Button("Where each head looks", variant="secondary", size="md")
            stop = gr.Button("Stop", size="md")
        table = gr.HTML(apply_default_css=False, elem_id="study")
        latest, at = gr.State([0.0]), gr.Number(0, visible=False)
        for button, study in ((importance, show_importance), (regions, show_regions)):
            inputs = [model, pictures, latest, at]
            waiting.say(button.click, table)
            asked = button.click(newest(study), inputs, table, js=NOW, trigger_mode="multiple", **quiet)
            waiting.unsay(asked.failure, table)
        waiting.unsay(stop.click, table)  # what still waits ends without a word
        stop.click(end_earlier, [latest, at], js=NOW, **{**quiet, "concurrency_limit": None, "concurrency_id": None})
    with unseen():
        inputs = [gr.Textbox("", label="model"), gr.Number(200, label="pictures")]
        for study in (head_importance, head_regions):
            gr.Button().click(
                study,
                inputs,
                gr.JSON(label="result"),
                api_name=study.__name__,
                api_description=f"{study.__doc__} {MODEL} Yields the estimate so far; the last has done = 1. Layers "
                "and heads count from 1.",
                concurrency_limit=2,
                concurrency_id="study",
            )


def _importance(key: str, count: float) -> Iterator[HeadImportance]:
    model, dataset, _ = model_and_pictures(key, count)
    return heads.head_importance(model, dataset, BATCH)


def model_and_pictures(key: str, count: float) -> tuple[ViT, Dataset, list[int]]:
    """The model, test pictures, the same at every call, and their places in the test set."""
    if not count or count != int(count) or not 2 <= count <= MAX_PICTURES:
        raise BadInput(f"The number of pictures must be 2 to {MAX_PICTURES}, got {count}.")
    key = key or models.default()
    with as_bad_input():
        model = models.find_vit(key)
    source = pictures.gallery_source(key)
    if models.dataset(model) != source:
        raise BadInput(f"{label(models.dataset(model))}, whose classes this model knows, is not at hand yet.")
    splits = SOURCES[source].load()
    labels = [label for label, name in enumerate(splits.test.classes) if name in model.classes]
    places = torch.isin(splits.test.labels, torch.tensor(labels)).nonzero()[:, 0]
    test = select_classes(splits, model.classes).test
    mixed = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))[: int(count)]
    part = test.take(mixed)
    images, masks = fit(part.images, part.masks, model.config["img_size"])
    return model, replace(part, images=images, masks=masks), places[mixed].tolist()


def importance_table(importance: HeadImportance, key: str = "") -> str:
    """Heads by layers, in points of the true class's probability, and a sentence on what stands out.

    key: of the model, to whose heads the cells lead.
    """
    L, H = importance.drop.shape
    points, (low, high) = 100 * importance.drop, (100 * end for end in importance.interval)
    sure = (importance.sure[0] > 0) | (importance.sure[1] < 0)
    scale = max(1.0, points.abs().max().item())
    names = layer_names(L, importance.has_readout)
    head = "".join(f"<th>{name if L < 7 else name.removeprefix('Layer ')}</th>" for name in names)
    rows = ""
    for k in range(H):
        values = zip(points[:, k].tolist(), low[:, k].tolist(), high[:, k].tolist(), sure[:, k].tolist())
        cells = "".join(
            _cell(*numbers, scale, L, f'data-show="{layer}.{k}" data-model="{escape(key)}"')
            for layer, numbers in enumerate(values)
        )
        rows += f"<tr><th>Head {k + 1}</th>{cells}</tr>"
    return (
        f'<p class="x-study-says">{importance_sentence(importance)}</p>'
        f'<div class="x-scroll"><table class="x-importance"><tr><td></td>{head}</tr>{rows}</table></div>'
        f'<p class="v-note">Mean fall of the true class\'s probability with one head off, in points, over '
        f"{importance.n} pictures; below it its own 95% interval. Blue: it surely helps, orange: it surely harms, all "
        "judged at once; no color: too few pictures to tell.</p>"
    )


def importance_sentence(importance: HeadImportance) -> str:
    """The head that is worth most, if more pictures would hardly change that; else that none is known, and how far."""
    (low, high), best = importance.sure, importance.best
    helping, harming = int((low > 0).sum()), int((high < 0).sum())
    of = f"{importance.drop.numel()} heads, {helping} surely help{'s' * (helping == 1)}"
    counted = f"Of {of} and {harming} surely harm{'s' * (harming == 1)}, all of them judged at once."
    if best.clear:
        place = layer_names(len(importance.drop), importance.has_readout)[best.layer]
        drop, start, end = (100 * values[best.layer, best.head].item() for values in (importance.drop, low, high))
        return (
            f"{place}, head {best.head + 1} is worth most: without it the true class has {drop:.1f} "
            f"points of probability less, {start:.1f} to {end:.1f} with 95%. {counted}"
        )
    more = max(best.pictures, importance.n + 1)  # it is an estimate
    needed = "more pictures than there are" if more > 10_000 else f"about {_rounded(more)} pictures"
    return f"No head stands out from all others yet; to name the one that is worth most would take {needed}. {counted}"


def _rounded(number: float) -> str:
    """To one digit, upwards: it is an estimate."""
    unit = 10 ** (len(str(int(number))) - 1)
    return f"{-(-int(number) // unit) * unit:,}"


def _cell(points: float, low: float, high: float, sure: bool, scale: float, L: int, link: str) -> str:
    """link: attributes of a button, by which the page's script shows the head at a click."""
    strength = round(45 * min(1, abs(points) / scale)) if sure else 0
    color = "var(--v-train)" if points > 0 else "var(--v-val)"
    points, low, high = (round(number, 1) + 0.0 for number in (points, low, high))  # no minus before a zero
    interval = f"<small>{low:.1f} to {high:.1f}</small>" if L < 7 else ""
    return (
        f'<td title="{points:.1f} points, {low:.1f} to {high:.1f}" style="background:color-mix(in srgb, {color} '
        f'{strength}%, transparent)"><button type="button" {link}>{points:.1f}{interval}</button></td>'
    )


def regions_table(regions: HeadRegions, dataset: Dataset) -> str:
    """The head that favors each region most, above chance first, with the pictures that show it best."""
    best_heads = {}
    for row in regions.ranked(regions.ratios.numel()):
        best_heads.setdefault(row["region"], row)
    rows = list(best_heads.values())
    if not rows:
        return ""
    whose = "the read-out's (in earlier layers, of the patches' mean)" if regions.has_readout else "the class token's"
    body = "".join(
        f"<tr><td>{escape(row['region'])}</td><td>{row['layer_name'].removeprefix('Layer ')}</td>"
        f"<td>{row['head'] + 1}</td><td><b>{row['ratio']:.1f} ×</b></td>"
        f"<td>{row['share']:.0%} <small>{row['low']:.0%} to {row['high']:.0%}</small></td>"
        f"<td>{'yes' if row['clear'] else 'no'}</td><td>{row['area']:.0%}</td>"
        f"<td>{row['n']}</td><td class='x-shown'>{_shown(row['examples'], dataset)}</td></tr>"
        for row in rows
    )
    return (
        f'<p class="x-study-says">{regions_sentence(rows)}</p>'
        '<div class="x-scroll"><table class="x-regions"><tr><th>Region</th><th>Layer</th><th>Head</th>'
        "<th>Over chance</th><th>Share</th><th>Clear</th><th>Area</th><th>Pictures</th><th>Best seen in</th></tr>"
        f"{body}</table></div>"
        f'<p class="v-note">Share of {whose} attention to patches that falls on the region, with its 95% '
        "interval; over chance is share by area. Clear: above what the best of all heads reaches by luck in 1 of 20 "
        "studies; for a class's pictures, luck is what shuffled labels give.</p>"
    )


def regions_sentence(rows: list[dict]) -> str:
    """The clearest preference, or that there is none yet; rows: as ranked, best first."""
    clear = [row for row in rows if row["clear"]]
    if not clear:
        return "No head favors any region by more than the best of so many would by luck; more pictures may tell."
    best = clear[0]
    return (
        f"{best['layer_name']}, head {best['head'] + 1} favors the {escape(best['region'])} most: "
        f"{best['share']:.0%} of what it gives patches falls there, {best['ratio']:.1f} times its "
        f"{best['area']:.0%} of the picture."
    )


def _shown(examples: list[int], dataset: Dataset) -> str:
    images = (pictures.shared_uri(dataset.images[i]) for i in examples[:5])
    return "".join(f'<img src="{image}" alt="">' for image in images)


def _progress(done: float, n: int, of: int, key: str | None) -> str:
    return (
        f'<div class="v-progress" role="progressbar" aria-valuenow="{100 * done:.0f}" aria-valuemin="0" '
        f'aria-valuemax="100"><i style="width:{100 * done:.1f}%"></i></div>'
        f'<p class="v-note">{n} of {of} pictures, {escape(models.title(key or models.default(), {}))}</p>'
    )


def _listed(values: torch.Tensor) -> list:
    """JSON knows no NaN."""
    return [[None if v != v else round(v, 6) for v in row] for row in values.tolist()]
