"""What a run's model was at earlier moments: kept beside its weights, opened by the run's id and a step."""

import pytest
import torch

from tests.live.conftest import start, stopped
from vit.live import models, runs, storage
from vit.training import earlier

pytestmark = pytest.mark.usefixtures("registry")


def test_a_run_keeps_its_model_before_the_first_step_and_after_the_first_epoch():
    run = stopped(start(), after=30)  # 25 steps an epoch
    folder = storage.folder(run.id)
    kept = earlier.kept(folder)
    assert next(iter(kept)) == 0 and kept[0] == 0 and 25 in kept and kept[25] == pytest.approx(1)
    first = models.find(f"{run.id}@0")
    assert torch.equal(first.head.weight, run.settings.build().head.weight.half().float())
    assert not torch.equal(first.head.weight, models.find(run.id).head.weight)
    assert first.classes == models.find(run.id).classes and not run.earlier
    labels = {key: label for label, key in models.moments_of(run.id)}
    assert labels[f"{run.id}@25"] == "at step 25, epoch 1"
    with pytest.raises(ValueError, match="at step '3000': kept are 0, "):
        models.find(f"{run.id}@3000")
    runs.delete(run.id, run.owner)
    with pytest.raises(ValueError, match="no longer here"):
        models.find(f"{run.id}@0")


def test_a_run_that_could_not_be_saved_keeps_its_moments_until_it_can(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "save_pretrained", full)
        run = stopped(start(), after=30)
    assert "No space left" in run.warning and len(run.earlier) >= 2
    run.save("stopped")
    assert not run.earlier and next(iter(earlier.kept(storage.folder(run.id)))) == 0


@pytest.mark.parametrize("key", ["shapes@0", "shapes@", "@", "@0", "shapes@../../x", "nobody@3", "shapes@٣"])
def test_a_moment_that_was_not_kept_is_refused_in_a_sentence(key):
    with pytest.raises(ValueError, match="choose another model"):
        models.find(key)


def test_damaged_words_of_a_moment_leave_its_epoch_out(tmp_path, small_vit):
    for step, words in ((0, "{}"), (3, "no json"), (5, '{"trained": 3}'), (7, '{"trained": {"epochs": "x"}}')):
        earlier.keep(small_vit, tmp_path, step)
        (earlier.path(tmp_path, step) / "config.json").write_text(words)
    (earlier.path(tmp_path, 9)).mkdir()
    assert earlier.kept(tmp_path) == {0: None, 3: None, 5: None, 7: None}
