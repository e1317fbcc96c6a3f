"""One's own pictures on a page with that tab alone, in a real Chromium: what is done while an answer is awaited."""

import json
import threading
from collections.abc import Iterator

import gradio as gr
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.ui.conftest import held, unfold
from tests.ui.test_browser_own import hand_over
from vit.live import collection, runs, taught, teaching
from vit.live.teaching import Teaching, Way
from vit.ui import asking
from vit.ui import page as vit_page
from vit.ui.own import pictures as sent
from vit.ui.own import tab as own

OPENED = '<span class="v-opened">opened</span>'
STATUS = {"now": OPENED}


def tell(before: str | None, event: gr.EventData) -> str:
    return f"{before or ''} {event._data['chosen']}"


@pytest.fixture(scope="module")
def alone() -> Iterator[str]:
    """Address of the tab, which opens in a second, with STATUS above it, and below it what other tabs would be told."""
    with gr.Blocks(analytics_enabled=False) as demo:
        status, told = gr.HTML(elem_id="status"), gr.HTML(elem_id="told")
        tab = own.build()
        tab.view.learned(tell, told, told)

        def hand_out(event: gr.EventData) -> dict:
            return tab.hand_out(event._data["chosen"])

        tab.view.learned(hand_out, None, tab.learned)
        demo.load(lambda: STATUS["now"], None, status, show_progress="hidden")
    _, url, _ = vit_page.launch(demo, prevent_thread_lock=True, quiet=True)
    yield url
    demo.close()


@pytest.fixture
def page(context, alone, here, monkeypatch) -> Iterator[Page]:
    """The tab with nothing collected yet; what it did not await is an error."""
    monkeypatch.setattr(collection, "_sets", {})
    monkeypatch.setattr(runs, "OTHERS", {})
    page, errors = context.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(alone)
    expect(page.locator(".o-card")).to_have_count(2)
    yield page
    page.evaluate("sessionStorage.clear()")
    page.close()
    assert not errors


@pytest.fixture
def going(page) -> Teaching:
    """A run of the drawings, of which the page knows once it is reloaded."""
    page.locator(".o-sample").click()
    expect(page.locator(".o-card")).to_have_count(3)
    (token,) = collection._sets
    going = Teaching(token, "shapes", [Way("head")], tuple(collection._sets[token].classes), None, status="running")
    runs.OTHERS[going.id] = going
    remember(page, run={"id": going.id, "owner": going.owner})
    return going


@pytest.fixture
def learned(page, small_vit) -> str:
    """Key of a model, of which the page knows once it is reloaded."""
    key = taught.key_of("secret", "head")
    taught.save(key, small_vit)
    remember(page, models=[{"key": key, "way": "head", "owner": "secret", "learned": "12:00"}])
    return key


