"""The Attention tab of a model without a class token, in a real Chromium: layers, read-out, patches, words and link."""

import re

import pytest
from playwright.sync_api import expect

from tests.conftest import of_kind
from tests.ui.conftest import open_tab
from vit.live import models


@pytest.fixture
def pooled(here, shapes):
    model = of_kind("attn")
    model.classes, model.trained = shapes.test.classes, {"dataset": "shapes", "model": "vit_live_patch"}
    model.save_pretrained(models.CHECKPOINTS / "shapes")


@pytest.mark.slow
def test_the_layer_slider_ends_at_the_read_out_where_no_patch_asks(pooled, open_page):
    page = open_page("?model=shapes&picture=shapes-17&layer=4&head=1&mode=mean")
    open_tab(page, "Attention")
    tab = page.locator("#attention")
    says = {name: tab.locator(f".{name}") for name in ("layer-out", "x-query-name", "x-sentence", "x-reset")}
    expect(says["x-sentence"]).to_have_text(
        re.compile(r"^Read-out, mean of heads\. This is all that the classifier reads")
    )
    expect(says["layer-out"]).to_have_text("read-out")
    expect(says["x-query-name"]).to_have_text("the read-out")
    expect(tab.locator(".x-grid-foot span").last).to_have_text("read-out")
    tab.locator("input.layer").fill("2")
    expect(says["layer-out"]).to_have_text("2 of 3")
    expect(says["x-query-name"]).to_have_text("all patches, on average")
    tab.locator(".x-stage").press("ArrowUp")
    expect(says["x-query-name"]).to_have_text("row 5, column 5")
    expect(says["x-sentence"]).to_contain_text("The patch in row 5, column 5 looks")
    tab.locator("input.layer").fill("4")
    expect(says["x-sentence"]).to_have_text("Read-out, mean of heads. No patch asks here: only the read-out does.")
    expect(says["x-reset"]).to_have_text("Read-out")
    says["x-reset"].click()
    tab.get_by_role("radio", name="Attended by").click()
    expect(says["x-sentence"]).to_contain_text("Nothing attends to the read-out")
    expect(tab).not_to_contain_text("class token")
