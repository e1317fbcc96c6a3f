"""Names from a link, from a checkpoint and of a damaged run on the page, in a real Chromium: they are shown as text."""

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import open_tab
from tests.ui.test_damage import RECORDS, config, on_disk
from vit.live import models

IMAGE = "<img src=/stolen>"
FOLDER = "<img src=stolen>"  # no folder's name has a slash


def test_a_links_model_is_text_in_the_notice(open_page):
    page = open_page(f"?model={IMAGE}")
    expect(page.get_by_test_id("toast-body")).to_contain_text(f"The link's model '{IMAGE}' is not here")
    assert not page.locator("[src*=stolen]").count()


@pytest.mark.slow
def test_a_checkpoints_names_are_text_everywhere_and_in_the_error_once_it_is_gone(open_page):
    folder = models.CHECKPOINTS / "cifar10"
    config(classes=[f"{i}{IMAGE}" for i in range(10)])(folder)
    config("trained", model=IMAGE)(folder)
    folder = folder.rename(folder.with_name(FOLDER))
    page = open_page(f"?model={FOLDER}")
    expect(page.locator("#status")).to_contain_text(IMAGE)
    open_tab(page, "Attention")
    expect(page.locator("#attention")).to_contain_text(IMAGE)
    open_tab(page, "Classify")
    expect(page.locator("#prediction .v-bars li").first).to_contain_text(IMAGE)
    folder.rename(folder.with_name("elsewhere"))
    page.locator(".v-gallery:visible button").nth(3).click()
    expect(page.get_by_test_id("toast-body")).to_contain_text(f"No model is called '{FOLDER}'")
    assert not page.locator("[src*=stolen]").count()


@pytest.mark.slow
def test_the_link_of_a_damaged_run_says_so_and_the_rest_works(open_page, ended):
    RECORDS["truncated"](on_disk(ended))
    page = open_page(f"?run={ended.id}")
    expect(page.locator("#progress h2")).to_have_text("This run can't be read")
    expect(page.get_by_role("button", name="Start training", exact=True)).to_be_visible()
    open_tab(page, "Classify")
    expect(page.locator("#prediction .v-bars li")).to_have_count(10)
