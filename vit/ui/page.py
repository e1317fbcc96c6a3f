"""The page: the line on top, the tabs, and what ties them together: one model and one picture for all of them."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path

import gradio as gr
import torch

from vit import data
from vit.data.registry import fallback
from vit.device import precision
from vit.live import datasets, models, speed, worker
from vit.live.models import Known
from vit.ui import classify, pictures, theme
from vit.ui.attention import tab as attention
from vit.ui.errors import warn
from vit.ui.pictures import Picture
from vit.ui.train import form as train_form
from vit.ui.train import outcome
from vit.ui.train import tab as train

HERE = Path(__file__).parent

QUIET = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}

UNMARK = "(...inputs) => { dispatchEvent(new CustomEvent('vit-pick', { detail: -1 })); return inputs; }"


def launch(demo: gr.Blocks, **options) -> tuple:
    """Serves the page; options are launch()'s own, such as share, server_name and server_port."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    return demo.launch(
        theme=theme.theme(),
        css_paths=[HERE / name for name in ("style.css", "train/train.css", "attention/attention.css")],
        run_history=False,
        max_file_size="5mb",
        footer_links=["api", "gradio", "settings"],
        **options,
    )


def build() -> gr.Blocks:
    """The whole page; starts loading the datasets, and names in the log what of the checkpoints can't be read."""
    models.shipped()
    datasets.load_in_background(then=speed.find_width)
    with gr.Blocks(title="Vision Transformer, live", analytics_enabled=False, delete_cache=(3600, 86400)) as demo:
        with gr.Row(elem_id="top"):
            status, notice = pictures.html("status"), pictures.html("notice")
        with gr.Tabs() as tabs:
            with gr.Tab("Train", id="train"):
                training = train.build()
            with gr.Tab("Classify", id="classify"):
                classifying = classify.build()
            with gr.Tab("Attention", id="attention"):
                attending = attention.build()
        _wire(demo, training, classifying, attending, status, notice)
        demo.load(open_tab, None, tabs, **QUIET)
    return demo.queue(default_concurrency_limit=4, max_size=100)


def _wire(demo, training: train.Tab, classifying: classify.Tab, attending: attention.Tab, status, notice) -> None:
    picture, page, known = gr.State(None), gr.State(0), gr.State({})
    pickers = [classifying.picker, attending.picker]
    drawn = [classifying.result, attending.view]
    chosen = [picker.model for picker in pickers]
    everything = [*chosen, *(picker.gallery for picker in pickers), picture, *drawn, status]

    for picker in pickers:
        picker.model.input(choose_model, [picker.model, page, picture, known], everything, **QUIET)
        picker.gallery.pick(pick, [picker.model, page], [picture, *drawn], trigger_mode="always_last", **QUIET)
        picker.other.click(
            turn_page, [picker.model, page, known], [page, *everything], trigger_mode="always_last", **QUIET
        )
        picker.upload.upload(upload, [picker.upload, picker.model], [picture, *drawn], js=UNMARK, **QUIET)

    data_chosen, run = [training.form["dataset"], training.form["classes"]], [training.run_id, training.owned]
    adopted = [training.run_id, training.owned, known, page, picture, chosen[0]], [known, *everything]
    train.wire_start(training).success(train.watch, run, training.views, **QUIET).success(adopt, *adopted, **QUIET)

    opened = [*everything, known, *data_chosen, *training.idle]
    # One after the other: what follows reads the model, picture and data that the page was opened with.
    reopened = demo.load(open_page, training.owned, opened, **QUIET).success(
        train.reopen, training.owned, training.run_id, **QUIET
    )
    reopened.success(train.watch, run, training.views, **QUIET).success(adopt, *adopted, **QUIET)
    settled = reopened.success(watch_data, None, notice, **QUIET)
    train.wire_settled(training, settled)
    gr.api(about, api_name="about", concurrency_limit=None)


def show(key: str | None, page: int, picture: Picture | None, known: Known) -> tuple:
    """Everything that depends on model and picture; without a picture, the gallery's first."""
    source = pictures.gallery_source(key)
    if picture is None or picture[0] not in ("upload", source):
        picture = (source, pictures.chosen(source, page)[0])
    dropdown = gr.Dropdown(models.choices(known), value=key)
    gallery = pictures.gallery(key, page, picture)
    return dropdown, dropdown, gallery, gallery, picture, *draw(key, picture), status_line(key, known)


