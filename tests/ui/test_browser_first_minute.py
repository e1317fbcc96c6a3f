"""What somebody sees who has never been here, in a real Chromium: what the page is, and that it is alive."""

import re

import pytest
import torch
from playwright.sync_api import expect

from tests.ui.conftest import LEAVING, open_tab
from tests.ui.test_damage import config
from vit.interpret.telling import telling_heads
from vit.live import models
from vit.live.datasets import SOURCES
from vit.training.moments import MOMENTS, Album, figures, probe, take
from vit.training.progress import Progress
from vit.ui import analysis
from vit.ui.train.recorded import forming

SHIFTS = """window.shifts = []; new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts.push(entry.value);
}).observe({ type: "layout-shift", buffered: true });"""
# It plays for some seconds, which a busy machine may take to look.
PLAYED = """new MutationObserver(() => {
  window.played ||= document.querySelector("#forming .play")?.textContent === "Pause";
}).observe(document, { subtree: true, childList: true, characterData: true });"""
WIDE = {"width": 1440, "height": 900}


@pytest.fixture
def recorded(here, small_vit):
    """Three moments of the Shapes checkpoint, the last of it as it is."""
    pictures, album = probe(SOURCES["shapes"].splits.validation), Album()
    for step, share in ((0, 0.0), (20, 0.4), (90, 1.0)):
        model = models.find_vit("shapes")
        small_vit.load_state_dict({name: share * value for name, value in model.state_dict().items()})
        progress = Progress(step, 90, 0.1, step / 90, 2.0, 0.2 + 0.5 * share, 1e-3, 50.0, step / 10, 3.0)
        album.add(take(small_vit, pictures, step), figures(progress, loss=2.0, accuracy=share, validation=share))
    album.save(models.CHECKPOINTS / "shapes" / MOMENTS)
    return album


@pytest.fixture
def visit(context, own_url):
    """Opens the page in a browser that remembers nothing of it; nothing may go wrong there."""
    pages, errors = [], []

    def visit(path: str = "", viewport: dict = WIDE, **media):
        page = context.new_page()
        pages.append(page)
        page.add_init_script(SHIFTS + PLAYED)
        page.set_viewport_size(viewport)
        page.emulate_media(**media)
        page.set_default_timeout(60_000)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(own_url + path)
        page.wait_for_selector("#progress h2")
        return page

    yield visit
    for page in pages:
        page.evaluate("localStorage.clear()")
        page.close()
    assert not [error for error in errors if not LEAVING.search(error)]


def top(page, name: str) -> float:
    return page.locator(name).first.bounding_box()["y"]


def bottom(page, name: str) -> float:
    box = page.locator(name).first.bounding_box()
    return box["y"] + box["height"]


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_train_plays_the_recorded_run_once_and_nothing_jumps(recorded, visit, theme):
    page = visit(f"?__theme={theme}")
    expect(page.locator(".t-about")).to_contain_text("Recorded: how the vit-live that comes with this page learned")
    page.wait_for_function("window.played && document.querySelector('[data-step]')?.dataset.step === '90'")
    expect(page.locator("#forming .play")).to_have_text("Play")
    expect(page.locator("#progress h2")).to_have_text("Ready to train")
    assert bottom(page, "#forming canvas.map") < 900 and bottom(page, "#charts .v-plot") < 900
    assert page.evaluate("window.shifts.reduce((a, b) => a + b, 0)") < 0.02
    assert "run=" not in page.url
    page.locator("#forming input.when").fill("0")
    expect(page.locator(".t-then")).to_contain_text("Step 0 · before training")
    page.locator("#forming .play").click()
    first = page.locator("#forming canvas.map").first
    first.evaluate("canvas => canvas.setAttribute('aria-label', 'of before')")
    page.locator("#forming .play").click()
    expect(first).to_have_attribute("aria-label", re.compile("^Head 1, "))  # paused, it is told in words again


def test_who_wants_no_motion_sees_the_finished_model_at_once(recorded, visit):
    page = visit(reduced_motion="reduce")
    page.wait_for_function("document.querySelector('[data-step]')?.dataset.step === '90'")
    expect(page.locator("#forming .play")).to_have_text("Play")


