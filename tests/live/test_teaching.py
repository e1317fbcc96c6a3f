"""A visitor's own pictures learned: three ways in one turn, models listed nowhere, nothing left of the pictures."""

import json
import time

import pytest
import torch

from tests.live.conftest import free, steps, stopped, until
from tests.live.conftest import start as start_run
from tests.live.test_collection import collected
from vit.data.drawings import CLASSES, drawings
from vit.live import collection, models, runs, storage, taught, teaching
from vit.live.run import changed
from vit.live.uploads import KEPT
from vit.live.visitors import Visitor
from vit.training.finetune import WAYS


@pytest.fixture
def small(registry, monkeypatch, small_vit, shapes, tmp_path):
    """A tiny parent, sets of the test's own, and half a second for what needs twenty; nothing goes on afterwards."""
    small_vit.classes, small_vit.trained = shapes.test.classes, {"dataset": "shapes", "model": "vit_live"}
    small_vit.save_pretrained(tmp_path / "checkpoints" / "shapes")
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(collection, "_sets", {})
    monkeypatch.setattr(runs, "OTHERS", {})
    monkeypatch.setattr(teaching, "SECONDS", 0.5)
    yield
    for going in runs.OTHERS.values():
        teaching.stop(going)
    until(lambda: not any(going.live for going in runs.OTHERS.values()))


def of_drawings() -> collection.Collection:
    own = collection.create()
    for name, images in drawings().items():
        for i, image in enumerate(images):
            own.put(name, f"{name} {i}", image)
    return own


def learned(ways=("head",), token: str | None = None) -> teaching.Teaching:
    going = teaching.start(token or of_drawings().token, None, ways, Visitor())
    until(lambda: not going.live)
    assert going.status == "finished", going.message
    return going


def test_three_ways_are_one_turn_and_leave_three_models_that_name_the_classes(small):
    done = learned(tuple(WAYS))
    assert [way.name for way in done.ways] == list(WAYS) and len(runs.OTHERS) == 1
    for way in done.ways:
        model = models.find(way.key)
        assert model.classes == tuple(CLASSES) and way.evaluation.n == 6
        assert model.trained["test_accuracy"] == way.evaluation.accuracy
        assert models.accuracy(model) == (way.evaluation.accuracy, "test")
    head, *others = (models.find(way.key).state_dict() for way in done.ways)
    parent, moved = models.find("shapes").state_dict(), "blocks.0.attn.qkv.weight"
    same = {name: torch.equal(head[name], parent[name]) for name in parent if not name.startswith("head")}
    assert all(same.values())
    assert not any(torch.equal(other[moved], parent[moved]) for other in others)


def test_the_held_out_pictures_are_learned_from_by_no_way(small):
    own = of_drawings()
    splits = own.splits(32, (0.5,) * 3, (0.5,) * 3)
    done = learned(token=own.token)
    assert done.ways[0].evaluation.n == len(splits.test) and done.ways[0].evaluation.confusion.sum() == 6
    seen = {image.numpy().tobytes() for image in splits.train.images}
    assert not seen & {image.numpy().tobytes() for image in splits.test.images}


