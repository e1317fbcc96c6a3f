"""For every hand and eye, in a real Chromium: what axe-core finds, tabs and thumbnails by keyboard, type for a room."""

import pytest
from playwright.sync_api import expect

from tests.conftest import ROOT
from tests.ui.conftest import await_filled, open_tab
from vit.live import runs

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
GRADIOS = ["footer", ".toast-wrap", "#picture-input button", "#many-input button"]  # not ours to mend
FOUND = """async (exclude) => (await axe.run({ exclude }, { resultTypes: ["violations"] })).violations
  .filter(({ impact }) => ["moderate", "serious", "critical"].includes(impact))
  .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.target.join(" ")).join(", ")}`)"""
SMALLEST = """() => { let least = 99; const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) { const box = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !box.checkVisibility() || box.closest("footer, svg, style, script")) continue;
    const zoom = box.currentCSSZoom ?? 1; least = Math.min(least, parseFloat(getComputedStyle(box).fontSize) * zoom); }
  return least; }"""
NEEDED = """(field, text) => { const style = getComputedStyle(field);
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = style.font; return pen.measureText(text).width + parseFloat(style.paddingRight); }"""
LABELS = ".t-row, .t-then, .t-says small, .t-who, .v-key, .v-y, .v-figures dt, .v-bars li, .v-caption, .x-grid span"
SIZES = "all => all.map((one) => parseFloat(getComputedStyle(one).fontSize) * (one.currentCSSZoom ?? 1))"
READY = {
    "Train": "#forming canvas.map",
    "Classify": "#prediction .v-bars li",
    "Attention": "#attention .x-layers figure",
}


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["", "run"])
def test_axe_finds_nothing_of_ours_that_matters(open_page, ended, theme, path):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci")
    page = open_page(f"?__theme={theme}" + (f"&run={ended.id}" if path else ""))
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for tab, ready in READY.items():
        open_tab(page, tab)
        expect(page.locator(f"{ready} >> visible=true").first).to_be_visible()
        assert page.evaluate(FOUND, GRADIOS) == [], tab


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_while_a_run_goes_on_and_where_it_is_watched(open_page, ended, theme, monkeypatch):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci")
    ended.status = "running"
    monkeypatch.setitem(runs.RUNS, ended.id, ended)
    monkeypatch.setattr(runs, "start", lambda settings, visitor: ended)
    page = open_page(f"?__theme={theme}")
    page.wait_for_selector("#forming canvas.map")
    await_filled(page)
    page.get_by_role("button", name="Start training", exact=True).click()
    expect(page.locator("#controls")).to_be_visible()
    expect(page.locator("#progress h2")).to_have_text("Training vit-live-patch on Shapes")
    page.locator("#controls .s-class summary").click()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(FOUND, GRADIOS) == []
    page.goto(page.locator("#controls .s-link").get_attribute("href") + f"&__theme={theme}")
    expect(page.locator("#forming canvas.map").first).to_be_visible()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(FOUND, GRADIOS) == []
    ended.status = "stopped"


@pytest.mark.slow
def test_text_at_twice_its_size_and_more_needs_no_scrolling_sideways(open_page, ended):
    page = open_page(f"?run={ended.id}")
    for tab, ready in READY.items():
        page.set_viewport_size({"width": 1440, "height": 900})
        open_tab(page, tab)
        expect(page.locator(f"{ready} >> visible=true").first).to_be_visible()
        for width, height in ((720, 450), (320, 256)):  # 1440 x 900 at 200%, 1280 x 1024 at 400%
            page.set_viewport_size({"width": width, "height": height})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{tab} at {width}"


def test_arrows_walk_the_tabs_which_back_walks_again_and_the_thumbnails_which_are_one_stop(open_page):
    page = open_page("")
    await_filled(page)  # what walks the tabs is there
    page.get_by_role("tab", name="Train").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Your pictures")).to_be_focused()
    page.wait_for_url("**/?tab=own")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Classify")).to_be_focused()
    page.wait_for_url("**/?tab=classify")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/?tab=attention")
    page.go_back()
    expect(page.get_by_role("tab", name="Classify")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(page.get_by_role("tab", name="Your pictures")).to_have_attribute("aria-selected", "true")
    page.go_forward()
    page.reload()
    expect(page.get_by_role("tab", name="Classify")).to_have_attribute("aria-selected", "true")

    open_tab(page, "Attention")
    thumbnails = page.locator(".x-picker .v-gallery button")
    expect(thumbnails.first).to_be_visible()
    assert page.locator(".x-picker .v-gallery button[tabindex='0']").count() == 1
    page.locator(".x-picker .v-gallery button[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    expect(thumbnails.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(thumbnails.nth(7)).to_be_focused()


@pytest.mark.slow
def test_the_model_list_is_whole_in_every_width_and_closes_when_one_tabs_on(adopted, open_page, ended):
    page = open_page(f"?run={ended.id}")
    expect(page.locator("#status")).to_contain_text("Another's run: vit-live-patch · Shapes · 30.0% test")
    assert adopted.wait(60)
    await_filled(page)
    field, items = page.locator(".v-model:visible input"), page.get_by_role("listbox").locator("li")
    for tab in ("Classify", "Attention"):
        open_tab(page, tab)
        expect(field).to_have_value("Another's run: vit-live-patch · Shapes · 30.0% test · 3 × 3 heads")
        for width in (320, 390, 700, 900, 1050, 1920, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            needed = field.evaluate(NEEDED, "vit-live-patch · CIFAR-10 · 93.2% test")
            assert needed <= field.evaluate("field => field.clientWidth"), f"{tab} at {width}"
        field.click()
        expect(items).to_have_count(3)
        assert items.evaluate_all("items => items.every((item) => item.scrollWidth <= item.clientWidth)")
        page.keyboard.press("Tab")
        expect(field).not_to_be_focused()
        expect(items).to_have_count(0)


def test_on_a_projector_no_text_is_small(open_page):
    page = open_page("")
    page.set_viewport_size({"width": 1920, "height": 1080})
    for tab, ready in READY.items():
        open_tab(page, tab)
        expect(page.locator(f"{ready} >> visible=true").first).to_be_visible()
        assert page.evaluate(SMALLEST) >= 14, tab
        sizes = page.locator(f":is({LABELS}) >> visible=true").evaluate_all(SIZES)
        assert len(sizes) > 5 and min(sizes) >= 18, tab
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab


def test_on_a_phone_the_picture_stays_in_sight_while_heads_are_tapped(open_page):
    page = open_page("")
    open_tab(page, "Attention")
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#attention .x-cell").last.scroll_into_view_if_needed()
    page.locator("#attention .x-cell").last.click()
    stage = page.locator("#attention .x-stage").bounding_box()
    assert stage["y"] >= -1 and stage["y"] + stage["height"] <= 844
