"""A registry of runs for each test that starts some, and how to wait for them."""

import threading
import time

import pytest

from vit.data import Splits
from vit.live import runs, settings, storage
from vit.live.datasets import SOURCES
from vit.live.run import LiveRun, changed
from vit.live.visitors import Visitor

TINY = {"dataset": "shapes", "model": "vit_live_patch", "minutes": 1, "batch_size": 8, "embed_dim": 24, "depth": 1}


@pytest.fixture
def registry(monkeypatch, tmp_path, shapes):
    """Runs of their own, a folder of their own, and few pictures; afterwards no run goes on."""

    def few(dataset):
        return dataset.take(slice(200))

    monkeypatch.setattr(runs, "RUNS", {})
    monkeypatch.setattr(storage, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(SOURCES["shapes"], "splits", Splits(*map(few, shapes)))
    yield
    for run in runs.RUNS.values():
        if run.live:
            runs.stop(run.id, run.owner)
    until(lambda: not any(run.live for run in runs.RUNS.values()))


def start(visitor: Visitor | None = None, **changes) -> LiveRun:
    return runs.start(settings.read({**TINY, **changes}), visitor)


def until(condition, seconds: float = 120) -> None:
    """Waits for what a run's thread does; steps tell nobody, so it looks again now and then."""
    deadline = time.monotonic() + seconds
    with changed:
        while not condition():
            assert time.monotonic() < deadline
            changed.wait(0.01)


def steps(run: LiveRun) -> int:
    return run.progress.step if run.progress else 0


def free(condition: threading.Condition) -> bool:
    """Whether another thread could take it now."""
    taken = []

    def take() -> None:
        if condition.acquire(blocking=False):
            condition.release()
            taken.append(True)

    thread = threading.Thread(target=take)
    thread.start()
    thread.join()
    return bool(taken)


def stopped(run: LiveRun, after: int = 3) -> LiveRun:
    until(lambda: steps(run) >= after or not run.live)
    runs.stop(run.id, run.owner)
    until(lambda: not run.live)
    return run
