"""One's own pictures in a real Chromium with a made-up camera: collected, learned in three ways, broken, deleted."""

import base64
import re
import threading

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.ui.conftest import await_quiet, open_tab
from vit.data.drawings import drawings
from vit.live import collection, models, runs, storage, taught, teaching

pytestmark = pytest.mark.slow  # opens a page of its own

HAND_OVER = """(target, [type, files]) => {
  const data = new DataTransfer();
  for (const { name, content } of files) {
    data.items.add(new File([Uint8Array.from(atob(content), (char) => char.charCodeAt(0))], name));
  }
  const event = type === "drop"
    ? new DragEvent("drop", { bubbles: true, dataTransfer: data })
    : new ClipboardEvent("paste", { bubbles: true, clipboardData: data });
  target.dispatchEvent(event);
}"""


@pytest.fixture
def files(tmp_path):
    """The drawings as files, by class."""
    found = {}
    for name, images in drawings().items():
        paths = [tmp_path / f"{name}-{i}.png" for i in range(len(images))]
        for path, image in zip(paths, images, strict=True):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
        found[name] = paths
    return found


@pytest.fixture
def page(open_page, monkeypatch) -> Page:
    monkeypatch.setattr(collection, "_sets", {})
    monkeypatch.setattr(runs, "OTHERS", {})
    monkeypatch.setattr(teaching, "SECONDS", 1.0)
    page = open_page("")
    chosen = page.locator(".t-data input:checked").get_attribute("value")
    page.locator(".t-data").get_by_role("button", name="Your pictures").click()
    expect(page.locator(".o-card")).to_have_count(2)
    assert page.locator(".t-data input:checked").get_attribute("value") == chosen
    return page


def hand_over(page: Page, target: str, kind: str, paths) -> None:
    """Drops or pastes files."""
    sent = [{"name": path.name, "content": base64.b64encode(path.read_bytes()).decode()} for path in paths]
    page.locator(target).first.evaluate(HAND_OVER, [kind, sent])


def count(page: Page, card: int) -> int:
    return int(page.locator(".o-count").nth(card).inner_text().split()[0])


