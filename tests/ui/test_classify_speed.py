"""How long the Classify tab lets its visitors wait: for an answer, for the bars of a changed picture, for a page."""

import statistics
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import await_filled, open_tab
from vit.data.changes import LIMITS
from vit.live.datasets import SOURCES
from vit.ui import poke
from vit.ui.analysis import predict
from vit.ui.classify import answer

pytestmark = pytest.mark.benchmark

PICTURES = 15


def milliseconds(work: Callable, *arguments) -> float:
    started = time.perf_counter()
    work(*arguments)
    return 1000 * (time.perf_counter() - started)


def said(key: str, index: int) -> dict:
    """What the page is sent after a click on a test picture."""
    picture = ("shapes", index)
    return answer.payload(predict(key, picture), key, picture)


@pytest.fixture(params=["cifar10", "shapes"])
def key(request) -> str:
    """A shipped model, that somebody has looked at before."""
    SOURCES["shapes"].load()
    said(request.param, 0)
    return request.param


def test_a_click_on_a_picture_has_its_bars_within_150_ms_at_the_server(key, judge):
    median = statistics.median(milliseconds(said, key, index) for index in range(1, PICTURES + 1))
    judge(median < 150, f"{key} took {median:.0f} ms for a picture that was never asked about")


def test_bars_follow_each_change_of_a_picture_within_150_ms_at_the_server(key, judge):
    token, taken = said(key, 0)["token"], {}
    for limit in LIMITS.values():
        for number in (limit.low, limit.high):
            question = {"token": token, "covered": [0, 1], "changes": {limit.name: number}}
            taken[limit.name, number] = statistics.median(milliseconds(poke.poked, question) for _ in range(3))
    assert "probabilities" in poke.poked(question)
    slowest = max(taken, key=taken.__getitem__)
    judge(taken[slowest] < 150, f"{key} took {taken[slowest]:.0f} ms for {slowest}")


def test_a_page_of_the_gallery_that_was_seen_before_is_drawn_within_100_ms_and_asks_nothing(open_page, judge):
    page = open_page("")
    open_tab(page, "Classify")
    where, asked = page.locator(".c-where"), []
    page.get_by_role("button", name="Next page").click()
    expect(where).to_contain_text("Page 2 of 7")
    await_filled(page)  # other tabs ask, too, while they are filled
    page.on("request", lambda request: asked.append(request.url))
    taken = page.locator(".c-back").evaluate(
        """button => new Promise((done) => {
            const started = performance.now();
            button.closest(".gradio-container").addEventListener(
                "drawn", () => requestAnimationFrame(() => done(performance.now() - started)), { once: true });
            button.click();
        })"""
    )
    expect(where).to_contain_text("Page 1 of 7")
    assert not [url for url in asked if "component_server" in url]
    judge(taken < 100, f"it took {taken:.0f} ms")
