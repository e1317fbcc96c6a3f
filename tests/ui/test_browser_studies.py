"""The studies of all heads on a page with them alone, in a real Chromium: which of several is shown."""

import threading
from collections.abc import Iterator
from queue import Queue
from types import SimpleNamespace

import gradio as gr
import pytest
from playwright.sync_api import Page, expect

from tests.ui.conftest import unfold
from vit.interpret import heads
from vit.live import models
from vit.ui import page as vit_page
from vit.ui.attention import studies

WORTH, LOOKS = "What each head is worth", "Where each head looks"
WATCH = """() => { window.shown = [];
    new MutationObserver(() => shown.push(document.querySelector("#study").textContent))
        .observe(document.body, { childList: true, subtree: true, characterData: true }); }"""


@pytest.fixture(scope="module")
def alone() -> Iterator[str]:
    """Address of the page."""
    with gr.Blocks(analytics_enabled=False) as demo:
        studies.build(gr.Dropdown(["shapes"], value="shapes"))
    _, url, _ = vit_page.launch(demo, prevent_thread_lock=True, quiet=True)
    yield url
    demo.close()


class Study:
    """One that counts pictures as a test tells it. ended: once nobody asks for more."""

    def __init__(self, begun: Queue):
        self.told, self.ended, self.begun = Queue(), threading.Event(), begun

    def __iter__(self) -> Iterator[SimpleNamespace]:
        self.begun.put(self)
        try:
            while n := self.told.get(timeout=300):
                yield SimpleNamespace(done=n / 20, n=n)
        finally:
            self.ended.set()


@pytest.fixture
def begun(monkeypatch) -> Queue:
    """The studies in the order in which they begin."""
    begun: Queue = Queue()
    for name in ("head_importance", "head_regions"):
        monkeypatch.setattr(heads, name, lambda *given: iter(Study(begun)))
    monkeypatch.setattr(studies, "model_and_pictures", lambda key, count: (None, None, []))
    monkeypatch.setattr(studies, "importance_table", lambda found, key: f"worth {found.n}")
    monkeypatch.setattr(studies, "regions_table", lambda found, dataset: f"looks {found.n}")
    return begun


@pytest.fixture
def page(context, alone, begun) -> Iterator[Page]:
    page = context.new_page()
    page.goto(alone)
    unfold(page, "All heads over many test pictures")
    yield page
    page.close()


def test_of_two_studies_the_one_that_was_asked_for_last_is_shown(page, begun):
    table = page.locator("#study")
    page.get_by_role("button", name=WORTH).click()
    first = begun.get(timeout=60)
    first.told.put(2)
    expect(table).to_contain_text("worth 2")
    expect(table).to_contain_text(f"2 of 200 pictures, {models.title('shapes', {})}")
    page.get_by_role("button", name=LOOKS).click()
    second = begun.get(timeout=60)
    second.told.put(3)
    expect(table).to_contain_text("looks 3")
    page.evaluate(WATCH)
    first.told.put(4)
    assert first.ended.wait(60)
    for n in (5, 6):
        second.told.put(n)
        expect(table).to_contain_text(f"looks {n}")
    shown = page.evaluate("shown")
    assert shown and not [text for text in shown if "worth" in text]
    second.told.put(0)


def test_a_study_can_be_asked_for_anew_while_it_runs_and_stopped(page, begun):
    table, running = page.locator("#study"), []
    for n in (2, 3):
        page.get_by_role("button", name=WORTH).click()
        running.append(begun.get(timeout=60))
        running[-1].told.put(n)
        expect(table).to_contain_text(f"worth {n}")
    running[0].told.put(4)
    assert running[0].ended.wait(60)
    page.get_by_role("button", name="Stop").click()
    assert any(running[1].told.put(5) or running[1].ended.wait(0.1) for _ in range(600))


def test_a_study_that_waits_for_others_says_so_at_once_until_it_is_stopped_or_begins(page, begun):
    table, said, running = page.locator("#study"), page.locator("#study .v-note"), []
    for name in (WORTH, LOOKS):
        page.get_by_role("button", name=name).click()
        running.append(begun.get(timeout=60))
    page.get_by_role("button", name=WORTH).click()
    expect(said).to_have_text("Waiting for its turn …")
    page.get_by_role("button", name="Stop").click()
    expect(said).to_have_count(0)
    page.get_by_role("button", name=WORTH).click()
    expect(said).to_have_text("Waiting for its turn …")
    for study in running:
        study.told.put(0)
    stopped_and_last = [begun.get(timeout=60) for _ in range(2)]
    for study in stopped_and_last:
        study.told.put(3)
    expect(table).to_contain_text("worth 3")
    for study in stopped_and_last:
        study.told.put(0)
