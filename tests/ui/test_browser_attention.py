"""The Attention tab in a real Chromium: what is drawn, what it costs, and what keyboard, link and phone give."""

import json
import re
import statistics

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image
from playwright.sync_api import expect

from tests.ui.conftest import await_filled, unfold
from vit.data import normalize
from vit.interpret.attention import attention_maps
from vit.live import models
from vit.ui import analysis
from vit.weights.checkpoint import from_pretrained

FIRST_VIEW = "document.querySelector('#attention .x-sentence')?.textContent.includes('nats')"


@pytest.fixture
def open_view(context, app_url):
    """Opens an address's Attention tab, drawn, with a list of what is requested after that."""
    pages, errors = [], []

    def open_view(query: str = "tab=attention", width: int = 1440, height: int = 900, quiet: int = 500):
        page = context.new_page()
        page.set_viewport_size({"width": width, "height": height})
        page.set_default_timeout(60_000)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{app_url}?{query}")
        page.wait_for_function(FIRST_VIEW)
        await_filled(page, quiet)
        page.requests, page.errors = [], errors
        page.on("request", lambda request: page.requests.append(f"{request.url} {request.post_data}"))
        pages.append(page)
        return page

    yield open_view
    for page in pages:
        page.close()
    assert not errors


def canvas(page, name: str) -> np.ndarray:
    """RGB of one of the canvases: (height, width, 3)."""
    width, height, data = page.evaluate(
        """name => { const canvas = document.querySelector(`#attention ${name}`), { width, height } = canvas;
        return [width, height, [...canvas.getContext("2d").getImageData(0, 0, width, height).data]]; }""",
        name,
    )
    return np.array(data, np.uint8).reshape(height, width, 4)[..., :3]


def view(page) -> dict:
    """What the view says of itself."""
    return page.evaluate(
        """() => { const text = (name) => document.querySelector(`#attention ${name}`).textContent;
        return { layer: text(".layer-out"), head: text(".head-out"), query: text(".x-query-name"),
        sentence: text(".x-sentence"), title: text(".x-says-title"),
        direction: document.querySelector("#attention [data-direction][aria-checked=true]").textContent }; }"""
    )


def redraws(page) -> list[float]:
    """Milliseconds that each position of both sliders takes to be drawn."""
    return page.evaluate(
        """() => { const slider = (name) => document.querySelector(`#attention input.${name}`), times = [];
        const [L, heads] = [+slider("layer").max, +slider("head").max];
        for (let layer = 1; layer <= L; layer++) for (let head = 1; head <= heads; head++)
          for (const [name, value] of [["layer", layer], ["head", head]]) {
            const start = performance.now();
            slider(name).value = value;
            slider(name).dispatchEvent(new Event("input"));
            document.querySelector("#attention canvas.overlay").getContext("2d").getImageData(0, 0, 1, 1);
            document.body.getBoundingClientRect();
            times.push(performance.now() - start);
          }
        return times; }"""
    )


def test_all_positions_of_both_sliders_are_drawn_without_a_request(open_view):
    page = open_view(quiet=1500)
    layers, heads = (int(page.locator(f"#attention input.{name}").get_attribute("max")) for name in ("layer", "head"))
    assert len(redraws(page)) == 2 * layers * heads
    assert not [url for url in page.requests if not url.startswith(("data:", "blob:"))]


@pytest.mark.benchmark
def test_a_redraw_takes_less_than_a_frame(open_view, judge):
    median = statistics.median(redraws(open_view()))
    judge(median < 16, f"the median redraw took {median:.1f} ms")


