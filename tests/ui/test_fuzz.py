"""Any value in any place of what programs and pages can call: a sentence of ours, never an exception that isn't."""

import asyncio
import inspect
import time
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.helpers import special_args
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from vit.live import datasets, runs, speed
from vit.ui import page
from vit.ui.analysis import analyze, payload
from vit.ui.attention import api, studies
from vit.ui.attention.tab import SERVED
from vit.ui.classify.api import classify
from vit.ui.errors import LONGEST
from vit.ui.train import api as train_api
from vit.ui.train import steering
from vit.ui.train import view as train_view
from vit.weights import hub

SECONDS = 240  # of the long fuzz at most
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(),
    st.sampled_from(
        [10**400, float("inf"), "inf", "1e999", "1,inf", "1.inf", "", "shapes", "heads", "rollout", "heart"]
    ),
    st.sampled_from(["npz", "png", "viridis", "grid"]),
    st.text(max_size=20),
    st.just("x" * 300_000),
)
ANY = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@pytest.fixture
def calls(here, ended, tmp_path):
    """(function, what each argument gets): half of the values are such as work."""
    runs.RUNS[ended.id] = ended
    path = str(tmp_path / "picture.png")
    Image.new("RGB", (40, 30), "red").save(path)
    run, owned, picture = st.just(ended.id), st.just({ended.id: ended.owner}), st.just(path)
    token, model = st.just(ended.owner), st.just("shapes")
    seen = analyze("shapes", ("upload", path))
    shown = payload(seen, "shapes", ("upload", path))["token"]
    one = st.just(1)
    question = st.fixed_dictionaries(
        {"token": st.just(shown)},
        optional={
            "off": ANY | st.lists(st.lists(st.integers(-1, 3), min_size=2, max_size=2), max_size=3),
            "classes": ANY | st.lists(st.integers(-1, 12), max_size=2),
            **dict.fromkeys(("format", "grid", "title", "name", "top", "opacity", "colormap"), ANY),
        },
    )
    advanced = st.dictionaries(st.sampled_from(["classes", "depth", "flip", "stem", "embed_dim", "warmup"]), ANY)
    refused = st.just("no such dataset")  # a training is never started
    fitting = [
        (classify, [picture, model]),
        (api.attention, [picture, model, one, one, st.just("1,1"), st.just("heads")]),
        (api.attention_statistics, [picture, model]),
        (api.relevance, [picture, model, st.just("heart")]),
        (api.logit_lens, [picture, model]),
        (api.position_similarity, [model]),
        (api.without_heads, [picture, model, st.just("1.1")]),
        (lambda *given: next(studies.head_importance(*given)), [model, st.just(2)]),
        (lambda *given: next(studies.show_regions(*given)), [model, st.just(2)]),
        (train_api.start_training, [refused, st.just("vit_tiny"), one, one, one, one, one, advanced]),
        (train_api.training_status, [run]),
        (train_api.pause_training, [run, token]),
        (train_api.set_learning_rate, [run, token, st.just(0.1)]),
        (train_api.snapshot, [run, one]),
        (steering.toggle_pause, [run, owned]),
        (steering.stop_run, [run, owned]),
        (steering.change_lr, [run, owned, st.just(0.1)]),
        (train_view.fetch, [st.tuples(run | ANY, st.just([0]) | ANY).map(list)]),
        *((probe, [question]) for probe in SERVED),
    ]
    return [(function, [right | ANY for right in values]) for function, values in fitting]


@pytest.fixture
def events(here, ended, monkeypatch):
    """As calls, of everything that the page's events and endpoints run: each has a number by which anyone calls it.

    What Gradio makes of what came, a state among them that no one else can set, is half of the values that a call gets.
    """
    runs.RUNS[ended.id] = ended
    monkeypatch.setattr(datasets, "load_in_background", lambda then: None)
    monkeypatch.setattr(runs, "_work", lambda run: setattr(run, "status", "stopped"))  # a training is never started
    monkeypatch.setattr(speed, "_try", lambda *shape: 100.0)
    monkeypatch.setattr(hub, "push", _refuse)
    demo = page.build()
    query = st.dictionaries(st.sampled_from(["run", "model", "tab", "picture"]), st.text() | st.just(ended.id))
    sent = st.fixed_dictionaries({}, optional={"picture": ANY | st.sampled_from(["shapes-3", "shapes-999", "moon-1"])})

    def own(component):
        if isinstance(component, gr.State) and component.value == "":
            return st.sampled_from(["", ended.id])
        if isinstance(component, gr.BrowserState):
            return st.just({ended.id: ended.owner})
        return st.just(component.value)

    def as_called(event):
        def call(*values):
            *values, query, sent = values
            values = [dict(zip(event.inputs, values))] if event.inputs_as_dict else values
            request = SimpleNamespace(query_params=query, client=None, headers={})
            values, *_ = special_args(event.fn, values, request, gr.EventData(None, sent))
            return _first(event.fn(*values))

        call.__name__ = event.name
        return call

    found = []
    for event in demo.fns.values():
        if event.fn:
            values = [own(c) if isinstance(c, gr.State) else own(c) | ANY for c in event.inputs]
            found.append((as_called(event), [*values, query, sent | ANY]))
    return found


def _refuse(*_):
    raise ValueError("There is no Hub here.")


def _first(result):
    """What a handler gives, a generator at first."""
    if inspect.isasyncgen(result):
        return asyncio.run(anext(result, None))
    return next(result, None) if inspect.isgenerator(result) else result


def fuzz(calls: list, count: int) -> SimpleNamespace:
    """How many calls were made, and the unhandled exceptions by function and kind."""
    found = SimpleNamespace(made=0, broken=[])
    end = time.monotonic() + SECONDS

    @seed(0)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def run(data):
        if time.monotonic() > end:
            return
        function, strategies = data.draw(st.sampled_from(calls))
        values = [data.draw(strategy) for strategy in strategies]
        found.made += 1
        try:
            function(*values)
        except gr.Error as error:
            if len(error.message) > LONGEST + 100:
                found.broken.append(f"{function.__name__}: a sentence of {len(error.message)} characters")
        except Exception as error:
            found.broken.append(f"{function.__name__}: {type(error).__name__}: {str(error)[:80]}")

    run()
    return found


@pytest.mark.parametrize("which", ["calls", "events"])
def test_no_exception_of_ours_in_200_calls(which, request):
    found = fuzz(request.getfixturevalue(which), 200)
    assert found.made >= 200 and not found.broken, "\n".join(sorted(set(found.broken)))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("which", ["calls", "events"])
def test_no_exception_of_ours_in_3000_calls(which, request):
    found = fuzz(request.getfixturevalue(which), 3000)
    print(f"{found.made} calls, {len(found.broken)} unhandled exceptions")
    assert found.made > 500 and not found.broken, "\n".join(sorted(set(found.broken)))