def test_a_model_is_listed_nowhere_and_holds_no_picture(small):
    own = of_drawings()
    done = learned(token=own.token)
    key = done.ways[0].key
    assert key not in models.shipped() and key not in [k for _, k in models.choices({})]
    assert models.available(key) and "3 classes" in models.title(key, {})
    folder = taught.folder(key)
    assert {file.name for file in folder.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    assert own.token not in (folder / "README.md").read_text() + (folder / "config.json").read_text()
    assert done.splits is None
    assert json.loads((folder / "config.json").read_text())["classes"] == list(CLASSES)


def test_a_model_is_found_again_after_a_restart_and_not_once_it_is_deleted(small):
    key = learned().ways[0].key
    runs.OTHERS.clear()
    assert models.find(key).classes == tuple(CLASSES)
    zipped = taught.archive(key)
    assert zipped.name == "vit-own-pictures.zip" and zipped.exists()
    taught.delete(key)
    assert not zipped.exists() and not models.available(key)
    with pytest.raises(ValueError, match="not here any more; learn the pictures again"):
        models.find(key)


def test_who_taught_a_model_deletes_it_and_nobody_else(small):
    done = learned(("head", "scratch"))
    head, scratch = (way.key for way in done.ways)
    for key, owner in ((head, "guess"), (head, done.id), (head, ""), ("shapes", done.owner), ("../..", done.owner)):
        with pytest.raises(ValueError, match="Only the page or program that taught"):
            teaching.delete_model(key, owner)
    assert models.available(head) and done.owner not in (taught.folder(head) / "config.json").read_text()
    runs.OTHERS.clear()  # as after a restart
    folder, zipped = taught.folder(head), taught.archive(head)
    teaching.delete_model(head, done.owner)
    assert not folder.exists() and not zipped.exists() and models.available(scratch)
    with pytest.raises(ValueError, match="not here any more"):
        teaching.delete_model(head, done.owner)


def test_the_oldest_models_go_when_there_are_too_many(small, monkeypatch):
    monkeypatch.setattr(taught, "KEEP", 2)
    model = models.find("shapes")
    keys = [taught.key_of("secret", way) for way in WAYS]
    for key in keys:
        taught.save(key, model)
    assert sum(map(taught.available, keys)) == 2 and taught.available(keys[-1])


def test_it_waits_for_the_run_that_has_its_turn_and_then_learns(small):
    run = start_run()
    until(lambda: steps(run) >= 1)
    going = teaching.start(of_drawings().token, None, ["head"], Visitor())
    until(lambda: going.status == "queued")
    behind = start_run()
    until(lambda: behind.status == "queued")
    assert (runs.place(going), runs.place(behind)) == (1, 2)
    stopped(run)
    until(lambda: not going.live)
    assert going.status == "finished" and going.ways[0].key
    stopped(behind)


def test_deleting_the_pictures_ends_what_learns_them(small, monkeypatch):
    monkeypatch.setattr(teaching, "SECONDS", 60)
    own = of_drawings()
    going = teaching.start(own.token, None, ["scratch"], Visitor())
    until(lambda: going.ways[0].progress is not None)
    with pytest.raises(ValueError, match="being learned already; wait"):
        teaching.start(own.token, None, ["head"], Visitor())
    teaching.forget(own.token)
    until(lambda: not going.live)
    assert going.status == "stopped" and going.ways[0].key == "" and not own.folder.exists()


def test_pictures_deleted_while_they_are_prepared_are_not_learned(small, monkeypatch):
    own, splits = of_drawings(), collection.Collection.splits

    def deleted_meanwhile(*about):
        found = splits(*about)
        teaching.forget(own.token)
        return found

    monkeypatch.setattr(collection.Collection, "splits", deleted_meanwhile)
    with pytest.raises(ValueError, match="not here any more"):
        teaching.start(own.token, None, ["head"], Visitor())
    assert not any(other.live for other in runs.OTHERS.values())


def test_pictures_are_not_deleted_between_being_found_and_being_learned(small, monkeypatch):
    own, delete, between = of_drawings(), collection.delete, []

    def deleted(token):
        between.append(free(changed))
        delete(token)

    monkeypatch.setattr(collection, "delete", deleted)
    teaching.forget(own.token)
    assert between == [False] and not own.folder.exists()


def test_what_waits_for_its_turn_lets_go_of_pictures_that_are_to_be_gone(small, monkeypatch):
    run, own = start_run(), of_drawings()
    until(lambda: steps(run) >= 1)
    going = teaching.start(own.token, None, ["head"], Visitor())
    until(lambda: going.status == "queued")
    assert going.splits is not None and going.until == own.oldest + KEPT
    monkeypatch.setattr(time, "time", lambda: own.oldest + KEPT)
    until(lambda: not going.live)
    assert going.splits is None and going.status == "stopped" and "collect them again" in going.message
    stopped(run)


def test_too_few_pictures_a_large_parent_and_a_strange_one_are_refused_with_the_remedy(small, monkeypatch):
    with pytest.raises(ValueError, match="“pen” has 2 pictures; add 3 more"):
        teaching.start(collected(cup=9, pen=2).token, None, ["head"], Visitor())
    with pytest.raises(ValueError, match="choose shapes"):
        teaching.start(of_drawings().token, "nothing", ["head"], Visitor())
    monkeypatch.setattr(teaching, "MAX_TOKENS", 10)
    with pytest.raises(ValueError, match=r"65 tokens a picture .* Choose a smaller one"):
        teaching.start(of_drawings().token, "shapes", ["head"], Visitor())
    assert teaching.parents() == [] and not runs.OTHERS


def test_a_full_disk_is_said_and_the_other_ways_go_on(small, monkeypatch):
    def full(key, model):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(taught, "save", full)
    done = learned(("head", "all"))
    assert all("can't be saved on the server (No space left" in way.message for way in done.ways)
    assert all(way.evaluation for way in done.ways)
    assert not (storage.FOLDER / "taught").exists()
