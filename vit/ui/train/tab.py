"""The Train tab: choose, start, watch attention form, steer, stop."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.figures import DIVERGING
from vit.live import datasets, runs, settings, storage
from vit.live.datasets import SOURCES
from vit.live.run import LiveRun
from vit.training.setting import WrongSetting
from vit.training.spec import RunSpec
from vit.ui import guard, pictures, scripts, theme
from vit.ui.checks import check, checked
from vit.ui.errors import BadInput
from vit.ui.quiet import LATEST, QUIET
from vit.ui.train import api as train_api
from vit.ui.train import comparing, outcome, pitfalls, recorded, steering
from vit.ui.train import form as train_form
from vit.ui.train import view as train_view
from vit.ui.train.api import visitor
from vit.ui.train.form import Form
from vit.ui.train.outcome import Outcome
from vit.ui.train.steering import Owned, Steering

SCROLL_TO_PROGRESS = "() => { if (innerWidth < 800) document.querySelector('#progress').scrollIntoView(); }"
# A click that fills in the form takes its way over the server; Start reads the form once it is back, or has failed.
FILLING = "(...given) => { window.formFilled = new Promise((done) => { window.formIsFilled = done; }); return given; }"
FILLED = "() => window.formIsFilled()"
WHEN_FILLED = f"async (mine) => {{ await window.formFilled; return ({outcome.GATHER})(mine); }}"
HERE = Path(__file__).parent


class Tab(NamedTuple):
    """The components; handlers return {component: value}, and leave out what stays as it is.

    run_id: of the run on show, "" before there is one. owned: this browser's runs, with which it steers them.
    notices: under either half of the form.
    """

    run_id: gr.State
    owned: gr.BrowserState
    form: Form
    notices: tuple[gr.HTML, gr.HTML]
    form_column: gr.Column
    start: gr.Button
    steering: Steering
    watching: gr.Column
    progress: gr.HTML
    forming: gr.HTML
    charts: gr.HTML
    outcome: Outcome

    @property
    def figures(self) -> list[gr.HTML]:
        """What shows the form's model before a run, and then the run."""
        return [self.progress, self.charts, self.forming]

    @property
    def views(self) -> list:
        """All that changes with a run."""
        return [*self.figures, self.form_column, self.start, self.watching, *self.steering, *self.outcome]

    @property
    def opened(self) -> list:
        """What `open` fills."""
        return [
            self.form["dataset"],
            self.form["model"],
            *(self.form[name] for name in train_form.FITTED),
            self.form["classes"],
            self.start,
            *self.figures,
            self.outcome.table,
        ]

    @property
    def settled(self) -> list:
        """What `settle` fills."""
        return [self.form["model"], *(self.form[name] for name in train_form.FITTED), *self.figures]

    @checked
    def open(self, owned: Owned, request: gr.Request) -> dict:
        """The tab as a page meets it; with a run, whose views `watch` fills, or without."""
        run_id = run_to_open(owned, request)
        dataset = datasets.usable()
        chosen = proposed(dataset)
        return {
            self.form["dataset"]: gr.Radio(value=dataset, interactive=True),
            self.form["model"]: gr.Radio(train_form.sized(), interactive=True),
            self.start: gr.Button(interactive=True),
            **{self.form[name]: value for name, value in _fitted(chosen).items()},
            self.form["classes"]: train_form.fill_classes(dataset),
            **({} if run_id else {**self._ready(chosen), self.outcome.table: comparing.comparison(list(owned))}),
        }

    @checked
    def turn_to(self, run_id: str, owned: Owned, request: gr.Request) -> str | dict:
        """The run to show once the page is filled: one that was started meanwhile stays, else as `run_to_open`."""
        return gr.skip() if run_id else run_to_open(owned, request) or gr.skip()

    def begin(self, entered: dict, request: gr.Request) -> dict:
        """Start: the run's id for this page, its owner's token for this browser. Raises BadInput."""
        try:
            kept = check("owned", entered[self.owned], Owned)
            run = runs.start(settings.read(train_form.values(self.form, entered)), visitor(request, kept))
        except (ValueError, OverflowError) as error:
            raise BadInput(error) from error
        owned = {**kept, run.id: run.owner}
        return {
            self.run_id: run.id,
            self.owned: dict(list(owned.items())[-runs.KEEP_RUNS :]),
            self.start: gr.Button(interactive=False),  # until the run is on show, in the place of the form
        }

    def settle(self, entered: dict) -> dict:
        """Once all data are there or out of reach: the preset that suits this machine, which is known by then."""
        values = train_form.values(self.form, entered)
        suiting = train_form.fitted(values)
        return {
            self.form["model"]: gr.Radio(train_form.sized()),
            **{self.form[name]: value for name, value in suiting.items()},  # all else may be typed in meanwhile
            **({} if entered[self.run_id] else self._of_form(values | suiting)),
        }

    def changed(self, entered: dict) -> dict:
        """Figures for the form as it is now, unless a run is on show: that stays until Start."""
        if check("run_id", entered[self.run_id], str):
            return gr.skip()
        return self._of_form(train_form.values(self.form, entered))

    def notes(self, entered: dict) -> Iterator[tuple[str, str]]:
        """What stands under either half of the form, as it is now."""
        yield from train_form.notes(train_form.values(self.form, entered))

    def follow(self, event: Callable[..., gr.events.Dependency]) -> None:
        """Has figures and notices follow the form after an event: a component's click, say, or another's `then`."""
        figured = event(self.changed, {*self.form.values(), self.run_id}, self.figures, **LATEST)
        figured.then(self.notes, {*self.form.values()}, [*self.notices], **LATEST)

    def _of_form(self, values: dict) -> dict:
        try:
            return self._ready(settings.read(values))
        except WrongSetting as error:
            return {self.progress: train_view.head("Not ready yet", str(error), kind="error")}

    def _ready(self, chosen: RunSpec) -> dict:
        moments = recorded.forming(chosen.dataset)
        return {
            self.progress: train_view.ready(chosen),
            self.charts: recorded.charts(chosen.dataset) if moments else train_view.empty_charts(chosen),
            self.forming: moments or train_view.untrained(chosen),
        }

    @checked
    async def watch(self, run_id: str, owned: Owned) -> AsyncIterator[dict]:
        """What changed of a run, until it ends; it only reads, and keeps the run alive."""
        seen = seen_moment = seen_mode = None
        heard = 0.0
        while True:
            try:
                run = runs.watch(run_id)
            except storage.DamagedRun as error:
                yield self._missing("This run can't be read", str(error))
                return
            except ValueError:
                text = "It was too long ago, or the server was restarted before anything was saved."
                yield self._missing("No such run", text)
                return
            source, live = SOURCES[run.settings.dataset], run.live
            own = owned.get(run_id, "") != "" and run.owned_by(owned[run_id])
            mode = (live, own, run.pausing, run.stopping, run.status == "testing")
            waits = (runs.place(run), source.fraction, source.splits is None, run.tested)
            now = (run.status, len(run.history.seconds), run.warning, waits, mode)
            if now != seen:
                views = {self.progress: train_view.panel(run), self.charts: train_view.charts(run)}
                moment = (run.album.moments[-1].id if run.album.moments else -1, live, source.splits is None)
                if moment != seen_moment:
                    views[self.forming] = train_view.forming(run)
                if mode != seen_mode:
                    # In a thread: it reads and writes files, and a coroutine would keep everybody's page waiting.
                    views |= await asyncio.to_thread(self._around, run, own, list(owned), seen is None)
                yield views
                seen, seen_moment, seen_mode, heard = now, moment, mode, time.monotonic()
            elif time.monotonic() - heard > guard.HEARD:
                heard = time.monotonic()
                yield gr.skip()
            if not live and (source.settled or not run.album.moments):  # after a restart moments wait for pictures
                return
            await asyncio.sleep(0.4)

    def _around(self, run: LiveRun, own: bool, owned: list[str], first: bool) -> dict:
        """Which column there is on the left, and below the figures what came of a run that has ended."""
        return {
            self.form_column: gr.Column(visible=not run.live),
            self.start: gr.Button(interactive=True),
            self.watching: gr.Column(visible=run.live and not own),
            **self.steering.show(run, own, first),
            **self.outcome.show(run, owned),
        }

    def _missing(self, title: str, text: str) -> dict:
        """The tab as it opens, under a headline that says why there is no run."""
        return {
            **self._ready(proposed(datasets.usable())),
            self.progress: train_view.head(title, text, kind="error"),
            self.form_column: gr.Column(visible=True),
            self.start: gr.Button(interactive=True),
            self.watching: gr.Column(visible=False),
            self.steering.column: gr.Column(visible=False),
        }


