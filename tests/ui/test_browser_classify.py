"""The Classify tab in a real Chromium: pictures of one's own, the frame on them, and the answer."""

import base64
import io
import re
import threading
from collections import OrderedDict

import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, expect

from tests.ui.conftest import await_filled, await_quiet, open_tab
from vit.evaluation import predict
from vit.live import answers, models
from vit.live.answers import Answers
from vit.live.datasets import SOURCES
from vit.model import Doubt
from vit.ui import analysis
from vit.ui.asking import BUSY
from vit.ui.classify import gallery
from vit.ui.errors import BadInput

SEEN = "#prediction .v-seen img"
BLUE = """(seen) => {
  const picture = document.querySelector(seen), context = new OffscreenCanvas(32, 32).getContext("2d");
  if (!picture.complete) return false;
  context.drawImage(picture, 0, 0, 32, 32);
  return [4, 27].every((x) => [...context.getImageData(x, 16, 1, 1).data].join() === "0,0,255,255");
}"""


@pytest.fixture
def page(open_page) -> Page:
    page = open_page("")
    open_tab(page, "Classify")
    expect(page.locator("#prediction .v-bars li")).to_have_count(10)
    return page


@pytest.fixture
def mine(tmp_path):
    """Red on the left, blue on the right, twice as wide as high."""
    picture = Image.new("RGB", (400, 200), "red")
    picture.paste("blue", (200, 0, 400, 200))
    picture.save(tmp_path / "mine.png")
    return tmp_path / "mine.png"


def send(page: Page, file) -> None:
    page.locator("#picture-input input[type=file]").set_input_files(file)
    expect(page.locator(".c-original")).to_be_visible()


def seen(page: Page) -> Image.Image:
    return pixels(page.locator(SEEN).get_attribute("src"))


def pixels(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")


def await_another(page: Page, before: str) -> None:
    expect(page.locator(SEEN)).not_to_have_attribute("src", before)


def test_an_upload_is_shown_whole_with_its_frame_which_is_moved_and_resized_by_mouse_and_by_keys(page, mine):
    send(page, mine)
    expect(page.locator(".c-original figcaption")).to_contain_text("Yours: 400 × 200 pixels")
    assert pixels(page.locator(".c-original img").get_attribute("src")).size == (400, 200)
    left, right = seen(page).getpixel((4, 16)), seen(page).getpixel((27, 16))
    assert left == (255, 0, 0) and right == (0, 0, 255)
    page.wait_for_function("document.querySelector('.c-original img').naturalWidth > 0")
    box, frame = page.locator(".c-original img").bounding_box(), page.locator(".c-frame").bounding_box()
    assert frame["x"] - box["x"] == pytest.approx(box["width"] / 4, abs=1)
    assert frame["width"] == pytest.approx(frame["height"], abs=1) == pytest.approx(box["height"], abs=1)
    expect(page.locator(".v-says > .v-verdict")).to_contain_text("True class not known")
    expect(page.locator(".c-choose .v-gallery [aria-pressed=true]")).to_have_count(0)

    before, frame = page.locator(SEEN).get_attribute("src"), page.locator(".c-frame")
    box = frame.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] - 200, box["y"] + 20)
    page.mouse.up()
    await_another(page, before)
    assert seen(page).getpixel((4, 16)) == seen(page).getpixel((27, 16)) == (255, 0, 0)
    before = page.locator(SEEN).get_attribute("src")
    for _ in range(60):
        frame.press("ArrowRight")
    page.wait_for_function(BLUE, arg=SEEN)  # the frame that came last is answered
    height, before = frame.bounding_box()["height"], page.locator(SEEN).get_attribute("src")
    frame.press("-")
    assert frame.bounding_box()["height"] < height
    await_another(page, before)
    box = frame.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 4, box["y"] + box["height"] - 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 40, box["y"] + box["height"] - 40)
    page.mouse.up()
    page.wait_for_function(
        "height => Math.abs(document.querySelector('.c-frame').offsetHeight - height) <= 2", arg=box["height"] - 36
    )