def test_the_pixels_drawn_are_the_models_own_weights(open_view, shapes):
    page = open_view("tab=attention&model=shapes&picture=shapes-17&layer=2&head=3&mode=head")
    model = from_pretrained(models.CHECKPOINTS / "shapes")
    _, maps = attention_maps(model, normalize(shapes.test.images[17], model.mean, model.std)[None])
    table = np.round(colormaps["inferno"](np.arange(256))[:, :3] * 255)
    patches = maps[0, 1, 2, :, 1:]
    top = max(maps[0, :, :, 0, 1:].quantile(0.99).item(), 2 / 64)

    def matches(weights: torch.Tensor, top: float) -> None:
        drawn = canvas(page, "canvas.map").reshape(-1, 3).astype(float)
        step = np.clip(np.round(255 * weights.numpy() / top), 0, 255)
        room = np.ceil(weights.max().item() / 2 / top) + 1  # half a 255th of the row's peak, and a rounding
        found = np.abs(table[None] - drawn[:, None]).sum(-1).argmin(-1)
        assert (np.abs(table[found] - drawn) == 0).all() and (np.abs(found - step) <= room).all()

    matches(patches[0], top)
    box = page.locator("#attention .x-stage").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 2.5 / 8, box["y"] + box["height"] * 4.5 / 8)  # row 5, column 3
    expect(page.locator("#attention .x-query-name")).to_have_text("row 5, column 3")
    matches(patches[1 + 4 * 8 + 2], top)
    page.get_by_role("radio", name="Attended by").click()
    matches(patches[1:, 4 * 8 + 2], top)
    page.locator("#attention .x-reset").click()
    matches(maps[0, 1, 2, 1:, 0], top)
    page.mouse.move(box["x"] + box["width"] / 16, box["y"] + box["height"] / 16)
    expect(page.locator("#attention .x-hover")).to_have_text(re.compile(r"^[\d.]+% · row 1, column 1$"))
    share = float(page.locator("#attention .x-hover").text_content().split("%")[0]) / 100
    assert share == pytest.approx(maps[0, 1, 2, 1, 0].item(), abs=6e-4)


def test_a_head_switched_off_changes_the_prediction(open_view):
    page = open_view()
    percents = page.locator("#attention .x-bars .v-percent")
    before = percents.all_text_contents()
    page.get_by_role("button", name="Switch heads off").click()
    cells = page.locator("#attention .x-cell")
    for i in range(cells.count()):
        cells.nth(i).click()
    expect(page.locator("#attention .x-says-title")).to_contain_text(f"With {cells.count()} heads off it says")
    expect(percents).not_to_have_text(before)
    page.get_by_role("button", name="All on").click()
    expect(page.locator("#attention .x-says-title")).to_have_text(re.compile("^It says"))
    assert percents.all_text_contents() == before


@pytest.mark.slow
def test_a_drag_moves_the_query_and_the_sentence_follows_it(open_view):
    page = open_view()
    of_class_token = view(page)["sentence"]
    box = page.locator("#attention .x-stage").bounding_box()

    def at(column, row):
        return box["x"] + box["width"] * (column - 0.5) / 8, box["y"] + box["height"] * (row - 0.5) / 8

    page.mouse.move(*at(2, 2))
    page.mouse.down()
    first = view(page)
    assert first["query"] == "row 2, column 2" and "The patch in row 2, column 2 looks" in first["sentence"]
    page.mouse.move(*at(6, 7), steps=8)
    page.mouse.up()
    assert view(page)["query"] == "row 7, column 6"
    page.mouse.move(*at(1, 1))  # the button is up: this is no drag
    assert view(page)["query"] == "row 7, column 6"
    page.get_by_role("radio", name="Attended by").click()
    assert "What attends to the patch in row 7, column 6 lies" in view(page)["sentence"]
    page.locator("#attention .x-reset").click()
    page.get_by_role("radio", name="Attends to").click()
    assert view(page)["sentence"] == of_class_token


