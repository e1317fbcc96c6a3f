"""What a visitor sets before a run: the form, and what it says of itself while it is filled in."""

from collections.abc import Iterator
from html import escape

import gradio as gr

from vit.data.registry import DATASETS, fallback
from vit.live import runs, settings, speed
from vit.live.datasets import SOURCES
from vit.live.run import UNWATCHED_MINUTES
from vit.live.settings import DEFAULTS, LEARNING, SHAPE
from vit.training.presets import SIZED
from vit.training.setting import WrongSetting
from vit.training.spec import RunSpec
from vit.ui import pictures
from vit.ui.checks import checked, one_of
from vit.ui.errors import alert
from vit.ui.sessions import AsChosen

NAMES = {"vit_live": "Live", "vit_live_patch": "Live patch", "vit_tiny": "Tiny", "vit_small": "Small"}
LIMITS = (
    f"Here a run takes at most {settings.MAX_MINUTES:g} minutes and {settings.MAX_PARAMETERS / 1e6:g} million "
    f"parameters; "
    f"{runs.MAX_RUNS} {'trains' if runs.MAX_RUNS == 1 else 'train'} at a time, {runs.MAX_QUEUE} may wait. "
    f"It ends after {UNWATCHED_MINUTES:g} minutes in which nobody watches."
)

OWN_DATA = (
    '<button type="button" data-tab="Your pictures" title="Opens their own tab; what is set here stays">'
    "Your pictures →</button>"
)

FITTED = (*SIZED, "batch_size")  # what suits this machine, of what the form has

Form = dict[str, gr.components.Component]


class Classes(AsChosen, gr.CheckboxGroup):
    """Whose choices are those of the data."""


def basics() -> Form:
    """Data, model and time: all that has to be chosen, and it is chosen already, as soon as the page is open."""
    with gr.Row(elem_classes="t-data"):
        choices = [(entry.label, entry.name) for entry in DATASETS.values()]
        dataset = gr.Radio(choices, value=None, label="Data", interactive=False)
        pictures.html("own-data", value=OWN_DATA)
    return {
        "dataset": dataset,
        "model": gr.Radio(
            sized(),
            value="vit_live",
            label="Model",
            interactive=False,
            info="Live sees through small convolutions, Live patch through plain patches; both learn within minutes. "
            "Tiny and Small need hours. M: million parameters.",
        ),
        "minutes": gr.Textbox(
            f"{min(DEFAULTS.minutes, settings.MAX_MINUTES):g}",
            label="Minutes",
            info=f"At most {settings.MAX_MINUTES:g}; half a minute is 0.5 or 0,5.",
            max_lines=1,
            elem_id="minutes",
        ),
    }


def advanced() -> tuple[Form, tuple[gr.HTML, gr.HTML]]:
    """Everything else, folded away, with what each does to learning; and a line for each half's mistakes."""
    own = settings.variant_shape("vit_live")
    with gr.Accordion("Advanced", open=False, elem_id="advanced"):
        form = {
            "classes": Classes(
                list(fallback().classes),
                value=list(fallback().classes),
                label="Classes",
                info="Fewer are easier to tell apart, and leave fewer pictures to learn from.",
            ),
            "patch_size": gr.Radio(
                list(settings.LIMITS["patch_size"].choices),
                value=own["patch_size"],
                label="Patch, pixels",
                info="Smaller patches see finer detail; half the size is four times the tokens.",
            ),
            "embed_dim": _number(own["embed_dim"], "Width", "Values a token carries: more hold more, and cost more."),
            "depth": _number(own["depth"], "Depth, layers", "Rounds of attention: deep models learn more, but later."),
            "num_heads": _number(own["num_heads"], "Heads", "Each looks elsewhere; the width is shared among them."),
            "stem": gr.Radio(
                [("Patches", "patch"), ("Convolutions", "conv")],
                value=own["stem"],
                label="Stem",
                info="How pixels become tokens: convolutions learn much faster from few pictures.",
            ),
        }
        size_note = pictures.html("size-note")
        form |= {
            "batch_size": _number(DEFAULTS.batch_size, "Batch, images", "More a step: steadier, but fewer steps."),
            "learning_rate": gr.Number(
                DEFAULTS.lr,
                label="Learning rate",
                info="How far a step moves the weights: too low crawls, too high diverges. Can be changed on the way.",
            ),
            "weight_decay": gr.Number(
                DEFAULTS.weight_decay,
                label="Weight decay",
                info="Pulls weights towards zero, against learning by heart.",
            ),
            "warmup": gr.Slider(
                0,
                0.5,
                value=DEFAULTS.warmup,
                step=0.01,
                label="Warm-up, share of the run",
                buttons=[],
                info="The rate rises this long before it falls: large first steps can harm.",
            ),
            "crop": _number(
                DEFAULTS.crop, "Random shift, pixels", "Moves each picture about, so that place counts less."
            ),
            "flip": gr.Checkbox(DEFAULTS.flip, label="Mirror half the pictures", info="Doubles what there is to see."),
            "seed": _number(DEFAULTS.seed, "Seed", "Another one gives another start and order of pictures."),
        }
        learning_note = pictures.html("learning-note")
    return form, (size_note, learning_note)