def test_what_was_sent_stays_as_a_thumbnail_until_it_is_removed(page, mine, tmp_path, monkeypatch):
    marked = page.locator(".c-choose .v-gallery [aria-pressed=true]")
    Image.new("RGB", (50, 50), "lime").save(tmp_path / "another.png")
    send(page, mine)
    first = page.locator(SEEN).get_attribute("src")
    send(page, tmp_path / "another.png")
    await_another(page, first)
    thumbs = page.locator(".c-thumb")
    expect(thumbs).to_have_count(2)
    page.locator(".c-choose .v-gallery button").nth(3).click()
    expect(page.locator(".c-original")).to_be_hidden()
    expect(page.locator(".c-thumb[aria-pressed=true]")).to_have_count(0)
    thumbs.nth(1).click()
    expect(page.locator(SEEN)).to_have_attribute("src", first)
    expect(marked).to_have_count(0)
    page.get_by_label("Remove this picture").nth(1).click()
    expect(thumbs).to_have_count(1)
    expect(page.locator(".c-original")).to_be_hidden()  # a test picture in its place
    expect(marked).to_have_count(1)
    (tmp_path / "broken.png").write_text("no picture")
    page.locator("#picture-input input[type=file]").set_input_files(tmp_path / "broken.png")
    expect(page.get_by_test_id("toast-body")).to_contain_text("broken.png is a text: expected a picture")
    expect(page.locator("#picture-input img")).to_have_count(0)
    expect(thumbs).to_have_count(1)
    expect(marked).to_have_count(1)  # the test picture, as it is still the one that is answered
    monkeypatch.setattr(analysis, "_tokens", {})
    thumbs.click()
    expect(page.get_by_test_id("toast-body").last).to_contain_text("The server has forgotten this picture")
    expect(marked).to_have_count(1)
    expect(page.locator(".c-thumb[aria-pressed=true]")).to_have_count(0)


def test_a_dropped_a_pasted_and_a_photographed_picture_are_answered(page, mine):
    await_quiet(page)
    content = base64.b64encode(mine.read_bytes()).decode()
    file = (
        f"new File([Uint8Array.from(atob('{content}'), (c) => c.charCodeAt(0))], 'mine.png', {{ type: 'image/png' }})"
    )
    page.evaluate(f"""() => {{
        const data = new DataTransfer(), target = document.querySelector("#picture-input button");
        data.items.add({file});
        target.dispatchEvent(new DragEvent("drop", {{ dataTransfer: data, bubbles: true, cancelable: true }}));
    }}""")
    expect(page.locator(".c-thumb")).to_have_count(1)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("""async () => {
        const canvas = Object.assign(document.createElement("canvas"), { width: 60, height: 40 });
        const blob = await new Promise((done) => canvas.toBlob(done));
        await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
    }""")
    page.get_by_label("Paste from clipboard").click()
    expect(page.locator(".c-thumb")).to_have_count(2)
    page.get_by_label("Capture from camera").click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#picture-input video')?.videoWidth > 0")  # no picture comes sooner
    page.get_by_label("capture photo").click()
    expect(page.locator(".c-thumb")).to_have_count(3)


def test_all_classes_have_bars_the_right_answer_is_named_and_look_inside_opens_its_attention(page):
    page.locator(".c-choose .v-gallery button").nth(12).click()
    expect(page.locator(".c-choose .v-gallery [aria-pressed=true]")).to_have_count(1)
    shares = [float(text[:-1]) for text in page.locator(".v-bars .v-percent").all_inner_texts()]
    assert shares == sorted(shares, reverse=True) and sum(shares) == pytest.approx(100, abs=0.6)
    expect(page.locator(".v-verdict span")).to_have_text(re.compile("✓ Right|✗ Wrong: it is an? "))
    expect(page.locator(".c-took")).to_have_text(re.compile(r"Test picture \d+ of Shapes · vit-live · \d+ ms"))
    expect(page.locator(".c-looks figcaption")).to_have_text("Where the class token looks, mean of the heads")
    page.locator(".c-choose .v-gallery button").nth(5).click()
    expect(page.locator(".c-choose .v-gallery button").nth(5)).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Look inside").click()
    expect(page.locator("#attention canvas.overlay")).to_be_visible()
    expect(page.locator(".v-gallery:visible button").nth(5)).to_have_attribute("aria-pressed", "true")


