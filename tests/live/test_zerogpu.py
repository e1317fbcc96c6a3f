"""ZeroGPU: the same training through the real package's fork, whose GPU alone is missing; steered from outside."""

import os
import subprocess
import sys
import time
from urllib.parse import parse_qs, urlparse

import gradio as gr
import pytest
import torch
from gradio_client import Client, handle_file
from spaces.zero.config import get_config

from tests.answering import Handler, listening
from tests.conftest import ROOT, SETTINGS, await_end, serving
from tests.live.conftest import free, steps, until
from tests.live.conftest import start as start_run
from vit.live import runs, settings, speed, worker, zerogpu
from vit.live.datasets import SOURCES
from vit.live.run import UNWATCHED_MINUTES, changed
from vit.training import TrainingDiverged
from vit.training.config import TrainConfig
from vit.training.presets import Preset
from vit.ui.train import tab, view

A_VISITOR = {"X-IP-Token": "head.e30.signature"}  # whose quota counts: the Hub's proxy adds it; {} in base64


class Scheduler(Handler):
    """Lends GPUs as ZeroGPU's host does, which the package asks. asked: paths and their values. refuse: the quota."""

    asked: list[tuple[str, dict[str, str]]]
    refuse: dict | None

    def do_POST(self):
        address = urlparse(self.path)
        type(self).asked.append((address.path, {name: value[0] for name, value in parse_qs(address.query).items()}))
        status, told = 200, {}
        if address.path == "/schedule":
            told = {"idle": False, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "token"}
            if self.refuse:
                status, told = 429, self.refuse
        self.answer(status, told)


@pytest.fixture(scope="module")
def lent(tmp_path_factory):
    """(address of a server that is on ZeroGPU, the host's scheduler)."""
    scheduler = type("FreshScheduler", (Scheduler,), {"asked": [], "refuse": None})
    folder = tmp_path_factory.mktemp("lent")
    variables = {"HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1", "VIT_RUNS_FOLDER": str(folder / "runs")}
    variables |= {"PYTHONPATH": str(ROOT / "tests" / "live" / "lent"), "ZEROGPU_OFFLOAD_DIR": str(folder / "offload")}
    with listening(scheduler) as host:
        variables |= {"SPACES_ZERO_GPU": "true", "SPACES_ZERO_DEVICE_API_URL": host}
        with serving(**variables) as url:
            yield url, scheduler


@pytest.fixture
def client(lent) -> Client:
    return Client(lent[0], headers=A_VISITOR, verbose=False)


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
def test_a_run_in_the_fork_is_followed_steered_stopped_and_used(lent, client):
    scheduler = lent[1]
    run = start(client)
    status_when(client, run, lambda status: status["step"] > 3)
    asked = dict(scheduler.asked)
    assert list(asked) == ["/startup-report", "/schedule", "/allow"]
    assert int(asked["/schedule"]["durationSeconds"]) == round((60 + 30) * get_config()["duration_factor"])
    assert asked["/schedule"]["token"] == A_VISITOR["X-IP-Token"], "the visitor's own quota"
    assert int(asked["/allow"]["pid"]) > 1 and asked["/allow"]["allowToken"] == "token"

    client.predict(run["run_id"], run["owner_token"], 1e-4, api_name="/set_learning_rate")
    changed = client.predict(run["run_id"], api_name="/status")["step"]
    slow = status_when(client, run, lambda status: status["step"] > changed + 5)
    assert slow["curve"]["lr"][-1] <= 1e-4

    client.predict(run["run_id"], run["owner_token"], api_name="/pause")
    paused = status_when(client, run, lambda status: status["status"] == "paused")
    steps = [client.predict(run["run_id"], api_name="/status")["step"]]
    while len(steps) < 3 or steps[-2] != steps[-1]:  # what was under way may still come
        assert len(steps) < 30, steps
        time.sleep(1)
        steps.append(client.predict(run["run_id"], api_name="/status")["step"])
    client.predict(run["run_id"], run["owner_token"], api_name="/resume")
    status_when(client, run, lambda status: status["step"] > paused["step"] + 3)

    client.predict(run["run_id"], run["owner_token"], api_name="/stop")
    status = await_end(client, run["run_id"])
    assert status["status"] == "stopped"
    assert 0 <= status["test_accuracy"] <= 1
    path, values = scheduler.asked[-1]
    assert path == "/release" and values["fail"] == "false", "the GPU went back as soon as the run had ended"
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


