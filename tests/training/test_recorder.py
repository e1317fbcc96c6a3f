"""The recorder: what it keeps, that the run stays the same, that it goes on, and what happens to damaged moments."""

import json
import math
from dataclasses import replace

import pytest
import torch

from vit import ViT
from vit.data import Splits
from vit.interpret.statistics import TABLE
from vit.live import stored
from vit.training import TrainingDiverged, earlier
from vit.training.config import TrainConfig
from vit.training.earlier import SHARES
from vit.training.moments import MOMENTS, PICTURES, Album, probe
from vit.training.record import read_metrics
from vit.training.run import Run, unfinished
from vit.training.spec import RunSpec
from vit.weights.checkpoint import write_tensors

SPEC = RunSpec(
    "shapes",
    "vit_live_patch",
    TrainConfig(epochs=3.2, batch_size=16, precision="fp32"),
    shape={"embed_dim": 16, "depth": 2, "num_heads": 2},
    record=True,
)
CPU = torch.device("cpu")


@pytest.fixture
def splits(shapes):
    return Splits(*(part.take(slice(320)) for part in shapes))


def train(folder, splits, spec=SPEC, until=1.0):
    """A new run up to a share of it, saved there."""
    return finished(Run(folder, spec, splits, CPU), until)


def resume(folder, splits, until=1.0):
    spec, tensors, numbers = unfinished(folder)
    run = Run(folder, spec, splits, CPU)
    run.restore(tensors, numbers)
    return finished(run, until)


def finished(run, until):
    steps = run.steps(save_every=1e9)
    for progress in steps:
        if progress.done >= until:
            break
    steps.close()
    if until == 1.0:
        run.finish()
    return run


def test_a_recorded_run_keeps_moments_and_eight_models(tmp_path, splits):
    run = train(tmp_path, splits)
    album = Album.load(tmp_path / MOMENTS)
    assert album.fits(run.model) and (tmp_path / MOMENTS).stat().st_size < 1_000_000
    first, last = album.moments[0], album.moments[-1]
    assert first.figures["step"] == 0 and last.figures["step"] == 64 and last.figures["validation"] == run.accuracy
    assert first.snapshot.shapes["maps"][0] == PICTURES
    tables = last.snapshot.statistics
    assert {"entropy", "cls_entropy"} <= tables.keys() <= {row.name for row in TABLE}
    assert torch.tensor(tables["entropy"]).shape == (2, 2)
    folders = sorted((tmp_path / "moments").iterdir())
    assert [folder.name for folder in folders] == [f"step-{64 * share:07.0f}" for share in SHARES]
    start, end = (ViT.from_pretrained(folder) for folder in (folders[0], folders[-1]))
    assert torch.equal(start.head.weight, SPEC.build().head.weight.half().float())
    assert torch.equal(end.head.weight, run.model.head.weight.half().float())
    assert end.trained["steps"] == 64 and start.classes == SPEC.classes


def test_the_fixed_pictures_are_of_classes_of_which_some_are_held_out(shapes):
    few = shapes.validation.take(slice(3))
    assert probe(few).labels.tolist() == few.labels.unique().tolist()
    assert probe(shapes.validation).labels.tolist() == [0, 2, 4, 5, 7, 9]


def test_recording_changes_nothing_of_the_run(tmp_path, splits):
    train(tmp_path / "with", splits)
    train(tmp_path / "without", splits, replace(SPEC, record=False))
    losses = [[line["loss"] for line in read_metrics(tmp_path / name)] for name in ("with", "without")]
    assert losses[0] == losses[1] and not (tmp_path / "without" / MOMENTS).exists()


