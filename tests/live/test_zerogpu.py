"""ZeroGPU: the same training through a fork that only lets pickles pass, steered from outside."""

import time

import pytest
import torch
from gradio_client import Client

from tests.conftest import ROOT, SETTINGS, await_end, serving
from vit.live import settings, worker, zerogpu
from vit.live.datasets import SOURCES
from vit.training import TrainingDiverged
from vit.training.config import TrainConfig
from vit.ui.train import tab


@pytest.fixture(scope="module")
def lent(tmp_path_factory):
    """(client of a server that believes to be on ZeroGPU, file with a line for each call that had the GPU)."""
    folder = tmp_path_factory.mktemp("lent")
    calls = folder / "calls"
    variables = {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "VIT_RUNS_FOLDER": str(folder / "runs")}
    variables |= {
        "SPACES_ZERO_GPU": "true",
        "PYTHONPATH": str(ROOT / "tests" / "live" / "lent"),
        "LENT_CALLS": str(calls),
    }
    with serving(**variables) as url:
        yield Client(url, verbose=False), calls


def start(client: Client, minutes: float = 1, **change) -> dict:
    given = {"dataset": "shapes", "model": "vit_live_patch", "minutes": minutes, **SETTINGS, **change}
    return client.predict(*given.values(), api_name="/start")


def status_when(client: Client, run: dict, holds) -> dict:
    """The first status for which that holds."""
    while not holds(status := client.predict(run["run_id"], api_name="/status")):
        assert status["status"] not in ("failed", "finished"), status
        time.sleep(0.1)
    return status


@pytest.mark.slow
def test_a_run_in_the_fork_is_followed_steered_stopped_and_used(lent):
    client, calls = lent
    run = start(client)
    status_when(client, run, lambda status: status["step"] > 3)
    parent, fork, seconds = map(int, calls.read_text().split())
    assert parent != fork
    assert seconds == 60 + 30

    client.predict(run["run_id"], run["owner_token"], 1e-4, api_name="/set_learning_rate")
    changed = client.predict(run["run_id"], api_name="/status")["step"]
    slow = status_when(client, run, lambda status: status["step"] > changed + 5)
    assert slow["curve"]["lr"][-1] <= 1e-4

    client.predict(run["run_id"], run["owner_token"], api_name="/pause")
    paused = status_when(client, run, lambda status: status["status"] == "paused")
    time.sleep(1)  # nothing can be awaited that must not come
    assert client.predict(run["run_id"], api_name="/status")["step"] <= paused["step"] + 2
    client.predict(run["run_id"], run["owner_token"], api_name="/resume")
    status_when(client, run, lambda status: status["step"] > paused["step"] + 3)

    client.predict(run["run_id"], run["owner_token"], api_name="/stop")
    status = await_end(client, run["run_id"])
    assert status["status"] == "stopped"
    assert 0 <= status["test_accuracy"] <= 1
    assert client.predict(run["run_id"], 10**6, api_name="/snapshot")["step"] > 0


def test_a_run_that_diverges_says_what_to_try_on_this_side_of_the_fork(tmp_path):
    chosen = settings.read({"dataset": "shapes", "model": "vit_live_patch", "minutes": 1, "batch_size": 8})
    splits, model = SOURCES["shapes"].load(), chosen.build()
    torch.nn.init.constant_(model.head.weight, float("inf"))

    class Elsewhere:
        letter = zerogpu.Letter(tmp_path / "wanted.json")

    Elsewhere.letter.write(pausing=False, stopping=False, lr=None)
    with pytest.raises(TrainingDiverged, match="Try a rate of"):
        list(worker.begin(model, chosen, splits, Elsewhere()))


@pytest.mark.slow
def test_limits_are_those_of_a_lent_gpu(lent):
    assert lent[0].predict(api_name="/about")["max_minutes"] == 1.5


def test_the_form_keeps_to_the_limit(monkeypatch):
    monkeypatch.setattr(settings, "MAX_MINUTES", 1.5)
    assert tab.proposed("shapes").config.minutes == 1.5


def test_a_pause_ends_the_run_before_the_quota_does(tmp_path, monkeypatch):
    letter, config = zerogpu.Letter(tmp_path / "wanted.json"), TrainConfig(minutes=1)
    letter.write(pausing=False, stopping=False, lr=None)
    assert letter.steer(config) and config.lr == TrainConfig.lr
    letter.write(pausing=False, stopping=False, lr=0.5)
    assert letter.steer(config) and config.lr == 0.5
    letter.write(pausing=False, stopping=True, lr=0.5)
    assert not letter.steer(config)
    monkeypatch.setattr(zerogpu, "LONGEST_PAUSE", 0.3)
    letter.write(pausing=True, stopping=False, lr=None)
    assert not letter.steer(config)
