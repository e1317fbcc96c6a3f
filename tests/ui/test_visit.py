"""Answers of one page that overtake each other: what was asked for last stays."""

import threading
from concurrent.futures import ThreadPoolExecutor

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
def slow(monkeypatch):
    """Makes a function of an owner answer what holds for its arguments once it is let go of; says that it was asked."""
    begun, go = threading.Event(), threading.Event()

    def hold(owner, name: str, holds) -> tuple[threading.Event, threading.Event]:
        function = getattr(owner, name)

        def held(*args):
            if holds(*args) and not begun.is_set():
                begun.set()
                assert go.wait(60)
            return function(*args)

        monkeypatch.setattr(owner, name, held)
        return begun, go

    return hold


def picked(name: str) -> gr.EventData:
    return gr.EventData(None, {"picture": name})


def test_of_two_pictures_the_later_one_stays_though_its_answer_came_first(laid_out, slow):
    visit, result = Visit(), laid_out.classifying.result
    begun, go = slow(Page, "said", lambda self, key, picture: picture == ("shapes", 1))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(laid_out.pick, "shapes", visit, picked("shapes-1"))
        assert begun.wait(60)
        second = laid_out.pick("shapes", visit, picked("shapes-2"))
        go.set()
        assert first.result()[result]["called"] == second[result]["called"] == "Test picture 2 of Shapes"
    assert visit.picture == ("shapes", 2)


def test_a_picture_that_was_picked_while_a_model_was_on_its_way_stays(laid_out, slow):
    visit = Visit()
    begun, go = slow(gallery, "opening", lambda key, picture, choices: key == "cifar10")
    with ThreadPoolExecutor() as pool:
        model = pool.submit(laid_out.show, "cifar10", visit)
        assert begun.wait(60)
        laid_out.pick("shapes", visit, picked("shapes-2"))
        go.set()
        views = model.result()
    assert views[laid_out.classifying.gallery]["picked"] == views[laid_out.picker.gallery]["picked"] == "shapes-2"
    assert (visit.key, visit.picture) == ("cifar10", ("shapes", 2))


def test_of_two_models_the_later_one_stays_though_its_answer_came_first(laid_out, slow):
    visit = Visit()
    begun, go = slow(gallery, "opening", lambda key, picture, choices: key == "cifar10")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(laid_out.show, "cifar10", visit)
        assert begun.wait(60)
        laid_out.show("shapes", visit)
        go.set()
        assert first.result()[laid_out.classifying.model].value == "shapes"


def test_a_question_that_fails_covers_nothing(laid_out, slow):
    visit, result = Visit(), laid_out.classifying.result
    begun, go = slow(Page, "said", lambda self, key, picture: picture == ("shapes", 1))
    with ThreadPoolExecutor() as pool:
        first = pool.submit(laid_out.pick, "shapes", visit, picked("shapes-1"))
        assert begun.wait(60)
        with pytest.raises(gr.Error):
            laid_out.pick("shapes", visit, picked("shapes-999"))
        go.set()
        assert first.result()[result]["called"] == "Test picture 1 of Shapes"


def test_other_pictures_are_turned_to_before_the_page_knows_a_model(laid_out):
    views = laid_out.turn_page(None, Visit())
    assert views[laid_out.classifying.model].value == models.default() and views[laid_out.classifying.result]["bars"]
