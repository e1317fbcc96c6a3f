"""Any value in any place of what programs and pages can call: a sentence of ours, never an exception that isn't."""

import time
from types import SimpleNamespace

import gradio as gr
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from PIL import Image

from vit.live import runs
from vit.ui.analysis import analyze, payload
from vit.ui.attention import api, studies
from vit.ui.attention.probes import PROBES
from vit.ui.classify import classify
from vit.ui.train import api as train_api
from vit.ui.train import steering
from vit.ui.train import view as train_view

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
)
ANY = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)


@pytest.fixture
def calls(here, ended, tmp_path):
    """(function, a value for each argument that works): half of the values that a call gets are these."""
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
    return [
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
        *((probe, [question]) for probe in PROBES),
    ]


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
        function, fitting = data.draw(st.sampled_from(calls))
        values = [data.draw(right if data.draw(st.booleans()) else ANY) for right in fitting]
        found.made += 1
        try:
            function(*values)
        except gr.Error:
            pass
        except Exception as error:
            found.broken.append(f"{function.__name__}: {type(error).__name__}: {str(error)[:80]}")

    run()
    return found


def test_no_exception_of_ours_in_200_calls(calls):
    found = fuzz(calls, 200)
    assert found.made >= 200 and not found.broken, "\n".join(sorted(set(found.broken)))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_exception_of_ours_in_3000_calls(calls):
    found = fuzz(calls, 3000)
    print(f"{found.made} calls, {len(found.broken)} unhandled exceptions")
    assert found.made > 500 and not found.broken, "\n".join(sorted(set(found.broken)))