def build() -> Tab:
    """Lays out the tab and wires what happens within it."""
    run_id, owned = gr.State(""), gr.BrowserState({}, storage_key="vit-live-runs", secret="vit-live-runs")
    with gr.Row(elem_classes="v-split"):
        with gr.Column(scale=2, min_width=300, elem_classes="v-settings"):
            with gr.Column(elem_id="form") as form_column:
                form = train_form.basics()
                start = gr.Button("Start training", variant="primary", size="lg", elem_id="start", interactive=False)
                gr.HTML(f'<p class="v-note">{train_form.LIMITS}</p>', apply_default_css=False, elem_id="limits")
                more, notices = train_form.advanced()
                form |= more
                tried = pitfalls.build()
            controls = steering.build(run_id, owned)
            with gr.Column(visible=False, elem_id="watching") as watching:
                gr.HTML(
                    '<p class="v-message">You are watching someone else\'s run. Only the page that started it can stop '
                    "or steer it.</p>",
                    apply_default_css=False,
                )
                gr.Button("Train your own", link="?", link_target="_self", size="md")
        with gr.Column(scale=5, min_width=300):
            progress = gr.HTML(
                js_on_load=scripts.mount(HERE / "script" / "next.js", {"use": "use"}),
                apply_default_css=False,
                elem_id="progress",
            )
            with gr.Row(elem_classes="t-run"):
                forming, charts = forming_view(), pictures.html("charts")
            ended = outcome.build(run_id, owned)
    tab = Tab(run_id, owned, form, notices, form_column, start, controls, watching, progress, forming, charts, ended)
    _wire_form(tab, tried)
    owned.change(None, owned, None, js=f"(mine) => {{ {outcome.TELL} }}")
    gathered = start.click(None, owned, owned, js=WHEN_FILLED, **QUIET)
    gathered.then(
        tab.begin, {*form.values(), owned}, {run_id, owned, start}, trigger_mode="once", concurrency_limit=None, **QUIET
    )
    start.click(None, js=SCROLL_TO_PROGRESS)
    train_api.build()
    return tab


