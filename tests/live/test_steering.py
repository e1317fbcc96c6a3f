"""A run under way: paused, resumed, changed and stopped by its owner alone, and what training hands over."""

import math
import pickle
import re
import time
from dataclasses import replace

import gradio as gr
import pytest
import torch

from tests.live.conftest import TINY, start, steps, stopped, until
from vit.evaluation import Evaluation
from vit.live import models, runs, settings, storage, worker
from vit.live.datasets import SOURCES
from vit.live.run import UNWATCHED_MINUTES, LiveRun, changed
from vit.live.worker import Frame
from vit.training import Progress, TrainingDiverged, train
from vit.training.config import TrainConfig
from vit.training.state import TrainState
from vit.ui.train import steering
from vit.ui.train import view as train_view

pytestmark = pytest.mark.usefixtures("registry")

LAST = Progress(1, 1, 0.1, 1.0, 2.0, 0.1, 1e-3, 100.0, 6.0, 0.0)


def test_a_paused_run_takes_no_step_until_it_is_resumed():
    run = start()
    until(lambda: steps(run) >= 2)
    runs.pause(run.id, run.owner)
    until(lambda: run.status == "paused")
    before = steps(run)
    time.sleep(0.2)  # nothing must happen, so there is nothing to await
    assert steps(run) == before
    runs.resume(run.id, run.owner)
    until(lambda: steps(run) > before and run.status == "running")
    runs.pause(run.id, run.owner)
    until(lambda: run.status == "paused")
    stopped(run)
    assert run.status == "stopped" and run.usable


def test_a_run_may_be_paused_before_its_first_step():
    run = start()
    runs.pause(run.id, run.owner)
    until(lambda: run.status == "paused")
    waiting = replace(run, progress=None)  # as it is until the step that is under way is told
    assert "Paused" in train_view.panel(waiting) and "Step" not in train_view.panel(waiting)
    runs.resume(run.id, run.owner)
    until(lambda: steps(run) >= 1)
    stopped(run)


def test_a_new_rate_holds_from_the_next_step_and_its_kink_is_recorded():
    run = start(warmup=0.0)
    until(lambda: steps(run) >= 3)
    runs.set_lr(run.id, run.owner, 2e-5)
    until(lambda: run.history.changes)
    stopped(run, after=steps(run) + 3)
    rates = run.history.lr
    kink = next(i for i, rate in enumerate(rates) if rate < 1e-4)
    assert all(rate > 1e-3 for rate in rates[:kink]) and all(rate <= 2e-5 for rate in rates[kink:])
    assert run.history.changes[0][1] == 2e-5
    assert run.settings.config.lr == settings.DEFAULTS.lr, "the command says how it was started"
    trained = models.find(run.id).trained
    assert list(trained["learning_rate_changes"].values()) == [2e-5]


@pytest.mark.parametrize("rate", [0, -1, math.nan, math.inf, 50, None])
def test_absurd_rates_are_refused(rate):
    run = start()
    with pytest.raises(ValueError, match=r"positive number, at most 1"):
        runs.set_lr(run.id, run.owner, rate)


def test_nobody_but_the_owner_steers():
    run = start()
    for act in (runs.stop, runs.pause, runs.resume, lambda *who: runs.set_lr(*who, 1e-3)):
        for token in ("", run.id, "x" * 32, None):
            with pytest.raises(PermissionError, match="you can watch it"):
                act(run.id, token)
    assert run.live and not run.stopping and not run.pausing


def test_a_diverged_run_keeps_its_history_and_its_last_good_state(monkeypatch):
    def breaks(model, chosen, splits, steering):
        weights = model.state_dict()
        for step in range(1, 6):
            progress = Progress(step, 100, 0.1 * step, 0.01 * step, 2.0, 0.1, 1e-3, 100.0, 6.0 * step, 1.0)
            yield Frame(progress, weights=weights if step == 2 else None)
        raise TrainingDiverged("The loss became nan at step 6. Try a rate of 0.0003.")

    monkeypatch.setattr(runs, "begin", breaks)
    run = start()
    until(lambda: not run.live)
    assert run.status == "failed" and "Try a rate" in run.message
    assert len(run.history.loss) == 5
    assert all(p.isfinite().all() for p in models.find(run.id).parameters())


@pytest.mark.parametrize("error", [TrainingDiverged("No."), ValueError("No.")])
def test_what_breaks_off_before_the_first_weights_leaves_no_model_in_their_place(monkeypatch, error):
    def breaks(*_):
        yield Frame(replace(LAST, done=0.1))
        raise error

    monkeypatch.setattr(runs, "begin", breaks)
    run = start()
    until(lambda: not run.live)
    assert (run.status, run.message, run.usable, run.earlier) == ("failed", "No.", False, [])
    assert "last good state" not in train_view.panel(run) and not storage.exists(run.id)


def test_a_pause_that_comes_after_the_last_step_leaves_the_run_finished(monkeypatch):
    def ends(model, chosen, splits, steering):
        done = Progress(1, 1, 0.1, 1.0, 2.0, 0.1, 1e-3, 100.0, 6.0, 0.0)
        yield Frame(done, weights=model.state_dict())
        steering.pausing = True

    monkeypatch.setattr(runs, "begin", ends)
    run = start()
    until(lambda: not run.live)
    assert (run.status, run.message) == ("finished", "")


