"""What a trained parent is worth with few pictures: the measurement at tiny sizes, stopped, gone on with, refused."""

import json
import re

import pytest
import torch

from vit import data, few
from vit.cli import main
from vit.data import Splits
from vit.few import Measured, Plan, Result
from vit.model import ViT
from vit.training import finetune
from vit.training.finetune import WAYS

PLAN = Plan("shapes", ("ring", "star"), each=4, seeds=2, minutes=0.005, model="vit_live_patch")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def splits(shapes) -> Splits:
    return Splits(*(part.take(slice(n)) for part, n in zip(shapes, (300, 50, 60), strict=True)))


def quiet(done: float, what: str) -> None:
    """Nobody is told."""


def test_every_way_and_seed_is_measured_once_and_kept_as_it_comes(splits, tmp_path, monkeypatch):
    learned, learn = [], few.learn

    def broken(way, seed, *more):
        if len(learned) == 4:
            learned.append("stopped")
            raise KeyboardInterrupt
        learned.append((way, seed))
        return learn(way, seed, *more)

    monkeypatch.setattr(few, "learn", broken)
    monkeypatch.setattr(finetune, "MOST_EPOCHS", 1)
    monkeypatch.setattr(finetune, "HEAD_EPOCHS", 2)
    with pytest.raises(KeyboardInterrupt):
        list(few.measure(PLAN, splits, tmp_path, CPU, quiet))
    kept = json.loads((tmp_path / few.RESULTS).read_text())
    assert [(result["way"], result["seed"]) for result in kept["results"]] == learned[:4]
    written = (tmp_path / few.PARENT / "model.safetensors").stat().st_mtime_ns
    *_, measured = few.measure(PLAN, splits, tmp_path, CPU, quiet)
    learned.remove("stopped")
    assert learned == [(way, seed) for seed in range(2) for way in WAYS]
    assert [(result.way, result.seed) for result in measured.results] == learned
    assert all(0 <= result.accuracy <= 1 and result.seconds > 0 for result in measured.results)
    assert (tmp_path / few.PARENT / "model.safetensors").stat().st_mtime_ns == written, "the parent learns once"
    parent = ViT.from_pretrained(tmp_path / few.PARENT)
    assert set(parent.classes) == set(splits.train.classes) - set(PLAN.classes) and 0 <= measured.parent <= 1
    (again,) = list(few.measure(PLAN, splits, tmp_path, CPU, quiet))
    assert again.results == measured.results
    with pytest.raises(ValueError, match="holds the results of another measurement"):
        next(few.measure(Plan(**{**vars(PLAN), "each": 5}), splits, tmp_path, CPU, quiet))
    (tmp_path / few.RESULTS).write_text("{}")
    with pytest.raises(ValueError, match=r"can't be read .* delete it"):
        next(few.measure(PLAN, splits, tmp_path, CPU, quiet))


def test_a_measurement_that_is_stopped_while_its_parent_learns_is_not_gone_on_with_by_another_plan(
    splits, tmp_path, monkeypatch
):
    def stopped(*_):
        raise RuntimeError("stopped")

    monkeypatch.setattr(few, "_parent", stopped)
    with pytest.raises(RuntimeError, match="stopped"):
        list(few.measure(PLAN, splits, tmp_path, CPU, quiet))
    for other in ({"classes": ("heart", "moon")}, {"minutes": 1.0}):
        with pytest.raises(ValueError, match="holds the results of another measurement"):
            list(few.measure(Plan(**{**vars(PLAN), **other}), splits, tmp_path, CPU, quiet))
    with pytest.raises(RuntimeError, match="stopped"):
        list(few.measure(PLAN, splits, tmp_path, CPU, quiet))


def test_pictures_are_as_many_of_each_class_the_same_for_a_seed_and_others_for_another(splits):
    first, again, other = (few.pick(splits.train, 3, seed) for seed in (0, 0, 1))
    assert first.labels.bincount().tolist() == [3] * 10
    assert torch.equal(first.images, again.images) and not torch.equal(first.images, other.images)


def test_the_table_has_medians_and_extremes_of_what_there_is():
    results = [Result("head", seed, accuracy, 2.0) for seed, accuracy in enumerate((0.5, 0.9, 0.6))]
    rows = Measured(PLAN, 0.8, [*results, Result("scratch", 0, 0.34, 7.0)]).table.splitlines()
    assert "median of 3 seeds" in rows[0] and rows[1].count("---") == rows[0].count("|") - 1 == 3
    assert rows[2:] == [
        "| head alone | 60.0% (50.0% to 90.0%) | 2.0 |",
        "| from scratch | 34.0% (34.0% to 34.0%) | 7.0 |",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": ("star",)}, "With one class there is nothing to tell apart"),
        ({"classes": ("star", "cup")}, "has no class 'cup'; choose of"),
        ({"classes": data.DATASETS["shapes"].classes[:9]}, "of shapes's 10 there are 1 left; name fewer"),
        ({"each": 1000}, r"each must be 2 to \d+, so many training images a class there are, got 1000"),
        ({"seeds": 0}, "seeds must be 1 or more, got 0"),
    ],
)
def test_what_can_not_be_measured_is_refused_with_the_remedy(changes, words, splits, tmp_path):
    with pytest.raises(ValueError, match=words):
        next(few.measure(Plan(**{**vars(PLAN), **changes}), splits, tmp_path / "out", CPU, quiet))
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_table_of_what_is_known(splits, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "load", lambda *_, **__: splits)
    plan = Plan("shapes", ("ring", "star"), 4, 1, 4.0)
    few._keep(Measured(plan, 0.75, [Result(way, 0, 0.5, 1.0) for way in WAYS]), tmp_path)
    monkeypatch.setattr(few, "_parent", lambda *_: None)
    flags = ["--dataset", "shapes", "--classes", "star", "ring", "--each", "4", "--seeds", "1", "--out", str(tmp_path)]
    assert main(["few", *flags]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 classes of shapes (ring, star), 4 training pictures of each") and "names 75.00%" in said
    assert re.search(r"\| whole model \| 50.0% \(50.0% to 50.0%\) \| 1.0 \|", said)
    assert main(["few", *flags[:-1], str(tmp_path / "x"), "--classes", "star", "cup"]) == 2
    assert "has no class 'cup'" in capsys.readouterr().err