def test_a_letter_has_one_writer_at_a_time(registry, monkeypatch):
    write, shared = zerogpu.Letter.write, []

    def written(letter, *wanted, **named):
        shared.append(free(changed))
        write(letter, *wanted, **named)

    monkeypatch.setattr(zerogpu.Letter, "write", written)
    monkeypatch.setattr(runs, "ON_ZERO", True)  # the run has a letter; it trains in this process, for there is no GPU
    run = start_run()
    until(lambda: steps(run) >= 1)
    runs.set_lr(run.id, run.owner, 1e-3)
    run.watched_at -= 60 * UNWATCHED_MINUTES + 1
    until(lambda: not run.live)
    assert run.status == "stopped" and len(shared) >= 3 and not any(shared)


@pytest.mark.slow
def test_a_used_up_quota_is_told_in_the_hosts_words(lent, client):
    lent[1].refuse = {"left": 7, "wait": 3600}
    status = await_end(client, start(client)["run_id"])
    lent[1].refuse = None
    assert status["status"] == "failed" and "exceeded your ZeroGPU quota" in status["message"]
    assert "vs. 7s left" in status["message"]


@pytest.mark.slow
def test_one_picture_takes_no_quota(lent, client):
    before = len(lent[1].asked)
    said = client.predict(handle_file(str(ROOT / "docs" / "train.png")), "shapes", api_name="/classify")
    assert len(said["confidences"]) == 10 and len(lent[1].asked) == before


@pytest.mark.slow
def test_limits_are_those_of_a_lent_gpu(client):
    assert client.predict(api_name="/about")["max_minutes"] == 1.5


def test_nothing_is_tried_out_where_the_gpu_is_lent_to_runs_alone(monkeypatch):
    monkeypatch.setattr(speed, "ON_ZERO", True)
    monkeypatch.setattr(speed, "found", [])
    monkeypatch.setattr(speed, "precisions", [])
    speed.find_out()
    assert speed.found == [Preset()] and speed.precisions == []
    assert speed.images_per_second(settings.read({"dataset": "shapes", "model": "vit_live", "minutes": 1})) is None


def test_before_the_start_the_page_says_what_a_run_takes_of_the_quota(monkeypatch):
    half_a_minute = settings.read({"dataset": "shapes", "model": "vit_live", "minutes": 0.5})
    assert "ZeroGPU" not in view.ready(half_a_minute)
    monkeypatch.setattr(view, "ON_ZERO", True)
    assert "It asks for 60 s of your daily ZeroGPU time, 30 of them to get going" in view.ready(half_a_minute)
    assert worker.asked(half_a_minute) == 60


@pytest.mark.slow
def test_the_preset_of_a_lent_gpu_takes_half_a_minute():
    code = "from vit.live.settings import DEFAULTS; print(DEFAULTS.minutes)"
    for value, minutes in (("true", "0.5"), ("", "2")):
        environment = {**os.environ, "SPACES_ZERO_GPU": value}
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.stdout.strip() == minutes, done.stderr


def test_a_fork_that_breaks_off_is_told_with_what_to_try():
    broke_off = gr.Error("'OutOfMemoryError'", title="ZeroGPU worker error")
    assert "('OutOfMemoryError'). Try a smaller model or batch" in zerogpu.refusal(broke_off)
    assert zerogpu.refusal(gr.Error("No GPU was available")) == "No GPU was available"
    assert zerogpu.refusal(RuntimeError("ours")) is None


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