def forming_view() -> gr.HTML:
    """Attention as it forms: what `train_view.forming` tells is its value."""
    return pictures.html(
        "forming",
        HERE / "forming",
        {"colors": theme.color_map(DIVERGING)},
        server_functions=[train_view.fetch, train_view.animate],
        elem_classes="t-view",
    )


def _wire_form(tab: Tab, tried: gr.HTML) -> None:
    form = tab.form
    fillings = (
        (form["model"].input, train_form.fill_shape, form["model"], settings.SHAPE),
        (form["dataset"].input, train_form.fill_classes, form["dataset"], ["classes"]),
        (tried.use, pitfalls.fill, None, pitfalls.FILLED),
    )
    for event, fill, of, names in fillings:
        filled = event(fill, of, [form[name] for name in names], js=FILLING, **LATEST)
        for over in (filled.then, filled.failure):
            over(None, js=FILLED)
        tab.follow(filled.then)
    typed = [component.input for name, component in form.items() if name not in ("model", "dataset", "minutes")]
    typed.append(form["minutes"].change)  # its input tells of keys, not of what is pasted, or of a phone's keyboard
    tab.follow(partial(gr.on, typed))


def run_to_open(owned: Owned, request: gr.Request) -> str:
    """The run that the address names, else this browser's latest that is still going on, or ""."""
    return request.query_params.get("run") or next(
        (run_id for run_id in reversed(owned) if run_id in runs.RUNS and runs.RUNS[run_id].live), ""
    )


def proposed(dataset: str) -> RunSpec:
    """What the form says when a page opens."""
    minutes = min(settings.DEFAULTS.minutes, settings.MAX_MINUTES)
    fitted = train_form.fitted({"model": "vit_live"})
    return settings.read({"dataset": dataset, "model": "vit_live", "minutes": minutes, **fitted})


def _fitted(chosen: RunSpec) -> dict[str, int]:
    """FITTED, of a run."""
    values = {**settings.variant_shape(chosen.model), **chosen.shape, "batch_size": chosen.config.batch_size}
    return {name: values[name] for name in train_form.FITTED}