def test_on_a_phone_the_answer_is_on_screen_once_a_picture_is_tapped(page):
    for height, place in ((844, 25), (844, 3), (667, 25), (667, 3)):
        page.set_viewport_size({"width": 390, "height": height})
        before = page.locator(SEEN).get_attribute("src")
        page.locator(".c-choose .v-gallery button").nth(place).click()
        await_another(page, before)
        expect(page.locator(".v-says > .v-verdict")).to_be_in_viewport(ratio=1)
        expect(page.locator(".v-bars li").nth(4)).to_be_in_viewport(ratio=1)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_looks_like_nothing_learned_gets_a_hint_with_its_false_alarm_rate(page, mine):
    expect(page.locator(".c-doubt")).to_be_hidden()  # nobody has fitted a threshold
    model = models.find(models.default())
    model.doubt = Doubt("confidence", 1.1, 0.05)
    send(page, mine)
    expect(page.locator(".c-doubt")).to_contain_text("Perhaps none of these")
    expect(page.locator(".c-doubt")).to_contain_text("Of pictures that do show one of its 10 classes, 5% get this hint")


# --- the gallery ------------------------------------------------------------------------------------------------------


GALLERY = ".c-choose .v-gallery button"
FIRST = "([first, name]) => document.querySelector(first).dataset.name === name"


@pytest.fixture
def said():
    """Answers of the page's model to its 200 test pictures, computed here."""
    model, test = models.find("cifar10"), SOURCES["shapes"].splits.test
    probabilities = torch.cat([model.probabilities(logits) for logits, _ in predict(model, test, precision="fp32")])
    return probabilities.max(1), test


def names(page: Page) -> list[int]:
    return page.locator(GALLERY).evaluate_all("all => all.map((b) => Number(b.dataset.name.split('-')[1]))")


def await_page(page: Page, says: str) -> None:
    expect(page.locator(".c-where")).to_have_text(says)


def test_the_gallery_takes_no_question_before_it_is_filled_so_that_none_is_lost(open_page, monkeypatch):
    drawn, opening = threading.Event(), gallery.opening
    monkeypatch.setattr(gallery, "opening", lambda *args: drawn.wait(300) and opening(*args))
    page = open_page("")
    open_tab(page, "Classify")
    asking = [page.get_by_label(name, exact=True) for name in ("Which pictures", "Of which class", "Next page")]
    asking.append(page.get_by_label("Number of a test picture"))
    for control in asking:
        expect(control).to_be_disabled()
    drawn.set()
    for control in asking:
        expect(control).to_be_enabled()
    page.get_by_label("Next page").click()
    await_page(page, "Page 2 of 7 · 200 pictures")


def test_pages_of_the_gallery_are_all_of_the_test_set_and_one_seen_before_asks_the_server_nothing(page):
    page.get_by_label("Next page").click()
    await_page(page, "Page 2 of 7 · 200 pictures")
    await_filled(page)  # other tabs ask, too, while they are filled
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    at_once = page.evaluate("""() => {
        document.querySelector(".c-back").click();
        return document.querySelector(".c-where").textContent;
    }""")
    assert at_once == "Page 1 of 7 · 200 pictures"
    await_page(page, at_once)
    assert not [url for url in asked if "component_server" in url]  # by which a gallery asks

    there = []
    for number in range(1, 8):
        await_page(page, f"Page {number} of 7 · 200 pictures")
        there += names(page)
        if number < 7:
            page.get_by_label("Next page").click()
    assert sorted(there) == list(range(200))
    expect(page.get_by_label("Next page")).to_be_disabled()
    page.get_by_role("button", name="Shuffle").click()
    await_page(page, "Page 1 of 7 · 200 pictures")
    page.wait_for_function(
        "([first, before]) => document.querySelector(first).dataset.name !== before",
        arg=[GALLERY, f"shapes-{there[0]}"],
    )


