"""For every hand and eye, in a real Chromium: what axe-core finds, tabs and thumbnails by keyboard, type for a room."""

import pytest
from playwright.sync_api import expect

from tests.conftest import ROOT
from tests.ui.conftest import open_tab

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
READY = {"Train": "#forming canvas.map", "Classify": ".v-gallery", "Attention": "#attention .x-layers figure"}


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("tab", READY)
@pytest.mark.parametrize("path", ["", "run"])
def test_axe_finds_nothing_of_ours_that_matters(open_page, ended, tab, theme, path):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci")
    page = open_page(f"?__theme={theme}" + (f"&run={ended.id}" if path else ""))
    open_tab(page, tab)
    expect(page.locator(f"{READY[tab]} >> visible=true").first).to_be_visible()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate(FOUND, GRADIOS) == []


def test_arrows_walk_the_tabs_and_back_walks_them_again(open_page):
    page = open_page("")
    page.get_by_role("tab", name="Train").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Classify")).to_be_focused()
    page.wait_for_url("**/?tab=classify")
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**/?tab=attention")
    page.go_back()
    expect(page.get_by_role("tab", name="Classify")).to_have_attribute("aria-selected", "true")
    page.go_back()
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    page.go_forward()
    page.reload()
    expect(page.get_by_role("tab", name="Classify")).to_have_attribute("aria-selected", "true")


def test_the_thumbnails_are_one_stop_with_arrows_inside(open_page):
    page = open_page("")
    open_tab(page, "Attention")
    thumbnails = page.locator(".x-picker .v-gallery button")
    expect(thumbnails.first).to_be_visible()
    assert page.locator(".x-picker .v-gallery button[tabindex='0']").count() == 1
    page.locator(".x-picker .v-gallery button[tabindex='0']").focus()
    page.keyboard.press("ArrowRight")
    expect(thumbnails.nth(1)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(thumbnails.nth(7)).to_be_focused()


def test_the_model_list_is_whole_in_every_width_and_closes_when_one_tabs_on(open_page, ended):
    page = open_page(f"?run={ended.id}")
    expect(page.locator("#status")).to_contain_text("Another's run: vit-live-patch · Shapes · 30.0% test")
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


@pytest.mark.parametrize("tab", READY)
def test_on_a_projector_no_text_is_small(open_page, tab):
    page = open_page("")
    page.set_viewport_size({"width": 1920, "height": 1080})
    open_tab(page, tab)
    expect(page.locator(f"{READY[tab]} >> visible=true").first).to_be_visible()
    assert page.evaluate(SMALLEST) >= 14
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_on_a_phone_the_picture_stays_in_sight_while_heads_are_tapped(open_page):
    page = open_page("")
    open_tab(page, "Attention")
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#attention .x-cell").last.scroll_into_view_if_needed()
    page.locator("#attention .x-cell").last.click()
    stage = page.locator("#attention .x-stage").bounding_box()
    assert stage["y"] >= -1 and stage["y"] + stage["height"] <= 844
