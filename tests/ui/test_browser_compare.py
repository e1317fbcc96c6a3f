"""In a real Chromium: a run beside what it was at an earlier moment, and a model from a small Hub beside ours."""

import re

import pytest
import torch
from playwright.sync_api import expect

from tests.ui.conftest import await_quiet, open_tab, unfold
from tests.weights.small_hub import hub_in_this_process
from vit.live import storage
from vit.training import earlier
from vit.ui.classify import testset

pytestmark = pytest.mark.slow  # opens a page for each test


def redraw(model, seed):
    """Other weights, so that it answers otherwise than the model that is on the page."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)


def expect_compared_on_the_test_set(page, one, other):
    page.get_by_role("button", name="Compare on the whole test set").click()
    pair = testset.pair(one, other)
    for said in pair:
        said.wait()
    first, second = map(testset.right, pair)
    expect(page.locator(".c-against")).to_contain_text(
        f"On {int((first != second).sum())} of 200 pictures exactly one of them is right"
    )


def test_a_run_is_compared_with_what_it_was_after_an_epoch_and_a_link_holds_it(here, ended, open_page, small_vit):
    redraw(small_vit, seed=1)
    small_vit.trained = {"dataset": "shapes", "model": "vit_live_patch", "steps": 2, "epochs": 1.0}
    earlier.keep(small_vit, storage.FOLDER / ended.id, 2)
    page = open_page("")
    page.goto(f"{page.url}?tab=classify&model={ended.id}&picture=shapes-5")
    page.get_by_text("Compare with another model", exact=True).click()
    moments = page.locator(".c-other optgroup option")
    expect(moments).to_have_text(["at step 2, epoch 1"])
    page.get_by_label("The other model").select_option(f"{ended.id}@2")
    titles = page.locator(".c-one h4")
    expect(titles.nth(1)).to_have_text(re.compile("^Another's run: .* at step 2, epoch 1$"))
    bars = [side.locator(".v-bars").inner_text() for side in page.locator(".c-one").all()]
    assert bars[0] != bars[1]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy a link to this comparison").click()
    expect(page.locator(".c-copied")).to_have_text("Copied.")
    page.goto(page.evaluate("navigator.clipboard.readText()"))
    expect(titles.nth(1)).to_contain_text("at step 2, epoch 1")
    assert [side.locator(".v-bars").inner_text() for side in page.locator(".c-one").all()] == bars
    expect_compared_on_the_test_set(page, ended.id, f"{ended.id}@2")
    page.goto(page.url.replace("%402", "%407").replace("@2", "@7"))
    expect(page.locator(".c-compare-error")).to_contain_text("at step '7': kept are 2; choose another model")


def test_a_model_from_the_hub_is_compared_once_it_is_fetched(here, open_page, small_vit, tmp_path):
    redraw(small_vit, seed=2)
    small_vit.save_pretrained(tmp_path / "theirs")
    with hub_in_this_process(tmp_path) as hub:
        hub.folders["somebody/shapes-vit"] = tmp_path / "theirs"
        page = open_page("")
        link = f"{page.url}?tab=classify&model=shapes&against=somebody/shapes-vit&picture=shapes-5"
        page.goto(link)
        expect(page.locator(".c-compare-error")).to_contain_text("is not on this server yet; fetch it")
        open_tab(page, "Attention")
        await_quiet(page)
        tab = page.get_by_role("tabpanel").filter(has=page.locator("#attention"))
        unfold(tab, "Other models")
        tab.get_by_label("From the Hub").fill("somebody/shapes-vit")
        tab.get_by_label("From the Hub").press("Enter")
        expect(tab.get_by_text(re.compile("MB to download"))).to_be_visible()
        tab.get_by_role("button", name="Fetch and open").click()
        expect(page.locator("#status")).to_contain_text("From the Hub")
        page.goto(link)
        expect(page.locator(".c-one h4").nth(1)).to_have_text(re.compile("^somebody/shapes-vit: "))
        expect_compared_on_the_test_set(page, "shapes", "somebody/shapes-vit")
