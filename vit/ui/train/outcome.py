"""What there is of a run once it has ended: test accuracy and confusion, command, download, the Hub, the comparison."""

import contextlib
from html import escape
from typing import NamedTuple

import gradio as gr

from vit.evaluation import Evaluation
from vit.live import runs, settings, storage
from vit.live.run import UNWATCHED_MINUTES, LiveRun
from vit.ui import pictures, push
from vit.ui.checks import checked, whole
from vit.ui.endpoints import unseen
from vit.ui.errors import BadInput
from vit.ui.quiet import QUIET
from vit.ui.train import comparing, sharing
from vit.ui.train import view as train_view
from vit.ui.train.api import steered

KEPT = f"The server keeps the latest {storage.KEEP_ON_DISK} runs of all visitors, and deletes older ones."
# What a BrowserState stores is read as a page opens, and written whole: a browser's tabs tell each other beside it.
TELL = "localStorage.setItem('vit-live-tabs', JSON.stringify(mine));"
GATHER = """(mine) => {
  let others = {};
  try { others = JSON.parse(localStorage.getItem("vit-live-tabs")) ?? {}; } catch { /* damaged: there are none */ }
  return { ...others, ...mine };
}"""
LEAVE = f"(mine) => {{ {TELL} location.assign(location.pathname); }}"


class Outcome(NamedTuple):
    """The components that show fills."""

    column: gr.Column
    share: gr.HTML
    confusion: gr.HTML
    command: gr.Textbox
    download: gr.DownloadButton
    table: gr.HTML

    def show(self, run: LiveRun, owned: list[str]) -> dict:
        """What there is of the run by now; owned: ids of this browser's runs, for the comparison."""
        compared = {self.table: comparing.comparison(owned)}
        if run.live or not run.usable:
            return {self.column: gr.Column(visible=False), **compared}
        return {
            self.column: gr.Column(visible=True),
            self.share: run.id,
            self.confusion: _confusion(run.evaluation, run.settings.classes) if run.evaluation else "",
            self.command: run.settings.command,
            self.download: _download(run),
            **compared,
        }


def build(run_id: gr.State, owned: gr.BrowserState) -> Outcome:
    """Lays out the outcome and names its endpoints."""
    with gr.Column(visible=False, elem_id="after") as column:
        shared = sharing.build()
        confusion = pictures.html("confusion")
        command = gr.Textbox(label="The same from the command line", buttons=["copy"], interactive=False, max_lines=4)
        download = gr.DownloadButton("Download weights, config and card", size="md")
        push.build(run_id, push_run)
        with gr.Row(elem_classes="v-buttons t-delete"):
            delete = gr.Button("Delete this run", variant="stop", size="md", min_width=160)
            gr.HTML(f'<p class="v-note">{KEPT}</p>', apply_default_css=False)
    table = comparing.build()

    gathered = delete.click(None, owned, owned, js=GATHER, **QUIET)
    gathered.then(delete_own, [run_id, owned], owned, **QUIET).success(None, owned, None, js=LEAVE)

    with unseen():
        asked = gr.Textbox(label="run_id")
        gr.Button().click(
            archive,
            asked,
            gr.File(label="zip"),
            api_name="download",
            api_description="A zip of weights, config and card of a run that has ended, by the run's id.",
        )
        gr.Button().click(
            draw_animation,
            [asked, gr.Number(1, label="layer")],
            gr.File(label="gif"),
            api_name="animation",
            api_description="A GIF of attention as it formed in a run, by the run's id, or in a recorded checkpoint, "
            "by its name. layer: from 1.",
        )
    gr.api(delete_run, api_name="delete", concurrency_limit=None)
    return Outcome(column, shared, confusion, command, download, table)


@checked
def delete_own(run_id: str, owned: dict[str, str]) -> dict[str, str]:
    """This browser's runs without the one that is deleted."""
    steered(runs.delete, run_id, owned.get(run_id, ""))
    return {other: token for other, token in owned.items() if other != run_id}


@checked
def delete_run(run_id: str, owner_token: str) -> dict:
    """Deletes a run that has ended, its model and its link; takes the token that start returned."""
    steered(runs.delete, run_id, owner_token)
    return {"run_id": run_id, "deleted": True}


@checked
def draw_animation(key: str, layer: float) -> str:
    """The GIF's path."""
    number = whole("layer", layer, 1, 1000)
    gif = train_view.gif_of(key, number)
    return str(storage.temporary(key, f"attention-forming-layer-{number}.gif", gif))  # others may ask for another layer


def _download(run: LiveRun) -> gr.DownloadButton:
    archived = None
    with contextlib.suppress(OSError, ValueError):  # a full disk, which the run's own warning speaks of
        archived = _zip(run)
    return gr.DownloadButton(value=archived)


@checked
def archive(run_id: str) -> str:
    """The zip's path."""
    try:
        return _zip(runs.find(run_id))
    except ValueError as error:
        raise BadInput(error) from error
    except OSError as error:
        raise BadInput(f"The zip can't be written on the server ({error.strerror}); try again later.") from error


def _zip(run: LiveRun) -> str:
    with run.checkpoint() as folder:
        return str(storage.archive(run.id, folder, _file_name(run)))


@checked
def push_run(run_id: str, name: str, token: str, private: bool) -> str:
    """What came of it."""
    return push.push_folder(lambda: runs.find(run_id).checkpoint(), name, token, private)


def _file_name(run: LiveRun) -> str:
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
        f'<div class="t-scroll"><table class="t-confusion"><tr><td></td>{top}</tr>{rows}</table></div>'
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
