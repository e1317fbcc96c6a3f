"""What is kept of a run, and where: on disk, after a restart, in an archive, and when the disk is full."""

import json
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from tests.live.conftest import start, steps, stopped, until
from vit.data import select_classes
from vit.live import models, runs, storage, worker
from vit.live.datasets import SOURCES
from vit.precision import Precision
from vit.training import trial
from vit.training.moments import Album
from vit.ui.errors import BadInput
from vit.ui.train import outcome, steering
from vit.ui.train import view as train_view
from vit.weights import hub
from vit.weights.checkpoint import from_pretrained

pytestmark = pytest.mark.usefixtures("registry")


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


def test_an_ended_run_can_be_chosen_by_whoever_has_its_id():
    run = stopped(start())
    assert models.available(run.id) and not models.available("a" * 16)
    own = models.name_run(models.name_run({}, run.id, own=True), run.id, own=False)
    label = f"Your run 1: vit-live-patch · Shapes · {run.evaluation.accuracy:.1%} test · 1 × 4 heads"
    assert models.choices(own)[0] == (label, run.id)
    others = models.name_run({}, run.id, own=False)
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
    assert found.precision == run.precision
    assert found.album.moments == run.album.moments and len(found.album.moments) >= 2
    assert torch.equal(found.evaluation.confusion, run.evaluation.confusion)
    assert found.evaluation.accuracy == run.evaluation.accuracy
    (storage.folder(run.id) / storage.MOMENTS).write_bytes(b"damaged")
    runs.RUNS.clear()
    assert runs.find(run.id).usable and not runs.find(run.id).album.moments


def test_a_run_says_what_it_computed_in_wherever_it_is_told_of():
    found = Precision("fp32", "by trial: 690 against 12 images/s")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(trial, "training_precision", lambda model, config: found)
        run = stopped(start())
    assert run.precision == found and run.settings.config.precision == "fp32"
    assert "--precision fp32" in run.settings.command
    assert "<dt>Precision</dt><dd>fp32 by trial: 690 against 12 images/s</dd>" in steering.settings_of(run)
    trained = models.find(run.id).trained
    assert trained["precision"] == str(found) and trained["config"]["precision"] == "fp32"


def test_a_run_recorded_before_there_were_trials_is_read():
    run = stopped(start())
    path = storage.folder(run.id) / storage.RECORD
    record = json.loads(path.read_text())
    del record["precision"]
    record["config"]["autocast"] = record["config"].pop("precision") == "auto"
    path.write_text(json.dumps(record))
    runs.RUNS.clear()
    assert runs.find(run.id).precision is None and runs.find(run.id).settings.config.precision == "fp32"
    assert "Precision" not in steering.settings_of(runs.find(run.id))


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
    assert "download them now; a restart of the server loses them" in run.warning
    assert not list(storage.FOLDER.glob("*"))


def test_after_a_failed_last_save_the_weights_in_memory_are_what_is_offered(monkeypatch):
    monkeypatch.setattr(worker, "WEIGHTS_EVERY", 0.0)
    monkeypatch.setattr(runs, "SAVE_EVERY", 1e9)
    run = start()
    until(lambda: run.saved_step)
    saved = run.saved_step

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "save_pretrained", full)
    stopped(run, after=saved + 5)
    said = train_view.panel(run)
    assert f"leaves those of step {saved}." in said and "No space left on device" in run.warning
    for _ in range(2):
        with zipfile.ZipFile(outcome.archive(run.id)) as file:
            trained = json.loads(file.read("vit-live-patch-shapes/config.json"))["trained"]
        assert trained["steps"] == run.progress.step > saved
        assert trained["test_accuracy"] == run.evaluation.accuracy
    pushed = {}
    monkeypatch.setattr(hub, "push", lambda folder, *_: pushed.update(from_pretrained(folder).trained) or "a")
    outcome.push_run(run.id, "name", "hf_", False)
    assert pushed["steps"] == run.progress.step
    monkeypatch.setattr("vit.live.run.save_pretrained", full)
    with pytest.raises(BadInput, match="can't be written on the server"):
        outcome.archive(run.id)
    assert "can't be written on the server" in outcome.push_run(run.id, "name", "hf_", False)


def test_a_save_that_fails_half_way_leaves_what_was_there(monkeypatch):
    run = stopped(start())
    before = storage.record(run.id)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Album, "save", full)
    with pytest.raises(OSError):
        storage.save(run.id, models.find(run.id), {}, run.album)
    assert storage.record(run.id) == before and storage.folder(run.id)
    with pytest.raises(OSError):
        storage.save("a" * 16, models.find(run.id), {}, run.album)
    assert [path.name for path in storage.FOLDER.iterdir()] == [run.id]


def test_the_archive_holds_weights_config_and_card():
    run = stopped(start())
    folder = storage.folder(run.id)
    with zipfile.ZipFile(storage.archive(run.id, folder, "vit-live-shapes")) as file:
        assert sorted(file.namelist()) == [
            f"vit-live-shapes/{name}" for name in ("README.md", "config.json", "model.safetensors")
        ]
    archive = storage.archive(run.id, folder, "vit-live-shapes")
    made = archive.stat().st_mtime_ns
    assert storage.archive(run.id, folder, "vit-live-shapes").stat().st_mtime_ns == made, "it is not made again"
    assert [path.name for path in archive.parent.iterdir()] == ["vit-live-shapes.zip"]
    private = archive.parents[1]
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    code = "import sys, pathlib; from vit.live import storage; "
    code += "print(storage.archive('a' * 16, pathlib.Path(sys.argv[1]), 'shapes').parents[1])"
    command = [sys.executable, "-c", code, str(folder)]
    another = Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout[:-1])
    assert another.parent == private.parent and another != private and not another.exists()
    runs.RUNS.clear()
    storage.shutil.rmtree(folder)
    with pytest.raises(BadInput, match="no such run"):
        outcome.archive(run.id)


def test_only_so_many_runs_stay_on_disk(monkeypatch, small_vit):
    small_vit.classes = tuple("abcdefghij")
    monkeypatch.setattr(storage, "KEEP_ON_DISK", 2)
    (storage.FOLDER / "somebody's").mkdir(parents=True)
    for i in range(4):
        storage.save(f"{i}" * 16, small_vit, {}, Album())
    kept = sorted(path.name for path in storage.FOLDER.iterdir())
    assert kept == ["2" * 16, "3" * 16, "somebody's"]
