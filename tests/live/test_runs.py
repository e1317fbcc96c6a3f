"""The registry of runs: the queue, steering, who may, what is kept and where, and what drawing costs."""

import itertools
import math
import pickle
import shlex
import threading
import time
import zipfile
from dataclasses import replace

import pytest
import torch

from vit.cli import build_parser
from vit.cli.train import read
from vit.data import Splits, select_classes
from vit.live import models, runs, settings, snapshots, storage, worker
from vit.live.datasets import SOURCES, Source
from vit.live.run import Run, changed
from vit.live.snapshots import Album
from vit.live.worker import Frame
from vit.training import Progress, TrainingDiverged
from vit.training.config import RunSpec, TrainConfig
from vit.ui.train import view as train_view
from vit.weights.checkpoint import from_pretrained

LARGE = {"patch_size": 2, "embed_dim": 384, "depth": 12, "num_heads": 6}
TINY = {"dataset": "shapes", "model": "vit_live_patch", "minutes": 1, "batch_size": 8, "embed_dim": 24, "depth": 1}


@pytest.fixture(autouse=True)
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


def start(**changes) -> Run:
    return runs.start(settings.read({**TINY, **changes}))


def until(condition) -> None:
    """Waits for what a run's thread does; steps tell nobody, so it looks again now and then."""
    deadline = time.monotonic() + 30
    with changed:
        while not condition():
            assert time.monotonic() < deadline
            changed.wait(0.01)


def steps(run: Run) -> int:
    return run.progress.step if run.progress else 0


def stopped(run: Run, after: int = 3) -> Run:
    until(lambda: steps(run) >= after)
    runs.stop(run.id, run.owner)
    until(lambda: not run.live)
    return run


def test_five_visitors_one_trains_and_four_wait_in_order():
    five = [start() for _ in range(5)]
    until(lambda: steps(five[0]))
    assert [runs.place(run) for run in five] == [0, 1, 2, 3, 4]
    assert len({run.id for run in five} | {run.owner for run in five}) == 10
    runs.stop(five[2].id, five[2].owner)
    until(lambda: not five[2].live)
    assert [runs.place(run) for run in five] == [0, 1, 0, 2, 3] and five[2].status == "stopped" and not five[2].usable
    runs.stop(five[0].id, five[0].owner)
    until(lambda: steps(five[1]))
    assert [runs.place(run) for run in five[3:]] == [1, 2]


def test_a_full_queue_refuses_and_old_runs_are_forgotten(monkeypatch):
    monkeypatch.setattr(runs, "MAX_QUEUE", 1)
    monkeypatch.setattr(runs, "KEEP_RUNS", 1)
    first = start()
    until(lambda: steps(first))
    second = start()
    with pytest.raises(ValueError, match="waiting already"):
        start()
    stopped(first)
    stopped(second)
    start()
    assert first.id not in runs.RUNS and second.id in runs.RUNS


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


def test_a_run_nobody_watches_ends_and_keeps_its_result(monkeypatch):
    watched, left = start(), None
    until(lambda: steps(watched) >= 3)
    monkeypatch.setattr("vit.live.run.UNWATCHED_MINUTES", 5.0)
    assert runs.watch(watched.id) is watched and watched.live
    left = watched
    left.watched_at -= 5 * 60 + 1
    until(lambda: not left.live)
    assert "nobody had watched it for 5 minutes" in left.message
    assert left.usable and models.find(left.id).classes
    queued = [start(), start()][1]
    queued.watched_at -= 5 * 60 + 1
    until(lambda: queued.status == "stopped")


def test_an_ended_run_is_on_disk_and_no_longer_in_memory():
    run = stopped(start(classes=["heart", "moon"]))
    assert run.model is None and run.usable
    model = models.find(run.id)
    assert model.classes == ("heart", "moon") and model.trained["test_accuracy"] == run.evaluation.accuracy
    assert model.trained["command"] == run.settings.command
    assert (
        int(run.evaluation.confusion.sum())
        == run.evaluation.n
        == len(select_classes(SOURCES["shapes"].splits, ("heart", "moon")).test)
    )


def test_after_a_restart_the_last_saved_weights_are_there(monkeypatch):
    monkeypatch.setattr(worker, "WEIGHTS_EVERY", 0.0)
    run = start()
    until(lambda: storage.folder(run.id))
    record = (storage.FOLDER / run.id / storage.RECORD).read_text()
    weights = from_pretrained(storage.folder(run.id)).state_dict()
    stopped(run)
    (storage.folder(run.id) / storage.RECORD).write_text(record)  # as if it had been killed then
    runs.RUNS.clear()
    found = runs.find(run.id)
    assert found.status == "interrupted" and "server was restarted" in found.message
    assert found.usable and found.owner != run.owner
    assert found.history.loss and found.settings == run.settings
    assert weights.keys() == models.find(run.id).state_dict().keys()