def draw(key: str | None, picture: Picture) -> tuple[str, dict]:
    """The prediction and the attention view of one picture."""
    if key is None:
        return classify.no_model(), attention.no_model()
    seen = pictures.look(key, picture)
    return classify.draw(seen), attention.payload(seen, key, picture)


def open_page(owned: dict[str, str], request: gr.Request) -> tuple:
    """What a visitor meets: a model, a picture, both drawn, and the Train tab ready, or on the run of the address."""
    run_id = train.reopen(owned, request)
    known: Known = {}
    for owned_id in filter(models.ended, owned):
        known = models.get_to_know(known, owned_id, own=True)
    key, picture = linked(request.query_params)
    if models.ended(run_id) and "model" not in request.query_params:
        key = run_id
    if key and models.ended(key):
        known = models.get_to_know(known, key, own=False)
    dataset = datasets.usable()
    idle = train.SKIP if run_id else train.opened(dataset)
    return *show(key, 0, picture, known), known, dataset, train_form.fill_classes(dataset), *idle


def open_tab(request: gr.Request) -> gr.Tabs:
    """The tab that a link names."""
    tab = request.query_params.get("tab")
    return gr.Tabs(selected=tab) if tab in ("train", "classify", "attention") else gr.skip()


def linked(query) -> tuple[str | None, Picture | None]:
    """Model and picture of a link such as ?model=shapes&picture=shapes-17; the default where there is none."""
    key, picture = query.get("model"), None
    if key and not models.available(key):
        warn(f"The link's model {key!r} is not here any more; this is the default one.")
        key = None
    source, _, index = query.get("picture", "").rpartition("-")
    if source in datasets.SOURCES and index.isdecimal():
        picture = (source, int(index))
        with contextlib.suppress(data.DatasetUnavailable):
            datasets.SOURCES[source].load()  # waits while it is on its way: another picture would be the wrong one
        if not pictures.exists(picture):
            warn("The link's picture is not here; this is another.")
            picture = None
    return key or models.default(), picture


def choose_model(key: str, page: int, picture: Picture, known: Known) -> tuple:
    return show(key, page, picture, known)


def turn_page(key: str | None, page: int, known: Known) -> tuple:
    return page + 1, *show(key, page + 1, None, known)


def pick(key: str | None, page: int, event: gr.EventData) -> tuple:
    """A click in a gallery."""
    source = pictures.gallery_source(key)
    places = pictures.chosen(source, page)
    picture = (source, places[min(max(int(event.index), 0), len(places) - 1)])
    return picture, *draw(key, picture)


def upload(path: str, key: str | None) -> tuple:
    picture = ("upload", path)
    return picture, *draw(key, picture)


def adopt(run_id: str, owned: dict[str, str], known: Known, page: int, picture: Picture, key: str | None) -> tuple:
    """Makes a run's model the chosen one everywhere, once the run has ended; until then that stays the chosen one."""
    if not models.ended(run_id):  # not gr.skip(): it would cost a tab that was never opened its properties
        return known, *show(key, page, picture, known)
    known = models.get_to_know(known, run_id, run_id in owned)
    return known, *show(run_id, page, picture, known)


async def watch_data() -> AsyncIterator[str]:
    """What there is to say about the preferred dataset, until it is loaded or known to be out of reach."""
    said = None
    while True:
        settled, notice = datasets.settled(), datasets.notice()
        if notice != said:
            said = notice
            yield escape(notice)
        if settled:
            return
        await asyncio.sleep(0.5)


def status_line(key: str | None, known: Known) -> str:
    """Where one is: model, data, device."""
    where = models.title(key, known) if key else f"no model yet · {fallback().label}"
    return f"<b>Vision Transformer, live</b><span>{escape(where)} · {device()}</span>"


def device() -> str:
    chosen = worker.device()
    with precision(chosen):
        kind = "bf16" if torch.is_autocast_enabled(chosen.type) else "float32"
    if chosen.type == "cpu":
        cores = torch.get_num_threads()
        return f"{cores} CPU core{'s' if cores > 1 else ''}, {kind}"
    return f"{torch.cuda.get_device_name(chosen)}, {kind}"


def about() -> dict:
    """What there is here: models for classify and attention, datasets and how they stand, device, longest run."""
    return {
        "models": models.shipped(),
        "data": {name: source.state for name, source in datasets.SOURCES.items()},
        "device": device(),
        **outcome.limits(),
    }
