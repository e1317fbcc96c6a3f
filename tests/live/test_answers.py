"""What a model says of its whole test set: nobody waits for another's data or for ever, and an error is told once."""

import threading

import pytest

from vit.live import answers, models
from vit.ui.classify import gallery


@pytest.fixture
def asked(monkeypatch, small_vit, shapes):
    """Answers of two models, of which the second's data are on their way until the event is set."""
    arrived, there = threading.Event(), shapes.test.take(slice(20))

    def test_of(model):
        if model.trained["model"] == "second":
            arrived.wait(60)
        return there, there.labels

    small_vit.classes, small_vit.trained = there.classes, {"model": "first"}
    second = type(small_vit)(**small_vit.config)
    second.classes, second.trained = there.classes, {"model": "second"}
    monkeypatch.setattr(models, "find", {"first": small_vit, "second": second}.__getitem__)
    monkeypatch.setattr(answers, "test_of", test_of)
    monkeypatch.setattr(answers, "_kept", type(answers._kept)())
    yield arrived
    arrived.set()


def test_a_model_whose_data_are_on_their_way_holds_up_nobody_else(asked):
    found = []
    waiting = [threading.Thread(target=lambda: found.append(answers.ask("second"))) for _ in range(2)]
    for thread in waiting:
        thread.start()
    first = answers.ask("first")
    assert not found and answers.ask("first") is first
    asked.set()
    for thread in waiting:
        thread.join()
    assert found[0] is found[1] is answers.ask("second"), "both who asked at once have the same"


def test_why_the_answers_broke_off_is_told_before_they_begin_anew(asked, monkeypatch):
    said = answers.ask("first")
    monkeypatch.setattr(answers.Answers, "_answer_next", lambda self: (_ for _ in ()).throw(RuntimeError("no memory")))
    assert gallery.waiting(said)["waiting"]["error"] == ""
    said._thread.join()
    assert "could not be run (no memory)" in gallery.waiting(said)["waiting"]["error"]


def test_nobody_waits_longer_than_half_an_hour(asked, monkeypatch):
    monkeypatch.setattr(answers, "LONGEST", -1.0)
    with pytest.raises(ValueError, match=r"0 of 20 pictures are answered; ask again, and it goes on from there"):
        answers.ask("first").wait()