def test_a_visitor_collects_learns_breaks_and_deletes(page, files, tmp_path, monkeypatch):
    cards, start, standing = page.locator(".o-card"), page.locator(".o-start"), page.locator(".o-standing")
    expect(start).to_be_disabled()
    expect(page.locator(".o-kept")).to_contain_text("deleted at most 70 minutes after")

    cards.nth(0).locator(".o-name").fill("fish")
    cards.nth(0).locator(".o-name").press("Enter")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 50)
    cards.nth(0).locator(".o-file").set_input_files([*files["fish"][:6], tmp_path / "torn.png"])
    expect(cards.nth(0).locator(".o-says")).to_contain_text("6 of 7 taken. torn.png is")
    cards.nth(0).locator(".o-thumbs button").first.click()
    expect(cards.nth(0).locator(".o-count")).to_have_text("5 pictures")
    expect(standing).to_have_text("“Class 2” has no picture; add 5 more, or remove the class.")

    hand_over(page, ".o-card:nth-child(2)", "drop", files["house"][:4])
    expect(cards.nth(1).locator(".o-count")).to_have_text("4 pictures")
    expect(standing).to_have_text("“Class 2” has 4 pictures; add 1 more.")
    cards.nth(1).click(position={"x": 5, "y": 5})
    hand_over(page, ".o-card:nth-child(2)", "paste", files["house"][4:5])
    expect(standing).to_contain_text("With 5 pictures of a class the result will be rough")
    expect(start).to_be_enabled()
    cards.nth(1).locator(".o-file").set_input_files(files["fish"][3:4])
    expect(cards.nth(1).locator(".o-says")).to_contain_text("fish-3.png is in “fish” already: no picture can be of two")

    page.locator(".o-more").click()
    page.locator(".o-camera-on").click()
    expect(page.locator(".o-camera-says")).to_contain_text("Hold a class's button")
    hold = cards.nth(2).locator(".o-hold")
    hold.hover()
    page.mouse.down()
    expect(cards.nth(2).locator(".o-thumbs img").nth(4)).to_be_visible()  # equal ones are kept once
    page.mouse.up()
    page.locator("#o-collect").click()
    filmed = count(page, 2)
    page.keyboard.down("3")
    page.wait_for_function(f"parseInt(document.querySelectorAll('.o-count')[2].textContent) > {filmed}")
    page.keyboard.up("3")
    page.locator(".o-camera-on").click()

    reloaded, learn = threading.Event(), teaching._learn
    monkeypatch.setattr(teaching, "_learn", lambda *about: reloaded.wait(300) and learn(*about))
    start.click()
    expect(page.locator(".o-stop")).to_be_visible()
    page.reload()  # what is being learned goes on, and is found again
    reloaded.set()
    expect(page.locator(".o-break")).to_be_visible()
    expect(page.locator(".o-way polyline")).to_have_count(6)
    for way in range(3):
        expect(page.locator(".o-result b").nth(way)).to_contain_text("right")
    results = page.locator(".o-result b").all_inner_texts()
    assert len(results) == 3 and all(re.fullmatch(r"\d+ of \d+ right", text) for text in results)
    expect(page.locator(".o-result span").first).to_contain_text("(95% interval)")
    expect(page.locator(".o-compared")).to_contain_text("the one from scratch")
    expect(page.locator("#status")).to_contain_text("Your pictures, ")

    page.locator(".o-live").click()
    expect(page.locator(".o-rate")).to_contain_text("pictures a second")
    page.locator(".o-freeze").click()
    expect(page.locator(".o-break .v-bars li")).to_have_count(3)
    page.locator(".o-cover").click()
    expect(page.locator(".o-cover-says")).to_contain_text("Cover the fifth that it looks at most")
    page.locator(".o-one-file").set_input_files(files["tree"][0])  # the camera's may be one that was filmed before
    expect(page.locator(".o-cover-says")).to_have_text("")
    before = count(page, 0)
    page.locator(".o-truth button").first.click()
    expect(page.locator(".o-added")).to_have_text("Added to “fish”.")
    assert count(page, 0) == before + 1
    page.locator(".o-again").click()
    expect(page.locator(".o-model optgroup")).to_have_count(2)
    expect(page.locator(".o-model option")).to_have_count(4)
    key = page.locator(".o-model").input_value()
    assert key == page.locator(".o-model option").first.get_attribute("value")
    assert taught.available(key) and key not in models.shipped()
    with page.expect_download() as download:
        page.locator("#own-download").click()
    assert download.value.suggested_filename == "vit-own-pictures.zip"

    open_tab(page, "Classify")
    expect(page.locator(".c-choose").get_by_label("Model", exact=True)).to_have_value(
        re.compile("^Your pictures, head alone: ")
    )
    open_tab(page, "Your pictures")
    page.reload()
    expect(page.locator(".o-card .o-name").first).to_have_value("fish")
    expect(page.locator(".o-thumbs img").first).to_be_visible()

    expect(page.locator(".o-model option")).to_have_count(4)
    asks = re.compile("component_server")
    page.route(asks, lambda route: route.abort())
    page.locator(".o-delete").click()
    expect(page.locator(".o-error")).to_contain_text("The server can't be reached")
    page.locator(".o-card .o-thumbs button").first.click()
    expect(page.locator(".o-thumbs img").first).to_be_visible()  # what the server has still is here still
    page.unroute(asks)
    page.locator(".o-forget").click()
    expect(page.locator(".o-sure")).to_contain_text("Delete “Head alone” of")
    page.locator(".o-keep").click()
    assert taught.available(key)
    page.locator(".o-break [data-tab=Classify]").click()
    model = page.locator(".c-choose").get_by_label("Model", exact=True)
    expect(model).to_have_value(re.compile("^Your pictures, head alone: "))
    for left in (3, 2, 1, 0):
        open_tab(page, "Your pictures")
        page.locator(".o-forget").click()
        page.locator(".o-really").click()
        expect(page.locator(".o-model option")).to_have_count(left)
    expect(page.locator(".o-break")).to_be_hidden()
    expect(page.locator("#own-download")).to_be_hidden()
    await_quiet(page)  # the next one's zip is made while it is deleted, too
    assert not taught.available(key) and not list((storage.FOLDER / "taught").iterdir())
    open_tab(page, "Classify")
    expect(model).to_have_value(re.compile("^vit-live · Shapes"))
    open_tab(page, "Your pictures")
    (own,) = collection._sets.values()
    page.locator(".o-delete").click()
    expect(page.locator(".o-thumbs img")).to_have_count(0)
    assert not own.folder.exists() and not collection._sets
