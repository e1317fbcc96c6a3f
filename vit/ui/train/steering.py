"""What the owner of a run steers it with: pause, stop, the learning rate; and what is being trained."""

from collections.abc import Callable
from html import escape
from typing import NamedTuple

import gradio as gr

from vit.data.registry import label
from vit.live import runs, settings
from vit.live.run import LiveRun
from vit.ui import pictures
from vit.ui.checks import checked
from vit.ui.errors import BadInput, alert
from vit.ui.quiet import QUIET
from vit.ui.train import sharing
from vit.ui.train.api import find_run, steered

AT_ONCE = {**QUIET, "queue": False}
COPY = "Copy the run's link"
COPY_LINK = f"""async () => {{
  const link = new URL(location.pathname, location.origin);
  link.searchParams.set("run", new URLSearchParams(location.search).get("run"));
  try {{ await navigator.clipboard.writeText(link.href); return "Copied"; }}
  catch {{ prompt("The run's link", link.href); return "{COPY}"; }}
}}"""
COPY_AGAIN = f"""() => new Promise((done) => setTimeout(() => done("{COPY}"), 2000))"""

Owned = dict[str, str]  # this browser's runs: id -> owner's token


class Steering(NamedTuple):
    """The components that show fills."""

    column: gr.Column
    pause: gr.Button
    stop: gr.Button
    lr: gr.Number
    lr_note: gr.HTML
    settings: gr.HTML
    share: gr.HTML

    def show(self, run: LiveRun, own: bool, first: bool) -> dict:
        """first: whether the page has just turned to this run; only then the learning rate is filled in, for it may
        be typed in later."""
        stoppable, testing = run.live and not run.stopping, run.status == "testing"
        stop = "Stopping …" if run.stopping else "Stop the test" if testing else "Stop"
        lr = {self.lr: run.lr or run.settings.config.lr, self.lr_note: ""} if first else {}
        return {
            self.column: gr.Column(visible=run.live and own),
            self.pause: gr.Button("Resume" if run.pausing else "Pause", interactive=stoppable and not testing),
            self.stop: gr.Button(stop, interactive=stoppable),
            self.settings: settings_of(run),
            self.share: run.id,
            **lr,
        }


def build(run_id: gr.State, owned: gr.BrowserState) -> Steering:
    """Lays out the controls and wires them."""
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
        lr_note = pictures.html("rate-note")
        what = pictures.html("what")
        link = gr.Button(COPY, size="md")
        shared = sharing.build()
    pause.click(toggle_pause, [run_id, owned], None, **AT_ONCE)
    stop.click(stop_run, [run_id, owned], None, **AT_ONCE)
    gr.on([change.click, lr.submit], change_lr, [run_id, owned, lr], lr_note, **AT_ONCE)
    for button, factor in ((slower, 1 / 3), (faster, 3)):
        button.click(scaled(factor), lr, lr, **AT_ONCE).then(change_lr, [run_id, owned, lr], lr_note, **AT_ONCE)
    link.click(None, None, link, js=COPY_LINK).then(None, None, link, js=COPY_AGAIN)
    return Steering(column, pause, stop, lr, lr_note, what, shared)


def scaled(factor: float) -> Callable[[float | None], float]:
    """What multiplies the number in a field, which may be empty."""

    @checked
    def scale(now: float | None) -> float:
        return float(f"{(now or 0) * factor:.3g}")

    return scale


@checked
def toggle_pause(run_id: str, owned: Owned) -> None:
    run = find_run(run_id)
    steered(runs.resume if run.pausing else runs.pause, run_id, owned.get(run_id, ""))


@checked
def stop_run(run_id: str, owned: Owned) -> None:
    steered(runs.stop, run_id, owned.get(run_id, ""))


@checked
def change_lr(run_id: str, owned: Owned, lr: float) -> str:
    """What came of it, beside the field."""
    try:
        steered(runs.set_lr, run_id, owned.get(run_id, ""), lr)
    except BadInput as error:
        return alert(error.sentence)
    return f'<p class="v-note">The peak is {lr:g} from here on.</p>'


def settings_of(run: LiveRun) -> str:
    """What is being trained, in a few lines."""
    config = run.settings.config
    rows = {
        "Data": f"{label(run.settings.dataset)}, {len(run.settings.classes)} classes",
        "Model": run.settings.title,
        "Minutes": f"{config.minutes:g}",
        "Batch": f"{config.batch_size} images",
        "Weight decay": f"{config.weight_decay:g}",
        "Warm-up": f"{config.warmup:.0%} of the run",
        "Seed": f"{config.seed}",
        **({"Precision": str(run.precision)} if run.precision else {}),
    }
    cells = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in rows.items())
    return f'<dl class="t-settings">{cells}</dl>'