def test_on_zero_gpu_what_is_not_lent_the_gpu_computes_on_the_cpu(monkeypatch):
    monkeypatch.setattr(worker, "ON_ZERO", True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert worker.device() == torch.device("cpu")


def test_what_training_hands_over_can_cross_a_process_border():
    class Straight:
        def steer(self, config):
            return False

    chosen = settings.read(TINY)
    frames = list(worker.learn(chosen.build(), chosen, SOURCES["shapes"].splits, Straight(), torch.device("cpu")))
    there_and_back = pickle.loads(pickle.dumps(frames))
    assert there_and_back[0].progress is None and there_and_back[0].snapshot == frames[0].snapshot
    assert frames[0].precision and there_and_back[0].precision == frames[0].precision
    assert there_and_back[-1].progress == frames[-1].progress
    assert all(value.device.type == "cpu" for value in there_and_back[-1].weights.values())


@pytest.mark.parametrize("act", [runs.pause, runs.resume, lambda *who: runs.set_lr(*who, 1e-3)])
def test_a_run_that_has_ended_stays_as_it_was_recorded(act):
    run = stopped(start())
    before = run.status, run.lr, run.pausing, list(run.history.changes)
    for status in (run.status, "testing"):
        run.status = status
        with pytest.raises(runs.RunEnded, match="training is over"):
            act(run.id, run.owner)
    run.status = before[0]
    assert runs.stop(run.id, run.owner) is run
    assert (run.status, run.lr, run.pausing, run.history.changes) == before


def after_its_test(monkeypatch, meanwhile) -> LiveRun:
    """A run that has learned all that it is to, and during whose test something happens."""

    def evaluate(model, dataset, on_progress):
        for done in (0.5, 1.0):
            meanwhile(run)
            on_progress(done, desc="")
        return Evaluation(0.5, 1.0, len(dataset), 9.0, torch.zeros(10, 10, dtype=torch.int64))

    monkeypatch.setattr(runs, "evaluate", evaluate)
    monkeypatch.setattr(runs, "begin", lambda model, *_: iter([Frame(LAST, weights=model.state_dict())]))
    with changed:
        run = start()
    until(lambda: not run.live)
    return run


def stop(run: LiveRun) -> None:
    assert run.status == "testing" and not run.stopping
    runs.stop(run.id, run.owner)


def leave(run: LiveRun) -> None:
    run.watched_at -= 60 * UNWATCHED_MINUTES + 1


def wait_longer(run: LiveRun) -> None:
    runs.LONGEST_TEST = -1.0


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (stop, "^Its test ended early, so its test accuracy is not known"),
        (leave, "nobody had watched it for 5 minutes. Its test ended early"),
        (wait_longer, "^Its test took longer than"),
    ],
)
def test_a_test_that_is_stopped_left_or_too_slow_ends_and_the_run_keeps_what_it_learned(monkeypatch, meanwhile, words):
    monkeypatch.setattr(runs, "LONGEST_TEST", 3600.0)
    run = after_its_test(monkeypatch, meanwhile)
    assert (run.status, run.evaluation) == ("finished", None) and run.usable
    assert re.search(words, run.message) and run.message in train_view.panel(run)


def test_a_run_that_was_stopped_is_tested():
    run = stopped(start())
    assert run.status == "stopped" and run.evaluation and run.message == ""


def test_while_a_run_is_tested_it_can_be_stopped_and_no_longer_paused():
    with gr.Blocks(analytics_enabled=False):
        controls = steering.build(gr.State(""), gr.BrowserState({}))
    shown = controls.show(LiveRun(settings.read(TINY), status="testing"), own=True, first=False)
    assert shown[controls.stop].value == "Stop the test" and shown[controls.stop].interactive
    assert not shown[controls.pause].interactive


def test_what_is_kept_of_an_early_stop_is_the_average_whose_accuracy_is_shown(shapes):
    """With a decay of almost 1 the average is hardly trained, the raw weights are."""

    class Briefly:
        def steer(self, config):
            return False

    chosen = settings.read(TINY)
    chosen = replace(chosen, config=TrainConfig(epochs=1, batch_size=8, lr=0.1, warmup=0.0, ema=0.99, precision="fp32"))
    model = chosen.build()
    *_, last = worker.learn(model, chosen, SOURCES["shapes"].splits, Briefly(), torch.device("cpu"))
    state = TrainState(chosen.build(), chosen.config)
    next(train(state.model, SOURCES["shapes"].splits.train, chosen.config, state=state))
    assert all(last.weights[name].equal(value) for name, value in state.best.state_dict().items())
    assert any(not last.weights[name].equal(value) for name, value in model.state_dict().items())


def test_a_run_at_a_rate_that_no_young_transformer_survives_says_so_and_what_to_try():
    run = stopped(start(learning_rate=1.0, warmup=0.0, depth=4), after=60)  # more than two epochs
    assert run.progress.epoch > 1 and re.search(r"Try a (lower learning )?rate", run.message)


def test_a_run_that_learns_is_not_said_to_have_learned_nothing():
    run = stopped(start(learning_rate=1e-3), after=60)
    run.evaluation = replace(run.evaluation, loss=9.0, accuracy=0.5)  # overfitted, yet right half of the time
    assert run.divergence == ""
    run.evaluation = replace(run.evaluation, accuracy=0.1)
    assert "no better than that of guessing, 2.30" in run.divergence