def test_a_run_whose_data_is_on_the_way_holds_nobody_up_and_can_be_stopped(monkeypatch):
    coming = Source("cifar10")
    monkeypatch.setitem(SOURCES, "cifar10", coming)
    with coming._lock:  # as while it loads
        first = start(dataset="cifar10")
        until(lambda: first.status == "loading")
        second = start()
        until(lambda: steps(second))
        runs.stop(first.id, first.owner)
        until(lambda: first.status == "stopped")
        assert not first.usable and not steps(first)


def test_a_long_pause_ends_when_somebody_waits():
    paused = start()
    until(lambda: steps(paused) >= 2)
    runs.pause(paused.id, paused.owner)
    until(lambda: paused.status == "paused")
    paused.paused_at -= 5 * 60 + 1
    assert paused.live
    waiting = start()
    until(lambda: steps(waiting))
    assert paused.status == "stopped" and "paused for 5 minutes while others waited" in paused.message


def test_an_ended_run_can_be_chosen_by_whoever_has_its_id():
    run = stopped(start())
    assert models.available(run.id) and not models.available("a" * 16)
    own = models.get_to_know(models.get_to_know({}, run.id, own=True), run.id, own=False)
    label = f"Your run 1: vit-live-patch · Shapes · 1 × 4 heads · {run.evaluation.accuracy:.1%}"
    assert models.choices(own)[0] == (label, run.id)
    others = models.get_to_know({}, run.id, own=False)
    assert models.choices(others)[0][0].startswith("Another's run: ")
    runs.RUNS.clear()
    assert models.available(run.id)


def test_the_moments_of_a_run_found_on_disk_wait_for_their_pictures(monkeypatch):
    run = stopped(start())
    assert train_view.forming(run)["moments"]
    monkeypatch.setattr(SOURCES["shapes"], "splits", None)
    assert not train_view.forming(run)["moments"]


def test_a_run_found_on_disk_is_whole():
    run = stopped(start(classes=["heart", "moon"]))
    runs.RUNS.clear()
    found = runs.find(run.id)
    assert (found.status, found.progress, found.settings) == (run.status, run.progress, run.settings)
    assert found.album.moments == run.album.moments and len(found.album.moments) >= 2
    assert torch.equal(found.evaluation.confusion, run.evaluation.confusion)
    assert found.evaluation.accuracy == run.evaluation.accuracy
    (storage.folder(run.id) / storage.MOMENTS).write_bytes(b"damaged")
    runs.RUNS.clear()
    assert runs.find(run.id).usable and not runs.find(run.id).album.moments


@pytest.mark.parametrize("name", ["", "guess", "../../etc/passwd", "a" * 16, "..", "x" * 4000])
def test_an_unknown_run_is_named_as_such(name):
    with pytest.raises(ValueError, match="no such run"):
        runs.find(name)


