"""The Train tab: choose, start, watch attention form, steer, stop."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.data.registry import fallback
from vit.live import datasets, runs, settings, storage
from vit.live.datasets import SOURCES
from vit.live.run import Run
from vit.training.setting import WrongSetting
from vit.ui import pictures
from vit.ui.errors import BadInput, alert
from vit.ui.train import api as train_api
from vit.ui.train import form as train_form
from vit.ui.train import outcome
from vit.ui.train import view as train_view
from vit.ui.train.form import Form

QUIET = {"show_progress": "hidden", "api_visibility": "private"}
SCROLL_TO_PROGRESS = "() => { if (innerWidth < 800) document.querySelector('#progress').scrollIntoView(); }"
COPY = "Copy the run's link"
COPY_LINK = """async () => {
  const link = new URL(location.pathname, location.origin);
  link.searchParams.set("run", new URLSearchParams(location.search).get("run"));
  try { await navigator.clipboard.writeText(link.href); return "Copied"; }
  catch { prompt("The run's link", link.href); return "Copy the run's link"; }
}"""
COPY_AGAIN = """() => new Promise((done) => setTimeout(() => done("Copy the run's link"), 2000))"""

HERE = Path(__file__).parent

SKIP = gr.skip(), gr.skip(), gr.skip()

Owned = dict[str, str]  # this browser's runs: id -> owner's token


class Tab(NamedTuple):
    form: Form
    start: gr.Button
    run_id: gr.State
    owned: gr.BrowserState
    progress: gr.HTML
    charts: gr.HTML
    forming: gr.HTML
    views: list  # what watch fills
    idle: list  # what settle fills


def build() -> Tab:
    """Lays out the tab and wires what happens within it."""
    run_id, owned = gr.State(""), gr.BrowserState({}, storage_key="vit-live-runs", secret="vit-live-runs")
    with gr.Row(elem_classes="v-split"):
        with gr.Column(scale=2, min_width=300, elem_classes="v-settings"):
            with gr.Column(elem_id="form") as form_column:
                form = train_form.basics()
                start = gr.Button("Start training", variant="primary", size="lg")
                gr.HTML(f'<p class="v-note">{train_form.LIMITS}</p>', apply_default_css=False)
                more, size_note, learning_note = train_form.advanced()
                form |= more
            controls, steering = _controls(run_id, owned)
            with gr.Column(visible=False, elem_id="watching") as watching:
                gr.HTML(
                    '<p class="v-message">You are watching someone else\'s run. Only the page that started it can stop '
                    "or steer it.</p>",
                    apply_default_css=False,
                )
                gr.Button("Train your own", link="?", link_target="_self", size="md")
        with gr.Column(scale=5, min_width=300):
            progress = pictures.html("progress")
            forming = pictures.html(
                "forming",
                HERE / "forming",
                {"colours": train_view.COLOURS},
                server_functions=[fetch],
                elem_classes="t-view",
            )
            charts = pictures.html("charts")
            done = outcome.build(run_id)
    views = [progress, charts, forming, form_column, controls, watching, *steering, *done]
    tab = Tab(form, start, run_id, owned, progress, charts, forming, views, [progress, charts, forming])
    _wire_form(tab, size_note, learning_note)
    start.click(None, js=SCROLL_TO_PROGRESS)
    train_api.build()
    return tab


def _controls(run_id: gr.State, owned: gr.BrowserState) -> tuple[gr.Column, list]:
    """What the owner steers with; returned: the column, and what watch keeps up to date in it."""
    with gr.Column(visible=False, elem_id="controls") as column:
        with gr.Row(elem_classes="v-buttons"):
            pause = gr.Button("Pause", size="lg", variant="primary")
            stop = gr.Button("Stop", variant="stop", size="lg")
        lr = gr.Number(
            settings.DEFAULTS.lr,
            label="Peak learning rate",
            info="Holds from the next step; the curve shows the kink.",
            elem_id="rate",
        )
        with gr.Row(elem_classes="v-buttons"):
            slower, faster = gr.Button("÷ 3", size="md"), gr.Button("× 3", size="md")
            change = gr.Button("Set rate", size="md")
        rate_note = pictures.html("rate-note")
        what = pictures.html("what")
        link = gr.Button(COPY, size="md")
    pause.click(toggle_pause, [run_id, owned], None, queue=False, **QUIET)
    stop.click(stop_run, [run_id, owned], None, queue=False, **QUIET)
    gr.on([change.click, lr.submit], change_rate, [run_id, owned, lr], rate_note, queue=False, **QUIET)
    for button, factor in ((slower, 1 / 3), (faster, 3)):
        button.click(lambda now, factor=factor: float(f"{(now or 0) * factor:.3g}"), lr, lr, queue=False, **QUIET).then(
            change_rate, [run_id, owned, lr], rate_note, queue=False, **QUIET
        )
    link.click(None, None, link, js=COPY_LINK).then(None, None, link, js=COPY_AGAIN)
    return column, [pause, stop, what, lr, rate_note]


def _wire_form(tab: Tab, size_note: gr.HTML, learning_note: gr.HTML) -> None:
    form = tab.form

    def notes(given):
        yield from train_form.notes(train_form.values(form, given))

    def idle(given):
        run = runs.RUNS.get(given[tab.run_id])
        return SKIP if run is not None and run.live else _idle(train_form.values(form, given))

    fields, notices = set(form.values()), [size_note, learning_note]
    quiet = {**QUIET, "trigger_mode": "always_last"}

    def check(event):
        event.then(idle, {*fields, tab.run_id}, tab.idle, **quiet).then(notes, fields, notices, **quiet)

    check(form["model"].input(train_form.fill_shape, form["model"], [form[n] for n in settings.SHAPE], **quiet))
    check(form["dataset"].input(train_form.fill_classes, form["dataset"], form["classes"], **quiet))
    others = [component.input for name, component in form.items() if name not in ("model", "dataset")]
    gr.on(others, idle, {*fields, tab.run_id}, tab.idle, **quiet).then(notes, fields, notices, **quiet)


def _idle(values: dict) -> tuple:
    """Head, charts and moments for a form with these values."""
    try:
        return train_view.idle(settings.read(values))
    except WrongSetting as error:
        return train_view.head("Not ready yet", str(error), kind="error"), gr.skip(), gr.skip()


def wire_settled(tab: Tab, settled: gr.events.Dependency) -> None:
    """Once the data are there or out of reach: their pictures, or the built-in ones; and the width that suits here."""
    names = ("dataset", "classes", "embed_dim")

    def settle(given):
        values = train_form.values(tab.form, given)
        if SOURCES[values["dataset"]].error:
            values |= {"dataset": fallback().name, "classes": list(fallback().classes)}
        values["embed_dim"] = train_form.fitting_width(values)
        choices = {"classes": train_form.fill_classes(values["dataset"], values["classes"])}
        return *(({**values, **choices})[name] for name in names), *(SKIP if given[tab.run_id] else _idle(values))

    inputs = {*tab.form.values(), tab.run_id}
    settled.success(settle, inputs, [*(tab.form[name] for name in names), *tab.idle], **QUIET)


def wire_start(tab: Tab) -> gr.events.Dependency:
    """Start: the run's id for this page, its owner's token for this browser."""

    def start(given):
        try:
            run = runs.start(settings.read(train_form.values(tab.form, given)))
        except (ValueError, OverflowError) as error:
            raise BadInput(error) from error
        owned = {**given[tab.owned], run.id: run.owner}
        return run.id, dict(list(owned.items())[-runs.KEEP_RUNS :])

    inputs = {*tab.form.values(), tab.owned}
    return tab.start.click(start, inputs, [tab.run_id, tab.owned], trigger_mode="once", concurrency_limit=None, **QUIET)


def reopen(owned: Owned, request: gr.Request) -> str:
    """The run this page is about: the link's, else this browser's own that is still going on."""
    if asked := request.query_params.get("run"):
        return asked
    return next((run_id for run_id in reversed(owned) if run_id in runs.RUNS and runs.RUNS[run_id].live), "")


async def watch(run_id: str, owned: Owned) -> AsyncIterator[tuple]:
    """All views of a run whenever something changed, until it ends; it only reads, and keeps the run alive."""
    if not run_id:  # a generator without a yield would empty its outputs
        yield (gr.skip(),) * (3 + REST)
        return
    seen = seen_moment = seen_mode = None
    while True:
        try:
            run = runs.watch(run_id)
        except storage.DamagedRun as error:
            yield _gone("This run can't be read", str(error))
            return
        except ValueError:
            text = "It was too long ago, or the server was restarted before anything was saved."
            yield _gone("No such run", text)
            return
        source, live = SOURCES[run.settings.dataset], run.live
        own = owned.get(run_id, "") != "" and run.owned_by(owned[run_id])
        mode = (run.live, own, run.pausing, run.stopping, run.status == "testing")
        waits = (runs.place(run), source.fraction, source.splits is None, run.tested)
        now = (run.status, len(run.history.seconds), run.stopping, run.warning, waits)
        if now != seen or mode != seen_mode:
            moment = (run.album.moments[-1].id if run.album.moments else -1, live, source.splits is None)
            forming = gr.skip() if moment == seen_moment else train_view.forming(run)
            rest = _controls_of(run, own, list(owned), seen is None) if mode != seen_mode else (gr.skip(),) * REST
            yield train_view.panel(run), train_view.curves(run), forming, *rest
            seen, seen_moment, seen_mode = now, moment, mode
        if not live and (source.settled or not run.album.moments):  # after a restart moments wait for their pictures
            return
        await asyncio.sleep(0.4)


REST = 8 + outcome.VIEWS


def _controls_of(run: Run, own: bool, owned: list[str], first: bool) -> tuple:
    """Which column there is, what its buttons say, and what there is of an ended run.

    first: whether the page has just turned to this run; only then the rate is filled in, for it may be typed in later.
    """
    steerable = run.live and run.status != "testing" and not run.stopping
    paused = run.pausing
    return (
        gr.Column(visible=not run.live),
        gr.Column(visible=run.live and own),
        gr.Column(visible=run.live and not own),
        gr.Button("Resume" if paused else "Pause", interactive=steerable),
        gr.Button("Stopping …" if run.stopping else "Stop", interactive=steerable),
        outcome.settings_of(run),
        *((run.lr or run.settings.config.lr, "") if first else (gr.skip(), gr.skip())),
        *outcome.show(run, owned),
    )


def _gone(title: str, text: str) -> tuple:
    columns = gr.Column(visible=True), gr.Column(visible=False), gr.Column(visible=False)
    _, charts, forming = opened(datasets.usable())
    nothing = (gr.skip(),) * (REST - 3)
    return train_view.head(title, text, kind="error"), charts, forming, *columns, *nothing


def fetch(wanted: list) -> list[dict]:
    """The page's script asks for moments."""
    return train_view.fetch(wanted)


def toggle_pause(run_id: str, owned: Owned) -> None:
    run = train_api.found(run_id)
    train_api.steered(runs.resume if run.pausing else runs.pause, run_id, owned.get(run_id, ""))


def stop_run(run_id: str, owned: Owned) -> None:
    train_api.steered(runs.stop, run_id, owned.get(run_id, ""))


def change_rate(run_id: str, owned: Owned, lr: float) -> str:
    """What came of it, beside the field."""
    try:
        train_api.steered(runs.set_lr, run_id, owned.get(run_id, ""), lr)
    except BadInput as error:
        return alert(error.sentence)
    return f'<p class="v-note">The peak is {lr:g} from here on.</p>'


def opened(dataset: str) -> tuple:
    """Head, charts and moments of the form as it opens."""
    minutes = min(settings.DEFAULTS.minutes, settings.MAX_MINUTES)
    return train_view.idle(settings.read({"dataset": dataset, "model": "vit_live", "minutes": minutes}))
