"""The page as a visitor meets it, in a real Chromium. Any console or page error fails a test."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.ui.conftest import LEAVING, await_filled, await_quiet, open_tab


@pytest.fixture(scope="module")
def context(browser):
    """One for all tests, whose cache has the page's scripts; it remembers no run."""
    with browser.new_context() as context:
        context.add_init_script("localStorage.clear()")
        yield context


def opened(context: BrowserContext, url: str, width: int, height: int) -> Iterator[Page]:
    """The page, once it is alive; afterwards nothing may have gone wrong on it."""
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.set_default_timeout(60_000)
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    page.wait_for_selector("#progress h2")
    yield page
    page.close()
    assert not [error for error in errors if not LEAVING.search(error)]


@pytest.fixture(scope="module")
def page(context, app_url) -> Iterator[Page]:
    """One for all tests, each of which begins with what it needs."""
    yield from opened(context, app_url, 1440, 900)


@pytest.fixture
def phone(context, app_url) -> Iterator[Page]:
    yield from opened(context, app_url, 390, 844)


def test_the_page_says_where_one_is(page):
    expect(page.locator("#status")).to_contain_text("vit-live-patch · Shapes")
    expect(page.locator("#status")).to_contain_text("CPU core")
    expect(page.locator("#notice")).to_have_text(
        "CIFAR-10 can't be reached (offline, and not cached); using the built-in Shapes"
    )


@pytest.mark.slow
def test_training_draws_curves_and_the_model_is_chosen_everywhere(page):
    await_filled(page)
    minutes = page.locator("#minutes :is(input, textarea)")
    minutes.fill("0.1")
    minutes.press("Tab")
    expect(page.locator("#progress")).to_contain_text("in 0.1 min")
    page.get_by_role("button", name="Start training", exact=True).click()
    page.wait_for_function("document.querySelector('#charts polyline.v-train')?.points.length >= 1")
    page.wait_for_selector("#progress .done")
    done = re.compile(r"^Done: vit-live( \(width \d+\))? on Shapes$")  # as wide as this machine is fast
    expect(page.locator("#progress h2")).to_have_text(done)
    expect(page.locator("#charts .v-dot.v-val")).to_have_count(2)
    expect(page.get_by_role("button", name="Start training", exact=True)).to_be_visible()
    expect(page.locator("#status")).to_contain_text("Your run 1")
    for tab in ("Classify", "Attention"):
        open_tab(page, tab)
        expect(page.locator(".v-model:visible input")).to_have_value(re.compile("Your run 1: vit-live · Shapes"))
    open_tab(page, "Train")
    expect(page.locator("#runs")).to_contain_text("Run 1")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as GIF").click()
    assert download.value.suggested_filename == "attention-forming.gif"
    page.get_by_role("button", name="Look inside it").click()
    expect(page.locator("#attention .x-sentence")).to_contain_text("nats")
    assert "tab=attention" in page.url
    page.go_back()
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    page.locator("#minutes :is(input, textarea)").fill("0,2")  # the run stays until Start
    page.locator("#minutes :is(input, textarea)").press("Tab")
    await_quiet(page)
    expect(page.locator("#progress h2")).to_have_text(done)
    page.get_by_role("button", name="Delete this run").click()
    expect(page.locator("#progress h2")).to_have_text("Ready to train")
    assert "run=" not in page.url and "Run 1" not in page.locator("#runs").text_content()


def test_a_click_in_the_gallery_classifies_that_picture(page):
    open_tab(page, "Classify")
    expect(page.locator("#prediction .v-bars li")).to_have_count(10)
    before = page.locator("#prediction .v-seen img").get_attribute("src")
    heart = page.locator(".v-gallery:visible button[title^=heart]").first
    heart.click()
    expect(page.locator("#prediction .v-seen img")).not_to_have_attribute("src", before)
    expect(page.locator("#prediction .v-seen img")).to_have_attribute("src", heart.locator("img").get_attribute("src"))
    picked = page.locator(".v-gallery:visible [aria-pressed=true]")
    expect(picked).to_have_attribute("title", re.compile("^heart"))
    open_tab(page, "Attention")
    expect(picked).to_have_attribute("title", re.compile("^heart"))


def test_a_phone_scrolls_in_one_direction_only(phone):
    drawn = {
        "Train": "#forming canvas.map",
        "Classify": "#prediction .v-bars",
        "Attention": "#attention canvas.overlay",
    }
    for tab, figure in drawn.items():
        open_tab(phone, tab)
        expect(phone.locator(figure).first).to_be_visible()
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_file_that_is_no_picture_is_refused_in_words(page, tmp_path):
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 50)
    open_tab(page, "Classify")
    expect(page.locator("#prediction .v-bars li")).to_have_count(10)
    page.locator("input[type=file]").first.set_input_files(torn)
    expect(page.get_by_text("expected a picture")).to_be_visible()