def test_a_resumed_run_goes_on_with_its_record_and_drops_what_it_does_again(tmp_path, splits):
    train(tmp_path, splits, until=0.3)
    state = (tmp_path / "state.safetensors").read_bytes()
    before = [moment.figures for moment in Album.load(tmp_path / MOMENTS).moments]
    resume(tmp_path, splits, until=0.6)
    (tmp_path / "state.safetensors").write_bytes(state)  # as if it had been killed before it could save again
    run = resume(tmp_path, splits)
    album = Album.load(tmp_path / MOMENTS)
    steps = [moment.figures["step"] for moment in album.moments]
    assert [moment.figures for moment in album.moments][: len(before)] == before
    assert steps == sorted(set(steps)) and steps[-1] == run.progress.step == 64
    assert len(list((tmp_path / "moments").iterdir())) == len(SHARES)


def test_a_new_run_keeps_nothing_of_one_that_diverged_before_it_had_a_state(tmp_path, splits):
    other = Run(tmp_path, replace(SPEC, config=replace(SPEC.config, epochs=4.8)), splits, CPU)
    with pytest.raises(TrainingDiverged):
        for progress in other.steps(save_every=1e9):
            if progress.step == 7:
                torch.nn.init.constant_(other.model.head.weight, torch.nan)
    assert list(earlier.kept(tmp_path)) == [0, 2, 3, 6]
    train(tmp_path, splits, until=0.1)
    assert list(earlier.kept(tmp_path)) == [0, 1, 2, 4]


def test_a_run_that_diverges_keeps_what_was_recorded_up_to_the_state_that_it_falls_back_to(tmp_path, splits):
    run = Run(tmp_path, SPEC, splits, CPU)
    with pytest.raises(TrainingDiverged, match="had learned by step 5 is in"):
        for progress in run.steps(save_every=1e9):
            run.recorder.camera.longest, run.recorder.camera.share = 0, math.inf  # a moment after each step
            if progress.step == 5:
                run.save()
            if progress.step == 9:
                torch.nn.init.constant_(run.model.head.weight, torch.nan)
    assert [moment.figures["step"] for moment in Album.load(tmp_path / MOMENTS).moments] == [0, 1, 2, 3, 4, 5]
    assert list(earlier.kept(tmp_path)) == [0, 1, 2, 4]


@pytest.mark.parametrize("damage", ["cut", "text", "foreign", "statistics"])
def test_damaged_or_foreign_moments_are_left_out_with_a_word(tmp_path, splits, damage, caplog):
    train(tmp_path, splits, until=0.3)
    file = tmp_path / MOMENTS
    whole = file.read_bytes()
    if damage == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "text":
        file.write_text("no moments")
    else:
        album = Album.load(file)
        moment = album.moments[0].snapshot
        if damage == "statistics":
            moment.statistics["entropy"] = [[1.0]]
        else:
            data = {"0": torch.zeros(PICTURES * 9 + 10 + 1 + 3, dtype=torch.uint8)}
            shapes = {"maps": [PICTURES, 1, 1, 3, 3], "probabilities": [1, 10], "positions": [1, 1, 1, 1]}
            about = {"step": 0, "shapes": {**shapes, "filters": [1, 3, 1, 1]}, "figures": album.moments[0].figures}
            write_tensors(data, file, {"moments": json.dumps({0: about})})
        if damage == "statistics":
            album.save(file)
    run = resume(tmp_path, splits)
    assert str(tmp_path) in run.recorder.left_out and "left out" in run.recorder.left_out
    assert Album.load(file).fits(run.model)  # and recorded anew from there
    file.write_bytes(b"nothing")
    assert not stored.album(tmp_path).moments and str(file) in caplog.text


def test_a_full_disk_is_an_error_that_leaves_the_old_moments(tmp_path, splits, monkeypatch):
    run = train(tmp_path, splits, until=0.3)
    before = (tmp_path / MOMENTS).read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vit.training.moments.write_tensors", full)
    with pytest.raises(OSError, match="No space left"):
        run.recorder.save()
    assert (tmp_path / MOMENTS).read_bytes() == before


def test_what_can_not_be_recorded_is_said(tmp_path, splits):
    empty = splits._replace(validation=splits.validation.take(slice(0)))
    with pytest.raises(ValueError, match="maps of held-out images; hold some out"):
        next(Run(tmp_path, SPEC, empty, CPU).steps(60))