def values(form: Form, entered: dict) -> dict:
    """What Gradio hands over for a set of components, under the settings' names; minutes as a number if it is one."""
    given = {name: entered[component] for name, component in form.items()}
    there, chosen = DATASETS.get(str(given["dataset"])), given["classes"]
    if there and isinstance(chosen, list) and chosen and not {*there.classes} & {*map(str, chosen)}:
        given["classes"] = None  # those of the other data still, as its own are on their way: all
    return {**given, "minutes": number(given["minutes"])}


def number(typed: object) -> object:
    """What a text says with a decimal point or comma; what is no number as it is, for the check to name."""
    try:
        return float(typed.strip().replace(",", ".")) if isinstance(typed, str) else typed
    except ValueError:
        return typed


@checked
def fill_shape(variant: str | None) -> tuple:
    """A variant's own patch, width, depth, heads and stem; of the live preset those that suit this machine."""
    variant = one_of("model", variant, settings.VARIANTS)
    shape = settings.variant_shape(variant)
    shape = {**shape, **fitted({**shape, "model": variant})}
    return tuple(shape[name] for name in SHAPE)


def sized() -> list[tuple[str, str]]:
    """The variants with their sizes, that of the live preset as wide as suits this machine."""
    return [(f"{NAMES[name]} · {_size(name).parameters / 1e6:.1f}M", name) for name in settings.VARIANTS]


def fitted(entered: dict) -> dict[str, int]:
    """FITTED of the live preset as it is, as they suit this machine, once that is known; of all else, nothing."""
    own = {**settings.variant_shape("vit_live"), "batch_size": DEFAULTS.batch_size}
    as_it_is = entered["model"] == "vit_live" and all(entered.get(name, own[name]) == own[name] for name in FITTED)
    if not (as_it_is and speed.found):
        return {}
    return {**speed.found[-1].shape, "batch_size": speed.found[-1].batch_size}


@checked
def fill_classes(dataset: str | None, chosen: list[str] | None = None) -> gr.CheckboxGroup:
    """The dataset's classes, of which all are chosen where nothing is said."""
    there = list(DATASETS[one_of("dataset", dataset, DATASETS)].classes)
    return gr.CheckboxGroup(there, value=there if chosen is None else chosen)


def notes(entered: dict) -> Iterator[tuple[str, str]]:
    """Under either half of the form: what it amounts to, or what is wrong with it; then what this machine manages."""
    try:
        chosen = settings.read(entered)
    except WrongSetting as error:
        yield ("", alert(error)) if error.field in LEARNING else (alert(error), "")
        return
    yield _counts(chosen, ""), ""
    if not runs.busy():
        yield _counts(chosen, _pace(chosen)), ""


def _counts(chosen: RunSpec, pace: str) -> str:
    size = settings.size(chosen)
    flops = settings.flops(chosen) / 1e6
    words = f"{size.parameters:,} parameters · {size.tokens} tokens · {flops:,.0f} MFLOPs an image"
    pace = pace or "How fast it trains shows here while no run is under way."
    return f'<p class="t-count"><b>{words}</b><br>{escape(pace)}</p>'


def _pace(chosen: RunSpec) -> str:
    speed_here = speed.images_per_second(chosen)
    if speed_here is None:
        return "It trains on a GPU that is lent to you for the run."
    text = f"This machine trains about {speed_here:,.0f} images a second"
    source = SOURCES[chosen.dataset].splits
    if source is None:
        return text + "."
    pictures_ = len(source.train) * len(chosen.classes) / len(source.train.classes)
    epochs = speed_here * 60 * chosen.config.minutes / pictures_
    return f"{text}: {epochs:.2g} epochs in {chosen.config.minutes:g} minutes."


def _number(value: int, label: str, info: str) -> gr.Number:
    return gr.Number(value, label=label, precision=0, info=info)


def _size(variant: str) -> settings.Size:
    shape = speed.found[-1].shape if variant == "vit_live" and speed.found else {}
    return settings.size(RunSpec(fallback().name, variant, DEFAULTS, shape=shape))
