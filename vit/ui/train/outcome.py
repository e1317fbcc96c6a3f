"""What there is of a run once it has ended: test accuracy and confusion, command, download, the Hub, the comparison."""

import contextlib
from html import escape

import gradio as gr

from vit.data.registry import label
from vit.evaluation import Evaluation
from vit.live import runs, settings, storage
from vit.live.history import thin
from vit.live.run import UNWATCHED_MINUTES, Run
from vit.ui import pictures
from vit.ui.charts import clock
from vit.ui.errors import BadInput, alert
from vit.ui.theme import CLASS_COLOURS
from vit.weights import hub

VIEWS = 5  # what show() returns
QUIET = {"show_progress": "hidden", "api_visibility": "private"}


def build(run_id: gr.State) -> list:
    """Lays out what show() fills."""
    with gr.Column(visible=False, elem_id="after") as column:
        confusion = pictures.html("confusion")
        command = gr.Textbox(label="The same from the command line", buttons=["copy"], interactive=False, max_lines=4)
        download = gr.DownloadButton("Download weights, config and card", size="md")
        with gr.Accordion("Push to your Hugging Face account", open=False):
            name = gr.Textbox(label="Repository", placeholder="my-first-vit", info="Made in your account if it's new.")
            token = gr.Textbox(
                label="Access token",
                type="password",
                info="One that may write, from huggingface.co/settings/tokens. Used once; neither logged nor kept.",
            )
            private = gr.Checkbox(False, label="Private")
            push = gr.Button("Push", size="md")
            pushed = pictures.html("pushed")
    table = pictures.html("runs")
    push.click(push_run, [run_id, name, token, private], [pushed, token], trigger_mode="once", **QUIET)
    with gr.Column(visible=False):
        asked = gr.Textbox(label="run_id")
        gr.Button().click(
            archive,
            asked,
            gr.File(label="zip"),
            api_name="download",
            api_description="A zip of weights, config and card of a run that has ended, by the run's id.",
        )
    return [column, confusion, command, download, table]


def show(run: Run, owned: list[str]) -> tuple:
    """Everything of an ended run; owned: ids of this browser's runs, for the comparison."""
    if run.live or not run.usable:
        return gr.Column(visible=False), gr.skip(), gr.skip(), gr.skip(), comparison(owned)
    confusion = _confusion(run.evaluation, run.settings.classes) if run.evaluation else ""
    return gr.Column(visible=True), confusion, run.settings.command, _download(run), comparison(owned)


def _download(run: Run) -> gr.DownloadButton:
    archived = None
    with contextlib.suppress(OSError):  # a full disk, which the run's own warning speaks of
        archived = str(storage.archive(run.id, _file_name(run))) if storage.folder(run.id) else None
    return gr.DownloadButton(value=archived)


def settings_of(run: Run) -> str:
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
    }
    cells = "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in rows.items())
    return f'<dl class="t-settings">{cells}</dl>'


def archive(run_id: str) -> str:
    """The zip's path."""
    try:
        return str(storage.archive(run_id, _file_name(runs.find(run_id))))
    except ValueError as error:
        raise BadInput(error) from error


def push_run(run_id: str, name: str, token: str, private: bool) -> tuple[str, str]:
    """What came of it, beside the button; the token's field is emptied."""
    try:
        if (folder := storage.folder(run_id)) is None:
            raise ValueError("Nothing of this run is saved, so there is nothing to push; train another.")
        address = hub.push(folder, name, token, private)
    except ValueError as error:
        return alert(error), ""
    return f'<p class="v-right">Pushed: <a href="{escape(address)}" target="_blank">{escape(address)}</a></p>', ""


def _file_name(run: Run) -> str:
    return f"{run.settings.model.replace('_', '-')}-{run.settings.dataset}"