def test_a_full_disk_is_said_and_training_goes_on(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(worker, "WEIGHTS_EVERY", 0.0)
    monkeypatch.setattr(storage, "save_pretrained", full)
    run = start()
    until(lambda: run.warning)
    assert "No space left on device" in run.warning and "training goes on" in run.warning
    stopped(run, after=steps(run) + 2)
    assert run.usable and models.find(run.id) is run.model


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


def test_a_pause_that_comes_after_the_last_step_leaves_the_run_finished(monkeypatch):
    def ends(model, chosen, splits, steering):
        done = Progress(1, 1, 0.1, 1.0, 2.0, 0.1, 1e-3, 100.0, 6.0, 0.0)
        yield Frame(done, weights=model.state_dict())
        steering.pausing = True

    monkeypatch.setattr(runs, "begin", ends)
    run = start()
    until(lambda: not run.live)
    assert (run.status, run.message) == ("finished", "")


def test_the_archive_holds_weights_config_and_card():
    run = stopped(start())
    with zipfile.ZipFile(storage.archive(run.id, "vit-live-shapes")) as file:
        assert sorted(file.namelist()) == [
            f"vit-live-shapes/{name}" for name in ("README.md", "config.json", "model.safetensors")
        ]
    made = storage.archive(run.id, "vit-live-shapes").stat().st_mtime_ns
    assert storage.archive(run.id, "vit-live-shapes").stat().st_mtime_ns == made, "it is not made again"
    with pytest.raises(ValueError, match="nothing to download"):
        storage.archive("a" * 16, "name")


def test_only_so_many_runs_stay_on_disk(monkeypatch, small_vit):
    small_vit.classes = tuple("abcdefghij")
    monkeypatch.setattr(storage, "KEEP_ON_DISK", 2)
    (storage.FOLDER / "somebody's").mkdir(parents=True)
    for i in range(4):
        storage.save(f"{i}" * 16, small_vit, {}, Album())
    kept = sorted(path.name for path in storage.FOLDER.iterdir())
    assert kept == ["2" * 16, "3" * 16, "somebody's"]


def test_snapshots_leave_the_run_as_it_is(shapes):
    """Same seed, same losses, with a camera and without."""
    chosen = settings.read({**TINY, "minutes": 1})
    chosen = replace(chosen, config=TrainConfig(epochs=0.5, batch_size=8))

    class Straight:
        def steer(self, config):
            return True

    def losses():
        frames = worker.learn(chosen.build(), chosen, SOURCES["shapes"].splits, Straight(), torch.device("cpu"))
        return [frame.progress.loss for frame in frames if frame.progress]

    with_camera = losses()
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patched:
        patched.setattr(snapshots.Camera, "look", lambda *_: None)
        assert losses() == with_camera


def test_snapshots_are_small_and_take_at_most_their_share(monkeypatch):
    """A camera that is far too slow takes fewer pictures, never more time."""
    slow = threading.Event()

    def dawdle(model, pictures, step=0):
        slow.wait(0.02)
        return snapshots.Snapshot(step, b"", {})

    monkeypatch.setattr(snapshots, "take", dawdle)
    camera = snapshots.Camera(None, None)
    taken = [
        camera.look(Progress(step, 1000, 0.1, 0.1, 2.0, 0.1, 1e-3, 100.0, 0.05 * step, 1.0)) for step in range(1, 60)
    ]
    assert sum(snapshot is not None for snapshot in taken) >= 3
    assert camera.seconds <= snapshots.SHARE * 0.05 * 60 + 0.05


def test_a_snapshot_reads_back_what_the_model_says(shapes):
    chosen = settings.read(TINY)
    model, pictures = chosen.build(), snapshots.probe(shapes.validation)
    assert len(pictures) == snapshots.PICTURES and len(set(pictures.labels.tolist())) == snapshots.PICTURES
    taken = snapshots.take(model, pictures)
    assert sum(math.prod(shape) for shape in taken.shapes.values()) == len(taken.data) < 20_000
    start, length = math.prod(taken.shapes["maps"]), math.prod(taken.shapes["probabilities"])
    shares = torch.frombuffer(bytearray(taken.data[start : start + length]), dtype=torch.uint8).view(6, 10) / 255
    assert shares.sum(1).allclose(torch.ones(6), atol=0.03)


def test_an_album_keeps_the_first_the_last_and_few_between():
    album = snapshots.Album()
    for step in range(0, 3000, 10):
        album.add(snapshots.Snapshot(step, b"", {}), {"step": step})
    kept = [moment.figures["step"] for moment in album.moments]
    assert len(kept) == snapshots.KEPT and kept[0] == 0 and kept[-1] == 2990 and 10 <= kept[1] <= 40
    gaps = [after - before for before, after in itertools.pairwise(kept)]
    assert max(gaps[:10]) < max(gaps[-10:]) <= 400, "denser at the start, where attention forms"
    ids = [moment.id for moment in album.moments]
    assert ids == sorted(ids) and [moment.id for moment in album.get(ids[3:6])] == ids[3:6]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"embed_dim": 100, "num_heads": 3}, "embed_dim", "choose a width of 99 or 102"),
        ({"embed_dim": 2, "num_heads": 3}, "embed_dim", "choose a width of 3"),
        ({"num_heads": 0}, "num_heads", "Num heads must be a whole number from 1 to 1,000, got 0"),
        ({"patch_size": 5}, "patch_size", "one of 2, 4, 8, 16, got 5"),
        ({"depth": 0}, "depth", "from 1 to 24, got 0"),
        ({"depth": 24, "embed_dim": 9600, "num_heads": 3}, "embed_dim", "choose a smaller width"),
        ({"classes": []}, "classes", "choose at least 2"),
        ({"classes": ["heart"]}, "classes", "choose at least 2"),
        ({"classes": ["heart", "cat"]}, "classes", "no class 'cat'"),
        ({"learning_rate": 50}, "learning_rate", "tend to diverge"),
        ({"learning_rate": math.nan}, "learning_rate", "positive number"),
        ({"batch_size": 0}, "batch_size", "Batch size must be a whole number from 1 to 1,024, got 0"),
        ({"batch_size": 9999}, "batch_size", "from 1 to 1,024, got 9999"),
        ({"warmup": 1.5}, "warmup", "below 1"),
        ({"weight_decay": -1}, "weight_decay", "from 0 to 10, got -1"),
        ({"seed": None}, "seed", "Seed is empty"),
        ({"minutes": 1000}, "minutes", "at most 10, got 1000"),
        ({"model": "vit_tiny", "patch_size": 2, "depth": 24, "num_heads": 24}, "num_heads", "too many maps"),
        ({"model": "vit_small", **LARGE, "batch_size": 128}, "batch_size", "choose a batch of at most 60"),
        ({"momentum": 1}, "advanced", "no setting 'momentum'"),
        ({"depth": 2.7}, "depth", "whole number from 1 to 24, got 2.7"),
        ({"depth": "2"}, "depth", "whole number from 1 to 24, got '2'"),
        ({"depth": True}, "depth", "got True"),
        ({"flip": "maybe"}, "flip", "true or false, got 'maybe'"),
        ({"flip": 1}, "flip", "true or false, got 1"),
        ({"minutes": True}, "minutes", "got True"),
        ({"minutes": math.inf}, "minutes", "got inf"),
        ({"weight_decay": 1e308}, "weight_decay", "from 0 to 10, got 1e.308"),
        ({"weight_decay": [0.1]}, "weight_decay", r"got \[0.1\]"),
        ({"learning_rate": "0.1"}, "learning_rate", "at most 1, got '0.1'"),
        ({"learning_rate": None}, "learning_rate", "is empty"),
        ({"warmup": math.nan}, "warmup", "got nan"),
        ({"batch_size": 10**400}, "batch_size", "more than 300 digits"),
        ({"embed_dim": -128}, "embed_dim", "from 1 to 10,000, got -128"),
        ({"embed_dim": 10**9}, "embed_dim", "from 1 to 10,000"),
        ({"stem": {}}, "stem", "one of patch, conv, got {}"),
        ({"dataset": ["shapes"]}, "dataset", "one of cifar10, shapes, got"),
        ({"model": None}, "model", "is empty"),
        ({"model": "vit_base"}, "model", "got 'vit_base'"),
        ({"classes": "heart"}, "classes", "a list of names, got 'heart'"),
        ({"classes": [1, 2]}, "classes", "a list of names"),
        ({"classes": ["heart", "heart"]}, "classes", "'heart' is named twice; name each class once"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(change, field, words):
    with pytest.raises(settings.WrongSetting, match=words) as caught:
        settings.read({**TINY, **change})
    assert caught.value.field == field


@pytest.mark.parametrize("advanced", [[], [("depth", 2)], "depth", 5, True])
def test_advanced_settings_are_an_object(advanced):
    with pytest.raises(settings.WrongSetting, match="must be an object by name, got") as caught:
        settings.read(TINY, advanced)
    assert caught.value.field == "advanced"


def test_whole_numbers_may_come_as_the_forms_floats():
    spec = settings.read({**TINY, "batch_size": 8.0, "depth": 2.0, "seed": 3.0})
    values = (spec.config.batch_size, spec.shape["depth"], spec.config.seed)
    assert values == (8, 2, 3) and all(type(value) is int for value in values)


def test_sizes_are_those_of_the_real_model():
    counted = settings.size(RunSpec("shapes", "vit_tiny", settings.DEFAULTS))
    assert counted.parameters == 5_362_762 and counted.tokens == 65
    assert 0.6e9 < counted.flops < 0.8e9  # about 2 x 5.4M parameters x 65 tokens, and attention


def test_the_command_of_a_run_trains_the_same():
    asked = {"dataset": "shapes", "model": "vit_live", "minutes": 0.5, "learning_rate": 3e-3, "warmup": 0.2}
    more = {"classes": ["star", "heart"], "patch_size": 8, "depth": 2, "seed": 7, "crop": 0, "flip": False}
    chosen = settings.read(asked, more)
    assert read(build_parser().parse_args(shlex.split(chosen.command)[3:])) == chosen
    assert chosen.classes == ("heart", "star") and chosen.shape == {"patch_size": 8, "depth": 2}


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
    assert there_and_back[-1].progress == frames[-1].progress
    assert all(value.device.type == "cpu" for value in there_and_back[-1].weights.values())
