"""The Attention tab's folded sections in a real Chromium: what they show is of the picture and class that are named."""

import re
import threading

import pytest
from playwright.sync_api import Page, expect

from vit.interpret.analysis import Analysis
from vit.ui.errors import BadInput

pytestmark = pytest.mark.slow  # opens a page for each test

BUSY = "The server is busy."


class Gate:
    """Lets pass while it is open; who comes while it is closed waits until it opens, and is refused then."""

    def __init__(self) -> None:
        self._opened, self._met = threading.Event(), threading.Event()
        self._opened.set()

    def close(self) -> None:
        self._opened.clear()
        self._met.clear()

    def open(self) -> None:
        """Once somebody waits for it."""
        assert self._met.wait(60)
        self._opened.set()

    def through(self) -> bool:
        """Whether one was let pass."""
        if self._opened.is_set():
            return True
        self._met.set()
        self._opened.wait(300)
        return False


@pytest.fixture
def gate(monkeypatch) -> Gate:
    """The one before relevance."""
    gate, relevance = Gate(), Analysis.relevance

    def compute(analysis, classes):
        if not gate.through():
            raise BadInput(BUSY)
        return relevance(analysis, classes)

    monkeypatch.setattr(Analysis, "relevance", compute)
    return gate


@pytest.fixture
def page(here, gate, own_url, visitor) -> Page:
    page = visitor(own_url + "?tab=attention&model=shapes&picture=shapes-17")
    page.get_by_text("Why this class, and why not that one").click()
    expect(page.locator("#attention .x-why canvas")).to_have_count(2)
    return page


def test_only_a_map_that_is_here_is_covered_and_one_that_does_not_come_leaves_the_former_its_name(page, gate):
    figures = page.locator("#attention .x-why figure")
    chosen = [figure.locator("select").input_value() for figure in figures.all()]
    another = next(name for name in map(str, range(10)) if name not in chosen)
    select, cover = figures.first.locator("select"), figures.first.get_by_role("button")
    cover.click()
    expect(figures.first.locator("output")).to_contain_text("points of probability")
    gate.close()
    select.select_option(another)
    expect(cover).to_be_disabled()
    gate.open()
    expect(page.locator("#attention .x-error")).to_have_text(BUSY)
    expect(select).to_have_value(chosen[0])
    expect(cover).to_be_enabled()
    select.select_option(another)
    expect(cover).to_be_enabled()
    cover.click()
    name = select.locator("option").nth(int(another)).inner_text()
    expect(figures.first.locator("output")).to_contain_text(f"of it costs {name} ")


def test_what_is_of_the_picture_before_is_out_of_reach_until_an_answer_and_gone_where_there_is_none(page, gate):
    page.get_by_text("What patches have in common").click()
    expect(page.locator("#attention .x-alike canvas")).to_have_count(2)
    page.get_by_text("What patches have in common").click()
    why, section = page.locator("#attention .x-why"), page.locator("#attention .x-relevance")
    gate.close()
    page.locator(".v-gallery:visible button").nth(3).click()
    expect(section).to_have_class(re.compile("busy"))
    assert why.evaluate("body => body.inert")
    expect(why.locator("figure")).to_have_count(2)
    expect(page.locator("#attention .x-alike > *")).to_have_count(0)  # nobody saw it
    gate.open()
    expect(why.locator("figure")).to_have_count(0)
    expect(section).not_to_have_class(re.compile("busy"))
    section.locator("summary").click()
    section.locator("summary").click()
    expect(why.locator("canvas")).to_have_count(2)
    assert not why.evaluate("body => body.inert")