@pytest.mark.slow
def test_the_sentence_speaks_of_what_is_drawn(open_view, tmp_path, shapes):
    page = open_view("tab=attention&model=shapes&picture=shapes-17&layer=2&head=3&mode=head")
    seen = analysis.analyze("shapes", ("shapes", 17))
    to, by = (seen.sentences[direction] for direction in ("to", "by"))
    assert view(page)["sentence"] == f"Layer 2, head 3. {to[1][2]}"
    page.get_by_role("radio", name="Attended by").click()
    assert view(page)["sentence"] == f"Layer 2, head 3. {by[1][2]}"
    page.locator('#attention .x-cell[data-layer="2"][data-head="2"]').click()
    assert view(page)["sentence"].startswith("Layer 3, head 3. Nothing reads this")
    distance = page.locator('#attention .x-chart[data-name="distance"]')
    expect(distance.locator("b")).to_have_text("–")
    page.locator('#attention .x-cell[data-layer="0"][data-head="2"]').click()
    expect(distance.locator("b")).to_have_text(f"{seen.statistics.get('distance', 0, 2):.1f} px")
    page.get_by_role("radio", name="Attends to").click()
    page.locator("#attention .x-stage").press("ArrowDown")  # to the patch in row 5, column 5
    numbers, at = seen.patches, (0, 0, 2, 4 * 8 + 4)
    assert f"looks {numbers.distance[at]:.1f} px away" in view(page)["sentence"]
    assert f"Entropy {numbers.entropy[at]:.2f} nats" in view(page)["sentence"]
    assert page.locator("#attention .x-middle").is_hidden()  # the object is known
    Image.fromarray(shapes.test.images[3].permute(1, 2, 0).numpy()).save(tmp_path / "mine.png")
    page.locator(".x-picker input[type=file]").set_input_files(tmp_path / "mine.png")
    expect(page.locator("#attention .x-middle")).to_be_visible()
    stage, middle = (page.locator(f"#attention {name}").bounding_box() for name in (".x-stage", ".x-middle"))
    assert middle["width"] == pytest.approx(stage["width"] / 2, abs=2)
    assert middle["x"] - stage["x"] == pytest.approx(stage["width"] / 4, abs=2)


@pytest.mark.slow
def test_both_studies_end_with_what_they_found(open_view):
    page = open_view()
    unfold(page, "All heads over many test pictures")
    study = page.locator("#study")
    for name, found in (("What each head is worth", "judged at once"), ("Where each head looks", "favors the")):
        page.get_by_role("button", name=name).click()
        expect(study).to_contain_text("200 of 200 pictures")
        expect(study).to_contain_text(found)


@pytest.mark.slow
def test_the_link_opens_the_same_view_elsewhere(open_view):
    page = open_view("tab=attention&model=shapes&picture=shapes-42")
    page.locator('#attention .x-cell[data-layer="1"][data-head="2"]').click()
    page.locator("#attention .x-stage").press("ArrowDown")
    page.get_by_role("radio", name="Attended by").click()
    page.locator('#attention .x-cell[data-layer="1"][data-head="2"]').press("o")
    expect(page.locator("#attention .x-says-title")).to_contain_text("With 1 head off")
    page.evaluate("navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }")
    page.get_by_role("button", name="Copy link to this view").click()
    expect(page.locator("#attention .x-file-note")).to_contain_text("Copied")
    other = open_view(page.evaluate("window.copied").split("?")[1])
    expect(other.locator("#attention .x-says-title")).to_contain_text("With 1 head off")
    assert view(other) == view(page)
    assert (canvas(other, "canvas.overlay") == canvas(page, "canvas.overlay")).all()


@pytest.mark.slow
def test_a_link_to_another_model_than_the_default_keeps_it(open_view):
    page = open_view("tab=attention&model=cifar10&picture=shapes-17")  # without CIFAR-10 the default knows Shapes
    expect(page.locator("#status")).to_contain_text("vit-live-patch · CIFAR-10")
    assert view(page)["layer"].endswith("of 8")


def test_the_keyboard_alone_is_enough(open_view):
    page = open_view("tab=attention&model=shapes&picture=shapes-17&layer=3&head=1&mode=mean")
    grid = page.locator("#attention .x-cell[tabindex='0']")
    grid.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert view(page)["layer"].startswith("2 of") and view(page)["head"].startswith("2 of")
    page.keyboard.press("o")
    expect(page.locator("#attention .x-says-title")).to_contain_text("With 1 head off")
    page.locator("#attention .x-stage").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert view(page)["query"] == "row 5, column 6"
    page.keyboard.press("Escape")
    assert view(page)["query"] == "the class token"
    page.locator("#attention [data-source][aria-checked=true]").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Mean of heads")).to_be_focused()
    assert view(page)["head"] == "mean of heads"


