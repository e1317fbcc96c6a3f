"""What the page's script asks about learning a visitor's pictures: starting, stopping, how it goes, what came of it."""

from html import escape

import gradio as gr

from vit.live import runs, taught, teaching
from vit.live.history import History
from vit.live.teaching import SECONDS, Teaching, Way
from vit.live.visitors import Visitor, address_of
from vit.report.calibration import wilson
from vit.training.finetune import WAYS
from vit.ui.analysis import forget
from vit.ui.asking import answering
from vit.ui.charts import Axis, Series, chart
from vit.ui.checks import check, one_of
from vit.ui.errors import BadInput, as_bad_input

POINTS = 100  # of a curve at most
SHARE = Axis(1, [0, 0.25, 0.5, 0.75, 1], "{:.0%}".format)
ABOUT = {
    "head": "Only the last layer learns; all below stays as it was trained on many other pictures.",
    "all": "Every weight learns on from there, the lower layers more slowly.",
    "scratch": "The same shape with random weights: all that it knows are your pictures.",
}


@answering
def parents(question: dict) -> dict:
    """The models that learning can begin from, the proposed one first."""
    return {"parents": [list(named) for named in teaching.parent_titles().items()]}


@answering
def start(question: dict, request: gr.Request) -> dict:
    """Queues learning; {"id", "owner"}. set: the token; parent: a model's key; ways: of WAYS."""
    begun = begin(
        check("set", question.get("set"), str),
        check("parent", question.get("parent"), str),
        check("ways", question.get("ways"), list[str]),
        request,
    )
    return {"id": begun.id, "owner": begun.owner}


def begin(token: str, parent: str, ways: list[str], request: gr.Request | None) -> Teaching:
    """Raises BadInput."""
    if not ways or len(set(ways)) != len(ways):
        raise BadInput(f"ways must be some of {', '.join(WAYS)}, each once, got {ways!r:.60}; choose one or more.")
    client = request and request.client
    visitor = Visitor(address=address_of(client.host, request.headers) if client else None)
    with as_bad_input():
        return teaching.start(token, parent, [one_of("ways", way, WAYS) for way in ways], visitor)


@answering
def stop(question: dict) -> dict:
    """Ends it; what is tested by then stays. id, owner: as start returned them."""
    end(check("id", question.get("id"), str), check("owner", question.get("owner"), str))
    return {}


def end(teaching_id: str, owner: str) -> None:
    """Raises BadInput where there is no such run, or for another's."""
    found = find(teaching_id)
    if not found.owned_by(owner):
        raise BadInput("Only the page or program that started this run can stop it; start one of your own.")
    teaching.stop(found)


@answering
def delete_model(question: dict) -> dict:
    """Deletes a model that was learned here. model: its key; owner: as start returned it."""
    discard(check("model", question.get("model"), str), check("owner", question.get("owner"), str))
    return {}


def discard(key: str, owner: str) -> None:
    """Deletes a model and all that is kept of what it said. Raises BadInput for another's."""
    with as_bad_input():
        teaching.delete_model(key, owner)
    forget(key)


@answering
def there(question: dict) -> dict:
    """Those of some models that are still here. models: keys."""
    return {"models": [key for key in check("models", question.get("models"), list[str]) if taught.available(key)]}


def find(teaching_id: str) -> Teaching:
    """Raises BadInput where there is no such run any more."""
    with as_bad_input():
        return teaching.find(teaching_id)


@answering
def progress(question: dict) -> dict:
    """How it goes, each way with its chart. id: as start returned it."""
    found = find(check("id", question.get("id"), str))
    longest = max([SECONDS, *(way.history.seconds[-1] for way in found.ways if way.history.seconds)])
    place = runs.place(found)
    return {
        "live": found.live,
        "says": f"Waiting: place {place} in the queue." if place else found.message,
        "ways": [{**told(way), "chart": _chart(way, found, longest)} for way in found.ways],
        "compared": "" if found.live else _compared(found),
    }


@answering
def blank(question: dict) -> dict:
    """What the charts will be, before there is a run."""
    empty = [Way(name) for name in WAYS]
    return {"ways": [{**told(way), "chart": _drawn(way, 0, SECONDS)} for way in empty]}


def told(way: Way) -> dict:
    """A way's result, as JSON: for the page and for programs."""
    said = {"name": way.name, "title": WAYS[way.name], "model": way.key, "message": way.message}
    if not way.evaluation:
        return {**said, "result": None}
    accuracy, n = way.evaluation.accuracy, way.evaluation.n
    result = {"right": round(accuracy * n), "n": n, "accuracy": accuracy, "interval": list(wilson(accuracy, n))}
    return {**said, "result": {**result, "seconds": way.seconds}}


def _chart(way: Way, found: Teaching, longest: float) -> str:
    return _drawn(way, len(found.classes), longest)


def _drawn(way: Way, classes: int, longest: float) -> str:
    """classes: 0 where they are not known, and with them the chance."""
    drawn = History(**way.history.thinned(POINTS))
    lines = [
        Series("learned from", drawn.seconds, drawn.accuracy, "v-train"),
        Series("held out", drawn.validation_seconds, drawn.validation_accuracy, "v-val"),
    ]
    time = Axis(longest, [0, longest / 2, longest], "{:.0f}".format, " s")
    levels = [("chance", 1 / classes)] if classes else []
    return chart(WAYS[way.name], lines, time, SHARE, levels, ABOUT[way.name])


def _compared(found: Teaching) -> str:
    """What the three together show, no more than that."""
    tested = {way.name: told(way)["result"] for way in found.ways if way.evaluation}
    if not {"scratch"} < tested.keys():
        return ""
    scratch = tested.pop("scratch")
    name, best = max(tested.items(), key=lambda item: item[1]["accuracy"])
    shares = f"{best['accuracy']:.0%} of the held-out pictures, the one from scratch {scratch['accuracy']:.0%}"
    said = f"Begun from a trained model ({escape(WAYS[name].lower())}) it names {shares}."
    if best["interval"][0] > scratch["interval"][1]:
        return f"{said} That is more than luck: with few pictures, begin from a model that was trained on many."
    return f"{said} With {best['n']} held-out pictures that may be luck: the ranges overlap. Collect more to be sure."
