"""A run with a folder: what is kept when it breaks down, and who may train into it."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vit import ViT
from vit.cli import main
from vit.data import Splits
from vit.training import Progress, TrainingDiverged
from vit.training.config import TrainConfig
from vit.training.record import METRICS, read_metrics, record
from vit.training.run import Run, unfinished
from vit.training.spec import RunSpec
from vit.weights.checkpoint import CheckpointError, save_state


@pytest.fixture
def begin(shapes):
    """A new run of a small model into a folder."""
    few = Splits(*(split.take(slice(100)) for split in shapes))

    def new(folder: Path, **changes) -> Run:
        shape = {"embed_dim": 24, "depth": 1, "num_heads": 2}
        spec = RunSpec("shapes", "vit_live_patch", TrainConfig(epochs=5, batch_size=20, precision="fp32"), shape=shape)
        return Run(folder, replace(spec, **changes), few, torch.device("cpu"))

    return new


def test_a_run_that_diverges_keeps_what_it_had_learned(begin, tmp_path):
    run = begin(tmp_path)
    with pytest.raises(TrainingDiverged, match=rf"What it had learned by step 3 is in {tmp_path}"):
        for progress in run.steps(save_every=0):
            if progress.step == 3:
                torch.nn.init.constant_(run.model.head.weight, torch.nan)
    kept = ViT.from_pretrained(tmp_path)
    assert all(weight.isfinite().all() for weight in kept.parameters())
    assert kept.trained["steps"] == 3
    assert not (tmp_path / "state.safetensors").exists(), "it would diverge again"


def test_a_resumed_run_that_diverges_at_once_keeps_what_it_had_learned_before(begin, tmp_path):
    steps = begin(tmp_path).steps(save_every=60)
    for _ in range(3):
        next(steps)
    steps.close()
    run, (_, tensors, numbers) = begin(tmp_path), unfinished(tmp_path)
    run.restore(tensors, numbers)
    torch.nn.init.constant_(run.model.head.weight, torch.nan)
    with pytest.raises(TrainingDiverged, match=rf"What it had learned by step 3 is in {tmp_path}"):
        next(run.steps(save_every=60))
    kept = ViT.from_pretrained(tmp_path).trained
    assert (kept["steps"], kept["epochs"]) == (3, 0.6) and kept["images_per_second"] > 0


def test_broken_weights_are_not_saved_over_good_ones(begin, tmp_path):
    run = begin(tmp_path)
    steps = run.steps(save_every=0)
    next(steps)
    good = (tmp_path / "state.safetensors").read_bytes()
    torch.nn.init.constant_(run.model.head.weight, torch.nan)
    run.save()
    assert (tmp_path / "state.safetensors").read_bytes() == good


def test_no_state_of_a_complete_run_is_saved_which_could_not_go_on(begin, tmp_path):
    steps = [progress.step for progress in begin(tmp_path).steps(save_every=0)]
    _, _, numbers = unfinished(tmp_path)
    assert numbers["step"] == steps[-2] and numbers["done"] < 1


def test_two_runs_do_not_train_into_one_folder(begin, tmp_path):
    first = begin(tmp_path).steps(save_every=60)
    next(first)
    with pytest.raises(ValueError, match="Another process trains into"):
        next(begin(tmp_path).steps(save_every=60))
    first.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "state.safetensors"]


def test_a_run_is_resumed_with_as_many_processes(begin, tmp_path, capsys):
    steps = begin(tmp_path, processes=2).steps(save_every=60)
    next(steps)
    steps.close()
    assert main(["train", "--resume", str(tmp_path)]) == 2
    assert "has 2 processes" in capsys.readouterr().err


def test_a_shift_by_more_than_the_image_is_refused(begin, tmp_path):
    config = TrainConfig(epochs=1, batch_size=20, crop=32)
    with pytest.raises(ValueError, match="crop must be below the images' 32 pixels, got 32"):
        next(begin(tmp_path, config=config).steps(save_every=60))


def test_a_record_that_is_resumed_loses_nothing_to_a_crash(tmp_path, monkeypatch):
    def steps(first, last):
        return (Progress(step, 9, 0.1, step / 9, 2.0, 0.2, 1e-3, 50.0, 0.5, 3.0) for step in range(first, last))

    list(record(steps(1, 6), tmp_path))
    before = (tmp_path / METRICS).read_text()

    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("vit.training.record.os.replace", crash)
        next(record(steps(4, 9), tmp_path, done_before=3))
    assert (tmp_path / METRICS).read_text() == before
    with open(tmp_path / METRICS, "a", encoding="utf-8") as file:
        file.write('{"step": 6, "lo')
    list(record(steps(4, 9), tmp_path, done_before=3))
    assert [line["step"] for line in read_metrics(tmp_path)] == list(range(1, 9))
    assert [path.name for path in tmp_path.iterdir()] == [METRICS]


def test_a_state_saved_before_is_resumed_and_a_damaged_one_says_so(begin, tmp_path):
    """What earlier versions wrote: another name of a field, the data's part of the shape, and the command."""
    run = begin(tmp_path)
    next(run.steps(save_every=60))
    saved = run.spec.saved()
    config = {name: value for name, value in saved["config"].items() if name not in ("color", "precision")}
    old = {**saved, "config": {**config, "colour": 0.25, "autocast": False}, "command": "python -m vit train"}
    old["shape"] = {"img_size": 32, "num_classes": 10, **saved["shape"]}
    numbers = {**run.state.numbers(), "accuracy": None}
    save_state(tmp_path, run.state.tensors(), {"settings": old, "numbers": numbers})
    spec, _, _ = unfinished(tmp_path)
    assert spec == replace(run.spec, config=replace(run.spec.config, color=0.25))
    for damage in ({"dataset": 5}, {"config": None}, {"shape": {"wings": 2}}, {"config": {"epochs": "many"}}):
        save_state(tmp_path, run.state.tensors(), {"settings": {**saved, **damage}, "numbers": numbers})
        with pytest.raises(CheckpointError, match="doesn't say what its run was"):
            unfinished(tmp_path)
