"""Four pitfalls of Vision Transformers: what goes wrong, the switch that mends it, and clicks that try both."""

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from vit.live import settings
from vit.live.settings import DEFAULTS, FAST
from vit.ui import pictures, scripts
from vit.ui.checks import check, one_of

HERE = Path(__file__).parent
MINUTES = f"{min(1.0, settings.MAX_MINUTES):g}"


class Run(NamedTuple):
    """title: of its button. form: what it fills in, by the settings' names."""

    title: str
    form: dict[str, object]


class Pitfall(NamedTuple):
    """words: what goes wrong, and the switch. look: (title, address) of what can be looked at instead of trained."""

    title: str
    words: str
    runs: tuple[Run, ...] = ()
    look: tuple[str, str] | None = None


def _run(title: str, model: str, **changes: object) -> Run:
    usual = {"minutes": MINUTES, "learning_rate": DEFAULTS.lr, "warmup": DEFAULTS.warmup}
    return Run(title, {"model": model, **settings.variant_shape(model), **usual, **changes})


PITFALLS = (
    Pitfall(
        "Few pictures",
        "A transformer has to learn what convolutions have built in, so a large one starves on few pictures. Start "
        "from pretrained weights (Attention tab, Other models), or have a teacher: <code>vit train --distill</code>.",
        (_run("Small from nothing", "vit_small"), _run("Live patch, far smaller", "vit_live_patch")),
    ),
    Pitfall(
        "Another resolution",
        "Positions are learned for one grid of patches. Interpolate them for another, and see what that costs.",
        look=("Look at 48 pixels", "?tab=attention&model=shapes@48px&picture=shapes-17&open=resolution"),
    ),
    Pitfall(
        "Instability",
        f"At a high rate, here {FAST:g}, a run may learn nothing. A rate that rises slowly can help; on the command "
        "line also <code>--clip-grad</code> and <code>--opt adamw</code> or <code>muon</code>.",
        (
            _run("No warm-up", "vit_live_patch", learning_rate=FAST, warmup=0.0),
            _run("Warm-up over a fifth", "vit_live_patch", learning_rate=FAST, warmup=0.2),
        ),
    ),
    Pitfall(
        "Patches cut blindly",
        "One linear map of each patch learns edges late. A few convolutions before it, a conv stem, learn faster.",
        (_run("Patch stem", "vit_live_patch"), _run("Conv stem", "vit_live")),
    ),
)

RUNS = {run.title: run.form for pitfall in PITFALLS for run in pitfall.runs}
FILLED = tuple(PITFALLS[0].runs[0].form)  # what of the form each of them fills in


def build() -> gr.HTML:
    """Lays them out, folded. Its event `use` names one of RUNS."""
    with gr.Accordion("Four pitfalls", open=False, elem_id="pitfalls"):
        return pictures.html(
            value='<p class="v-note">A click fills in the form: train one, then the other, '
            f"{MINUTES} min each, and compare them in the table of your runs.</p>" + "".join(map(_markup, PITFALLS)),
            js_on_load=scripts.mount(HERE / "script" / "next.js", {"use": "use"}),
        )


def fill(event: gr.EventData) -> list[object]:
    """The values of FILLED in the run that was clicked."""
    return list(offered(RUNS, event).values())


def offered(forms: Mapping[str, dict], event: gr.EventData) -> dict[str, object]:
    """What of the form the named run fills in. Raises BadInput where there is no such run."""
    return forms[one_of("run", check("event", event._data, dict).get("run"), forms)]


def _markup(pitfall: Pitfall) -> str:
    buttons = [f'<button type="button" data-use="{run.title}">{run.title}</button>' for run in pitfall.runs]
    if pitfall.look:
        title, address = pitfall.look
        buttons.append(f'<a href="{escape(address)}">{title}</a>')
    words = f'<p class="v-label">{pitfall.title}</p><p class="v-note">{pitfall.words}</p>'
    return f'{words}<p class="t-tries">{"".join(buttons)}</p>'