def test_a_page_that_does_not_come_is_asked_for_again_and_none_before_the_first(page, monkeypatch):
    drawn = gallery._page

    def refuse(*about):
        raise BadInput(BUSY)

    monkeypatch.setattr(gallery, "_page", refuse)
    page.get_by_label("Next page").click()
    expect(page.locator(".c-choose .c-error")).to_have_text(BUSY)
    page.get_by_label("Which pictures").select_option("number")
    expect(page.get_by_label("Which pictures")).to_have_value("mixed")  # which is on show
    monkeypatch.setattr(gallery, "_page", drawn)
    page.get_by_label("Next page").click()
    await_page(page, "Page 2 of 7 · 200 pictures")
    page.evaluate("""() => {
        const order = document.querySelector(".c-order");
        order.value = "number";
        order.dispatchEvent(new Event("change"));
        document.querySelector(".c-next").click(); // the first page is not waited for, and so not here
    }""")
    page.wait_for_function(FIRST, arg=[GALLERY, "shapes-30"])
    page.evaluate("() => { for (let i = 0; i < 2; i++) document.querySelector('.c-back').click(); }")
    page.wait_for_function(FIRST, arg=[GALLERY, "shapes-0"])
    await_page(page, "Page 1 of 7 · 200 pictures")


def test_mistakes_and_sureness_are_the_models_own_and_a_class_and_a_number_are_found(page, said):
    (sure, classes), test = said
    wrong = (classes != test.labels).nonzero()[:, 0]
    expected = {
        "mistakes": wrong,
        "wrong": wrong[sure[wrong].argsort(descending=True, stable=True)],
        "unsure": sure.argsort(stable=True),
    }
    for order, indices in expected.items():
        page.get_by_label("Which pictures").select_option(order)
        await_page(page, f"Page 1 of {-(-len(indices) // 30)} · {len(indices)} pictures")
        page.wait_for_function(FIRST, arg=[GALLERY, f"shapes-{indices[0]}"])
        assert names(page) == indices[:30].tolist()
    assert page.locator(GALLERY).first.get_attribute("title").endswith(f"{sure.min():.1%}")

    page.get_by_label("Of which class").select_option("heart")
    expect(page.locator(f"{GALLERY}:not([title^=heart])")).to_have_count(0)
    page.get_by_label("Number of a test picture").fill("42")
    page.get_by_label("Number of a test picture").press("Enter")
    expect(page.locator(".c-took")).to_contain_text("Test picture 42 of Shapes")
    page.get_by_label("Number of a test picture").fill("200")
    page.get_by_label("Number of a test picture").press("Enter")
    expect(page.locator(".c-error")).to_have_text("There are pictures 0 to 199; type one of these numbers.")


def test_the_answers_show_progress_and_can_be_cancelled_and_what_was_on_show_stays(page, monkeypatch):
    monkeypatch.setattr(answers, "_kept", OrderedDict())
    step, go = Answers._answer_next, threading.Event()
    monkeypatch.setattr(Answers, "_answer_next", lambda self: go.wait(300) and step(self))
    page.get_by_label("Which pictures").select_option("number")
    page.wait_for_function(FIRST, arg=[GALLERY, "shapes-0"])
    page.get_by_label("Next page").click()
    page.wait_for_function(FIRST, arg=[GALLERY, "shapes-30"])
    page.get_by_label("Which pictures").select_option("mistakes")
    expect(page.locator(".c-choose .c-wait-says")).to_have_text("The model looks at its test pictures: 0 of 200")
    page.locator(".c-choose .c-cancel").click()
    expect(page.locator(".c-choose .c-wait")).to_be_hidden()
    expect(page.get_by_label("Which pictures")).to_have_value("number")
    await_page(page, "Page 2 of 7 · 200 pictures")
    page.get_by_label("Next page").click()
    page.wait_for_function(FIRST, arg=[GALLERY, "shapes-60"])
    go.set()
