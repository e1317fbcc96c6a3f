"""Answers of one page that overtake each other: what was asked for last stays."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import gradio as gr
import pytest

from vit.live import models
from vit.ui import page
from vit.ui.classify import gallery
from vit.ui.page import Page
from vit.ui.visit import Visit


@pytest.fixture
def laid_out(here) -> Page:
    """The page's components and handlers, served to nobody."""
    with gr.Blocks():
        return page.lay_out()


@pytest.fixture
def overtaken(monkeypatch):
    """What two calls answer of which the first is held up, in a function that they share, until the second is over."""

    def overtaken(owner, name: str, holds: Callable[..., bool], first: Callable, second: Callable) -> tuple:
        function, begun, go = getattr(owner, name), threading.Event(), threading.Event()

        def held(*args):
            if holds(*args) and not begun.is_set():
                begun.set()
                assert go.wait(60)
            return function(*args)

        monkeypatch.setattr(owner, name, held)
        with ThreadPoolExecutor() as pool:
            late = pool.submit(first)
            assert begun.wait(60)
            try:
                soon = second()
            finally:
                go.set()
            return late.result(), soon

    return overtaken


@pytest.fixture
def pick(laid_out):
    """A call that picks a picture by its name."""

    def pick(visit: Visit, name: str) -> Callable[[], dict]:
        return lambda: laid_out.pick("shapes", visit, gr.EventData(None, {"picture": name}))

    return pick


def first_picture(self, key, picture) -> bool:
    return picture == ("shapes", 1)


def model_cifar10(key, picture, choices) -> bool:
    return key == "cifar10"


def test_of_two_pictures_the_later_one_stays_though_its_answer_came_first(laid_out, overtaken, pick):
    visit, result = Visit(), laid_out.classifying.result
    views = overtaken(Page, "said", first_picture, pick(visit, "shapes-1"), pick(visit, "shapes-2"))
    assert [each[result]["called"] for each in views] == ["Test picture 2 of Shapes"] * 2
    assert visit.picture == ("shapes", 2)


def test_a_picture_that_was_picked_while_a_model_was_on_its_way_stays(laid_out, overtaken, pick):
    visit = Visit()
    choose = partial(laid_out.show, "cifar10", visit)
    views, _ = overtaken(gallery, "opening", model_cifar10, choose, pick(visit, "shapes-2"))
    assert views[laid_out.classifying.gallery]["picked"] == views[laid_out.picker.gallery]["picked"] == "shapes-2"
    assert (visit.key, visit.picture) == ("cifar10", ("shapes", 2))


def test_of_two_models_the_later_one_stays_though_its_answer_came_first(laid_out, overtaken):
    visit = Visit()
    calls = (partial(laid_out.show, key, visit) for key in ("cifar10", "shapes"))
    views, _ = overtaken(gallery, "opening", model_cifar10, *calls)
    assert views[laid_out.classifying.model].value == "shapes"


def test_a_picture_that_was_picked_before_a_model_is_answered_by_that_model(laid_out, overtaken, pick):
    visit, result = Visit(), laid_out.classifying.result
    late, _ = overtaken(Page, "said", first_picture, pick(visit, "shapes-1"), partial(laid_out.show, "cifar10", visit))
    assert (late[result]["model"], late[result]["called"]) == ("cifar10", "Test picture 1 of Shapes")


def test_what_a_model_attends_to_is_told_of_the_one_that_was_chosen_meanwhile(laid_out, overtaken):
    visit = Visit()
    laid_out.turn_page("shapes", visit)
    look, choose = partial(laid_out.look_on, "shapes", visit), partial(laid_out.show, "cifar10", visit)
    late, _ = overtaken(Page, "attend", lambda self, key, picture: key == "shapes", look, choose)
    assert late[laid_out.attending.view]["model"] == "cifar10"


def test_a_question_that_fails_covers_nothing(laid_out, overtaken, pick):
    visit, result = Visit(), laid_out.classifying.result

    def fail() -> None:
        with pytest.raises(gr.Error):
            pick(visit, "shapes-999")()

    views, _ = overtaken(Page, "said", first_picture, pick(visit, "shapes-1"), fail)
    assert views[result]["called"] == "Test picture 1 of Shapes"


def test_other_pictures_are_turned_to_before_the_page_knows_a_model(laid_out):
    views = laid_out.turn_page(None, Visit())
    assert views[laid_out.classifying.model].value == models.default() and views[laid_out.classifying.result]["bars"]
