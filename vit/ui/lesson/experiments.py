"""Three experiments for a visitor: what to predict, and the two runs that decide, as the Train form takes them."""

from typing import NamedTuple

from vit.live import settings

MINUTES = min(1.0, settings.MAX_MINUTES)
BASE = {"model": "vit_live_patch", "minutes": f"{MINUTES:g}", "stem": "patch", "patch_size": 4, "num_heads": 4}
BASE |= {"learning_rate": settings.DEFAULTS.lr, "warmup": settings.DEFAULTS.warmup}


class Run(NamedTuple):
    """name: as the script asks for it. form: what of the form it fills in, by the settings' names."""

    name: str
    title: str
    form: dict


class Experiment(NamedTuple):
    title: str
    ask: str
    options: tuple[str, ...]
    runs: tuple[Run, Run]


def _run(name: str, title: str, **changes) -> Run:
    return Run(name, title, {**BASE, **changes})


EXPERIMENTS = (
    Experiment(
        "One head or four",
        "Both have the same number of weights. Which names more held-out pictures correctly?",
        ("One head", "Four heads", "No difference to speak of"),
        (_run("one-head", "1 head", num_heads=1), _run("four-heads", "4 heads")),
    ),
    Experiment(
        "No warm-up at a high rate",
        f"At the rate {settings.FAST:g}, twenty times the usual: does it matter that the rate rises slowly at first?",
        ("Without warm-up it never learns", "It catches up", "No difference to speak of"),
        (
            _run("cold", "no warm-up", learning_rate=settings.FAST, warmup=0.0),
            _run("warm", "with warm-up", learning_rate=settings.FAST, warmup=0.2),
        ),
    ),
    Experiment(
        "Patches of 2 or of 8 pixels",
        "Small patches see more detail, large ones take far less time a step. Which wins in the same minutes?",
        ("2 pixels", "8 pixels", "No difference to speak of"),
        (_run("fine", "patch 2", patch_size=2), _run("coarse", "patch 8", patch_size=8)),
    ),
)

RUNS = {run.name: run.form for experiment in EXPERIMENTS for run in experiment.runs}


def told() -> list[dict]:
    """As the script draws them."""
    return [
        {
            "title": title,
            "ask": ask,
            "options": options,
            "runs": [{"name": run.name, "title": run.title} for run in runs],
        }
        for title, ask, options, runs in EXPERIMENTS
    ]
