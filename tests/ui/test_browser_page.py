"""Opening the page in a real Chromium: what it costs the server, each thing once, and what is pressed meanwhile."""

import re
import threading

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import await_filled, open_tab
from vit.live import runs
from vit.ui import analysis, glossary


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """Names of what the server did, in order."""
    made = []

    def count(module, name):
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *values: made.append(name) or original(*values))

    count(analysis, "_pixels")
    count(runs, "watch")
    return made


def test_a_page_without_a_run_draws_its_picture_once_and_watches_nothing(calls, open_page):
    page = open_page("")
    open_tab(page, "Classify")
    expect(page.locator("#prediction .v-bars li")).to_have_count(10)
    expect(page.locator("#progress h2")).to_have_text("Ready to train")
    await_filled(page)
    before = page.locator("#prediction .v-seen img").get_attribute("src")
    page.locator(".v-gallery:visible button").nth(3).click()
    expect(page.locator("#prediction .v-seen img")).not_to_have_attribute("src", before)
    open_tab(page, "Attention")
    expect(page.locator("#attention canvas.overlay")).to_be_visible()
    expect(page.locator(".v-gallery:visible [aria-pressed=true]")).to_have_count(1)
    assert calls == ["_pixels", "_pixels"]


def test_a_word_that_is_opened_while_the_page_fills_tells_of_its_picture_once_there_is_one(
    here, own_url, visitor, monkeypatch
):
    go, about = threading.Event(), glossary.about
    monkeypatch.setattr(glossary, "about", lambda *shown: go.wait(300) and about(*shown))
    page = visitor(own_url)
    page.locator(".g-word:visible").first.click()
    expect(page.locator(".g-here")).to_have_text("…")
    go.set()
    expect(page.locator(".g-here")).to_have_text(re.compile(r"\d"))
    expect(page.locator(".g-of")).to_contain_text("Of the chosen model")


def test_a_tab_that_was_pressed_before_the_link_was_read_stays_open(here, context, own_url):
    page, held = context.new_page(), []
    page.route("**/tabs.js", lambda route: held.append(route))
    page.goto(f"{own_url}?tab=attention")
    open_tab(page, "Classify")
    expect(page.locator("#prediction .v-bars li")).to_have_count(10)
    held[0].continue_()
    page.wait_for_url(re.compile("tab=classify"))
    expect(page.get_by_role("tab", name="Classify")).to_have_attribute("aria-selected", "true")
    page.close()


def test_a_runs_link_is_followed_by_one_watch_and_its_model_is_chosen(calls, open_page, ended):
    page = open_page(f"?run={ended.id}")
    expect(page.locator("#progress h2")).to_contain_text("Stopped: vit-live-patch on Shapes")
    expect(page.locator("#status")).to_contain_text("Another's run")
    for tab in ("Attention", "Classify"):
        open_tab(page, tab)
        expect(page.locator(".v-model:visible input")).to_have_value(re.compile("Another's run"))
    assert calls.count("watch") == 1


def test_a_runs_buttons_lead_to_its_own_model_though_another_was_chosen_since(adopted, open_page, ended):
    page = open_page(f"?run={ended.id}")
    assert adopted.wait(60)
    await_filled(page)
    open_tab(page, "Classify")
    model = page.locator(".v-model:visible input")
    expect(model).to_have_value(re.compile("Another's run"))
    model.click()
    page.get_by_role("listbox").locator("li").filter(has_not_text="Another's run").first.click()
    expect(page.locator("#status")).not_to_contain_text("Another's run")
    open_tab(page, "Train")
    page.get_by_role("button", name="Classify with it").click()
    expect(model).to_have_value(re.compile("Another's run"))
    expect(page.locator("#status")).to_contain_text("Another's run")