@pytest.mark.slow
def test_sections_are_filled_when_they_are_opened(open_view):
    page = open_view()
    page.get_by_text("Why this class, and why not that one").click()
    expect(page.locator("#attention .x-why canvas")).to_have_count(2)
    for caption in page.locator("#attention .x-why figcaption p").all():  # colors have a scale of their own each
        expect(caption).to_contain_text(re.compile(r"^Total \d"))
    for figure in (1, 2):  # each has its brightest patch at the top of the scale, whose green is 255, at 60%
        assert canvas(page, f".x-why figure:nth-child({figure}) canvas")[..., 1].max() >= 0.6 * 255 - 1
    before = canvas(page, ".x-why canvas")
    page.locator("#attention .x-why select").first.select_option("ring")
    page.wait_for_function(
        "before => JSON.stringify([...document.querySelector('#attention .x-why canvas').getContext('2d')"
        ".getImageData(0, 0, 32, 32).data].filter((_, i) => i % 4 < 3)) !== before",
        arg=json.dumps(before.flatten().tolist(), separators=(",", ":")),
    )
    expect(page.locator("#attention .x-layers figure")).to_have_count(3)  # open from the start
    page.get_by_text("Position embedding and first filters").click()
    expect(page.locator("#attention .x-filters img")).not_to_have_count(0)
    page.get_by_text("What patches have in common").click()
    page.mouse.move(0, 0)
    alike, similar = (page.locator(f"#attention .x-alike {name}").first for name in ("figcaption", "canvas"))
    expect(alike).to_contain_text("those of row 5, column 5,")
    box = similar.bounding_box()
    similar.dispatch_event("pointerdown", {"clientX": box["x"] + 2, "clientY": box["y"] + 2})  # as a tap has it
    expect(alike).to_contain_text("those of row 1, column 1,")
    page.locator("#attention .x-stage").press("ArrowUp")
    expect(alike).to_contain_text("those of row 5, column 5,")  # the query's
    with page.expect_download() as download:
        page.get_by_role("button", name=".npz").click()
    assert re.fullmatch(r"attention-vit-live-patch-shapes-\d+\.npz", download.value.suggested_filename)


@pytest.mark.benchmark
def test_a_picture_is_drawn_soon_after_it_is_chosen(open_view, judge):
    page = open_view(quiet=1500)
    seconds = (
        page.evaluate(
            """() => new Promise((resolve) => { const start = performance.now();
        document.querySelector("#attention").addEventListener("drawn", () => resolve(performance.now() - start));
        [...document.querySelectorAll(".v-gallery button")].filter((button) => button.offsetParent)[7].click();
        })"""
        )
        / 1000
    )
    judge(seconds < 1.5, f"from choosing a picture to the whole view {seconds:.2f} s")


@pytest.mark.slow
def test_an_upload_has_no_link(open_view, tmp_path, shapes):
    Image.fromarray(shapes.test.images[3].permute(1, 2, 0).numpy()).save(tmp_path / "mine.png")
    page = open_view()
    before = page.locator("#attention .x-sentence").text_content()
    page.locator(".x-picker input[type=file]").set_input_files(tmp_path / "mine.png")
    expect(page.locator("#attention .x-sentence")).not_to_have_text(before)
    expect(page.locator(".v-gallery [aria-pressed=true]")).to_have_count(0)  # it is none of the gallery's
    page.get_by_role("button", name="Copy link to this view").click()
    expect(page.locator("#attention .x-file-note")).to_contain_text("stays with you")


@pytest.mark.slow
def test_a_server_that_cannot_be_reached_is_named_and_the_view_stays(open_view):
    page = open_view()
    page.route("**/component_server/**", lambda route: route.fulfill(status=500))
    page.get_by_text("Position embedding and first filters").click()
    expect(page.get_by_role("alert").get_by_text("can't be reached")).to_be_visible()
    page.locator("#attention input.layer").fill("1")
    assert view(page)["layer"] == "1 of 3"
    assert all("500" in error for error in page.errors)
    page.errors.clear()


@pytest.mark.slow
def test_a_phone_shows_it_without_scrolling_sideways(open_view):
    page = open_view(width=390, height=844)
    page.evaluate("document.querySelectorAll('#attention details').forEach((details) => { details.open = true; })")
    expect(page.locator("#attention .x-layers figure")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