@pytest.fixture
def picture(tmp_path):
    """A file with a picture that is none of the drawings."""
    noise = torch.randint(256, (32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.numpy()).save(tmp_path / "noise.png")
    return tmp_path / "noise.png"


def names(page: Page) -> list[str]:
    return [card.get_attribute("aria-label").removeprefix("Class ") for card in page.locator(".o-card").all()]


def card(page: Page, name: str):
    return page.get_by_role("article", name=f"Class {name}", exact=True)


def remember(page: Page, **values) -> None:
    """In the browser's tab, as the page does: what is of one's own there after a reload."""
    for name, value in values.items():
        page.evaluate("([name, text]) => sessionStorage.setItem(name, text)", [f"vit-own-{name}", json.dumps(value)])


def test_a_server_that_is_busy_at_a_reload_makes_the_page_wait_and_forget_nothing(page, going, learned, monkeypatch):
    monkeypatch.setattr(asking, "_places", full := threading.Semaphore(0))
    page.reload()
    for line in (".o-error", ".o-standing"):
        expect(page.locator(line)).to_have_text(asking.BUSY)
    full.release(asking.PLACES)
    expect(page.locator(".o-card .o-thumbs img").first).to_be_visible()
    expect(page.locator(".o-error")).to_be_hidden()
    expect(page.locator(".o-parent option")).not_to_have_count(0)
    expect(page.locator(".o-model option")).to_have_count(1)
    expect(page.locator(".o-standing")).to_have_text("Learning: head alone …")
    assert json.loads(page.evaluate("sessionStorage.getItem('vit-own-run')"))["id"] == going.id


def test_a_model_of_which_a_busy_server_said_nothing_can_still_be_deleted(page, learned, monkeypatch):
    page.reload()
    expect(page.locator(".o-model option")).to_have_count(1)
    page.locator(".o-forget").click()
    monkeypatch.setattr(asking, "_places", full := threading.Semaphore(0))
    page.locator(".o-really").click()
    expect(page.locator(".o-break-error")).to_have_text(asking.BUSY)
    full.release(asking.PLACES)
    page.locator(".o-forget").click()
    page.locator(".o-really").click()
    expect(page.locator(".o-model option")).to_have_count(0)
    assert not taught.available(learned)


def test_what_is_pasted_before_the_pictures_are_back_goes_to_the_first_class(page, picture, monkeypatch):
    page.locator(".o-sample").click()
    expect(page.locator(".o-card")).to_have_count(3)
    over = held(monkeypatch, sent, "_set")
    page.reload()
    expect(page.locator(".o-kept")).not_to_be_empty()  # from here on it listens
    hand_over(page, "body", "paste", [picture])
    over.set()
    expect(card(page, "fish").locator(".o-count")).to_have_text("9 pictures")
    expect(page.locator(".o-error")).to_be_hidden()


def test_classes_that_are_named_or_added_stay_when_the_drawings_come(page, monkeypatch):
    name = page.locator(".o-card .o-name").first
    name.fill("cup")
    name.press("Enter")
    over = held(monkeypatch, sent, "drawings")
    page.locator(".o-sample").click()
    page.locator(".o-more").click()
    page.keyboard.press("Control+A")
    page.keyboard.type("pen")
    over.set()
    expect(page.locator(".o-card")).to_have_count(5)
    page.keyboard.press("Enter")
    expect(card(page, "pen")).to_be_visible()
    assert names(page) == ["cup", "pen", "fish", "house", "tree"]


def test_files_that_are_dropped_while_the_drawings_come_get_their_card_back(page, picture, monkeypatch):
    over = held(monkeypatch, sent, "drawings")
    page.locator(".o-sample").click()
    hand_over(page, ".o-card:nth-child(2)", "drop", [picture])
    over.set()
    expect(card(page, "Class 2").locator(".o-count")).to_have_text("1 picture")
    assert names(page) == ["fish", "house", "tree", "Class 2"]


def test_files_that_are_dropped_while_the_others_are_deleted_begin_a_new_set(page, picture, monkeypatch):
    page.locator(".o-sample").click()
    expect(page.locator(".o-card")).to_have_count(3)
    over = held(monkeypatch, sent.teaching, "forget")
    page.locator(".o-delete").click()
    hand_over(page, ".o-card:nth-child(1)", "drop", [picture])
    over.set()
    expect(card(page, "fish").locator(".o-count")).to_have_text("1 picture")
    (left,) = collection._sets.values()
    assert {name: len(pictures) for name, pictures in left.classes.items()} == {"fish": 1}


def test_a_class_that_is_removed_twice_takes_no_other_with_it(page):
    page.locator(".o-away").first.evaluate("button => { button.click(); button.click(); }")
    expect(page.locator(".o-card")).to_have_count(1)
    page.locator(".o-more").click()
    expect(page.locator(".o-card")).to_have_count(2)
    assert names(page) == ["Class 2", "Class 3"]


def test_no_button_can_be_pressed_before_its_script_is_there(page):
    asked: list[Route] = []
    page.route("**/own/script/own.js", lambda route: asked.append(route))
    with page.expect_request("**/own/script/own.js"):
        page.reload()
    buttons = [page.locator(name) for name in (".o-camera-on", ".o-more", ".o-sample")]
    for button in buttons:
        expect(button).to_be_disabled()
    asked[0].continue_()
    for button in buttons:
        expect(button).to_be_enabled()


def test_what_is_being_learned_can_be_stopped_though_the_page_never_opens_and_tabs_follow_once_it_does(
    page, going, learned, small_vit, monkeypatch
):
    monkeypatch.setitem(STATUS, "now", "")
    page.reload()
    expect(page.locator(".o-stop")).to_be_visible()
    expect(page.locator(".o-start")).to_be_disabled()
    key = taught.key_of(going.owner, "head")
    taught.save(key, small_vit)
    going.ways[0].key, going.status = key, "finished"
    expect(page.locator(".o-break")).to_be_visible()
    expect(page.locator(".o-model option")).to_have_count(2)
    expect(page.locator("#told")).not_to_contain_text("taught")
    page.locator("#status").evaluate("(status, opened) => { status.innerHTML = opened; }", OPENED)
    expect(page.locator("#told")).to_contain_text(key)


def test_whoever_asks_to_classify_with_a_model_gets_it_though_another_was_chosen_there_since(page, learned):
    page.reload()
    for times in (1, 2):
        page.get_by_role("button", name="Classify with it").click()
        expect(page.locator("#told")).to_have_text(" ".join([learned] * times))


def test_a_model_is_handed_out_only_once_it_is_the_one_that_is_asked_for(page, learned, monkeypatch):
    page.reload()
    button = page.get_by_role("button", name="Classify with it")
    handed_out = page.locator("#own-download"), page.get_by_role("button", name="Push", exact=True)
    button.click()
    expect(handed_out[0]).to_be_enabled()
    unfold(page, "Push to your Hugging Face account")
    over = held(monkeypatch, taught, "archive")
    button.click()
    for one in handed_out:
        expect(one).to_be_disabled()
    over.set()
    for one in handed_out:
        expect(one).to_be_enabled()


@pytest.mark.slow
def test_the_camera_names_what_it_sees_again_once_another_model_is_learned_in_the_place_of_a_deleted_one(
    page, going, learned, small_vit
):
    page.reload()
    rate = page.locator(".o-rate")
    page.locator(".o-live").click()
    expect(rate).to_contain_text("pictures a second")
    page.locator(".o-forget").click()
    page.locator(".o-really").click()
    expect(page.locator(".o-break")).to_be_hidden()
    expect(rate).to_be_empty()
    going.ways[0].key = taught.key_of(going.owner, "head")
    taught.save(going.ways[0].key, small_vit)
    going.status = "finished"
    expect(rate).to_contain_text("pictures a second")


def test_nothing_is_said_of_a_picture_that_cannot_be_read_and_beside_its_button_why_one_was_not_added(
    page, learned, picture, tmp_path
):
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 50)
    page.locator(".o-sample").click()
    expect(page.locator(".o-card")).to_have_count(3)
    page.reload()
    expect(page.locator(".o-break")).to_be_visible()  # from here on it takes files
    bars, file = page.locator(".o-break .v-bars li"), page.locator(".o-one-file")
    drawn = "own => own.getContext('2d').getImageData(0, 0, own.width, own.height).data.some((byte) => byte)"
    overlay = page.locator(".o-break canvas")
    file.set_input_files(picture)
    expect(page.locator(".o-stage img[src^='blob:']")).to_be_visible()
    expect(bars).to_have_count(5)
    assert overlay.evaluate(drawn)
    truth, added = page.locator(".o-truth button"), page.locator(".o-added")
    truth.first.click()
    expect(added).to_have_text("Added to “fish”.")
    truth.nth(1).click()
    expect(added).to_contain_text("Not added to “house”: noise.png is in “fish” already")

    file.set_input_files(tmp_path / "torn.png")
    expect(page.locator(".o-break-error")).to_contain_text("What you sent ")
    expect(bars).to_have_count(0)
    expect(page.locator(".o-break .v-verdict b")).to_be_empty()
    assert not overlay.evaluate(drawn)


@pytest.mark.slow
def test_stop_says_what_came_of_it_and_is_asked_for_again_where_the_server_is_busy(page, going, learned, monkeypatch):
    page.reload()
    standing, stop = page.locator(".o-standing"), page.locator(".o-stop")
    expect(standing).to_have_text("Learning: head alone …")
    owner, going.owner = going.owner, "another"
    stop.click()
    expect(standing).to_contain_text("Only the page or program that started")
    going.owner, stopped = owner, threading.Event()
    monkeypatch.setattr(teaching, "stop", lambda run: stopped.set())
    monkeypatch.setattr(asking, "_places", full := threading.Semaphore(0))
    stop.click()
    expect(standing).to_have_text(asking.BUSY)
    full.release(asking.PLACES)
    expect(standing).to_have_text("Stopping …")
    assert stopped.wait(60)
    going.status, going.message = "stopped", "It was stopped."
    expect(stop).to_be_hidden()
    expect(standing).to_have_text("It was stopped.")