def without(damage: str, small_vit) -> None:
    """Moments beside the Shapes checkpoint that cannot be shown."""
    file = models.CHECKPOINTS / "shapes" / MOMENTS
    if damage == "cut":
        file.write_bytes(b"nothing")
    elif damage == "of another model":
        album, other = Album(), torch.manual_seed(0) and type(small_vit)(embed_dim=12, depth=1, num_heads=1)
        album.add(take(other, probe(SOURCES["shapes"].splits.validation)), figures())
        album.save(file)
    elif damage == "of pictures that are not":
        album = Album()
        album.add(take(models.find_vit("shapes"), probe(SOURCES["shapes"].splits.validation)), figures())
        album.save(file)
        config("trained", validation_size=10**6)(file.parent)


@pytest.mark.parametrize("damage", ["cut", "of another model", "none", "of pictures that are not"])
def test_moments_that_cannot_be_shown_are_none(here, damage, small_vit):
    without(damage, small_vit)
    assert forming("shapes") is None


def test_without_moments_that_can_be_shown_the_page_shows_the_model_before_training(here, visit, small_vit):
    without("of pictures that are not", small_vit)
    page = visit()
    page.wait_for_selector("#forming canvas.map")
    expect(page.locator(".t-about")).to_contain_text("Before training")
    expect(page.locator(".t-then")).to_contain_text("before training")


def test_the_page_says_what_it_is_and_folds_that_away_once_it_was_used(here, visit):
    page = visit()
    expect(page.get_by_role("heading", level=1)).to_have_text("Vision Transformer, live")
    expect(page.locator("#intro .i-steps")).to_be_visible()
    page.get_by_role("button", name=re.compile("^3 Look inside")).click()
    expect(page.locator("#attention .x-sentence")).to_contain_text("nats")
    expect(page.locator("#intro .i-steps")).to_be_hidden()
    page.reload()  # to the same tab
    expect(page.locator("#attention .x-sentence")).to_contain_text("nats")
    expect(page.locator("#intro .i-steps")).to_be_hidden()
    page.evaluate("localStorage.clear()")
    phone = visit(viewport={"width": 390, "height": 844})
    expect(phone.locator("#intro summary")).to_be_visible()
    expect(phone.locator("#intro .i-steps")).to_be_hidden()
    phone.wait_for_selector("#forming canvas.map")
    tops = [
        top(phone, name)
        for name in ("#charts .v-plot", "#forming canvas.map", ".v-settings [role=radiogroup], .v-settings fieldset")
    ]
    assert tops == sorted(tops) and bottom(phone, "#charts .v-plot") < 844
    expect(phone.locator("#start")).to_be_in_viewport(ratio=1)


def test_attention_opens_on_the_most_telling_head_and_tours_those_that_differ(here, visit):
    page = visit("?model=shapes&picture=shapes-17")
    open_tab(page, "Attention")
    tour = telling_heads(analysis.analyze("shapes", ("shapes", 17)))
    words, cell = page.locator("#attention .x-telling-words"), page.locator("#attention .x-cell[aria-selected=true]")
    for stop, head in enumerate(tour):
        place = f"Head {head.head + 1} of layer {head.layer + 1} is "
        expect(words).to_contain_text(
            place + (f"stop {stop + 1} of {len(tour)}" if stop else "the most telling of the 9")
        )
        expect(words).to_contain_text(head.sentence)
        expect(cell).to_have_attribute("data-head", str(head.head))
        page.locator("#attention .x-tour").click()
    expect(words).to_contain_text("the most telling of the 9 heads here")
    expect(page.locator("#attention .x-layers figure")).to_have_count(3)  # the lens, open from the start


def test_heads_off_are_told_as_old_new_and_difference(here, visit):
    page = visit("?model=shapes&picture=shapes-17")
    open_tab(page, "Attention")
    page.get_by_role("button", name="Switch heads off").click()
    page.get_by_role("button", name="Keep only this head").click()
    expect(page.locator("#attention .x-says-title")).to_contain_text("With 8 heads off")
    expect(page.locator("#attention .x-change")).to_have_text(
        re.compile(r"% with all heads, .*% now, ([\d.]+ points|no diff)")
    )
    expect(page.locator("#attention .x-head-off")).to_be_hidden()
    page.get_by_role("button", name="This layer off").click()
    expect(page.locator("#attention .x-says-title")).to_contain_text("With 9 heads off")
    expect(page.locator("#attention .x-head-off")).to_be_visible()