def _confusion(evaluation: Evaluation, classes: tuple[str, ...]) -> str:
    """The matrix as a table: rows are true classes, darker cells hold more of the row."""
    shares = evaluation.confusion / evaluation.confusion.sum(1, keepdim=True).clamp_min(1)
    top = "".join(f"<th><span>{escape(name)}</span></th>" for name in classes)
    rows = ""
    for name, counts, row in zip(classes, evaluation.confusion.tolist(), shares.tolist()):
        cells = ""
        for said, count, share in zip(classes, counts, row):
            kind = "right" if said == name else "wrong"
            shown = f"{100 * share:.0f}" if share >= 0.005 else ""
            title = f"{count} of {sum(counts)} {name} called {said}"
            cells += f'<td class="{kind}" style="--share:{share:.3f}" title="{escape(title)}">{shown}</td>'
        rows += f"<tr><th>{escape(name)}</th>{cells}</tr>"
    return (
        f'<p class="v-label">Test accuracy {evaluation.accuracy:.1%} <span class="v-quiet">on {evaluation.n:,} '
        "pictures it had never seen. Rows: what it is; columns: what the model says; percent of the row</span></p>"
        f'<div class="t-scroll"><table class="t-confusion"><tr><th></th>{top}</tr>{rows}</table></div>'
    )


def comparison(owned: list[str]) -> str:
    """This browser's runs that have curves: a table of what they were given and came to, and their curves overlaid."""
    kept = [run for run_id in owned if (run := runs.RUNS.get(run_id)) and run.history.validation_accuracy]
    if len(kept) < 2:
        return ""
    end = max(run.history.seconds[-1] for run in kept)
    lines, rows = "", ""
    for i, run in enumerate(kept):
        config, history, colour = run.settings.config, run.history, CLASS_COLOURS[i % len(CLASS_COLOURS)]
        m = len(history.validation_seconds)
        points = zip(thin(history.validation_seconds, m, 100), thin(history.validation_accuracy, m, 100))
        drawn = " ".join(f"{100 * x / end:.2f},{100 * (1 - y):.2f}" for x, y in points)
        lines += f'<polyline style="stroke:{colour}" points="{drawn}"/>'
        test = f"{run.evaluation.accuracy:.1%}" if run.evaluation else "–"
        rate = " → ".join(f"{lr:g}" for lr in [config.lr, *(lr for _, lr in history.changes)])
        cells = [label(run.settings.dataset), run.settings.title, rate, config.batch_size, f"{config.weight_decay:g}"]
        cells += [clock(history.seconds[-1]), f"{run.accuracy:.1%}", test]
        rows += f'<tr><th><i style="background:{colour}"></i>{i + 1}</th>'
        rows += "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
    names = "".join(
        f"<th>{name}</th>"
        for name in ("Run", "Data", "Model", "Rate", "Batch", "Decay", "Time, min", "Validation", "Test")
    )
    return (
        f'<p class="v-label">Your runs <span class="v-quiet">validation accuracy, 0 to {clock(end)} min</span></p>'
        '<div class="v-plot t-overlaid"><svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        'aria-label="Validation accuracy of your runs over time"><path class="v-grid" d="M0 0H100"/>'
        f'<path class="v-grid" d="M0 50H100"/><path class="v-grid" d="M0 100H100"/>{lines}</svg>'
        '<span class="v-y" style="top:0">100%</span><span class="v-y" style="top:50%">50%</span>'
        '<span class="v-y" style="top:100%">0%</span></div>'
        f'<div class="t-scroll"><table class="t-runs"><tr>{names}</tr>{rows}</table></div>'
    )


def limits() -> dict:
    """What bounds a run here, for programs."""
    return {
        "max_minutes": settings.MAX_MINUTES,
        "max_parameters": settings.MAX_PARAMETERS,
        "runs_at_once": runs.MAX_RUNS,
        "runs_waiting": runs.MAX_QUEUE,
        "unwatched_minutes": UNWATCHED_MINUTES,
    }
