"""The same model at another resolution, in a real Chromium: maps, positions, answers, a link and the way back."""

import re

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import open_tab
from vit.interpret.analysis import Analysis
from vit.live import models
from vit.live.datasets import SOURCES
from vit.ui.analysis import predict
from vit.ui.attention.resolution import resolution
from vit.ui.classify.answer import payload


@pytest.mark.slow
def test_a_model_is_read_at_another_size_and_back(here, open_page):
    page = open_page("?model=shapes&picture=shapes-17")
    open_tab(page, "Attention")
    tab = page.locator("#attention")
    tab.locator("input.layer").fill("2")
    tab.get_by_text("At another resolution").click()
    switch = tab.get_by_role("radiogroup", name="Size of the picture")
    expect(switch.get_by_role("radio")).to_have_text(["32 px", "48 px", "64 px"])
    expect(tab.locator(".x-before-after canvas")).to_have_count(2)
    switch.get_by_text("48 px").click()
    expect(tab.locator(".x-resized")).to_contain_text("Positions for 8 × 8 patches became 12 × 12")
    pixels = {size: predict(key, ("shapes", 17)) for size, key in ((32, "shapes"), (48, "shapes@48px"))}
    for size, said in pixels.items():
        share, best = said.probabilities.max(0)
        words = f"at {size} px {said.model.classes[best]}, {100 * share:.1f}%"
        expect(tab.locator(".x-resized")).to_contain_text(words)
    expect(tab.locator(".x-before-after canvas")).to_have_count(4)
    expect(switch.get_by_text("48 px")).to_be_focused()
    expect(tab.locator(".layer-out")).to_have_text("2 of 3")  # what was looked at stays
    tab.locator(".x-stage").press("ArrowUp")
    expect(tab.locator(".x-query-name")).to_have_text("row 7, column 7")
    expect(page.locator("#status")).to_contain_text("At 48 px: ")
    drawn = "all => all.map((canvas) => canvas.toDataURL())"
    maps = tab.locator(".x-before-after canvas")
    before = maps.evaluate_all(drawn)
    tab.locator(".x-drawing summary").click()
    tab.locator(".colormap").select_option("gray")
    assert all(one != two for one, two in zip(before, maps.evaluate_all(drawn), strict=True))
    page.goto(re.sub(r"\?.*", "", page.url) + "?tab=classify&model=shapes@48px&against=shapes&picture=shapes-17")
    expect(page.locator(".c-one .v-verdict b")).to_have_count(2)
    expect(page.locator(".c-one h4").first).to_contain_text("At 48 px: ")
    open_tab(page, "Attention")
    tab.get_by_text("At another resolution").click()
    switch.get_by_text("32 px").click()
    expect(page.locator("#status")).not_to_contain_text("At 48 px")


def test_what_another_size_does_is_told_of_the_same_picture(here):
    token = payload(predict("shapes@64px", ("shapes", 3)), "shapes@64px", ("shapes", 3))["token"]
    said = resolution({"token": token})
    assert said["sizes"] == [32, 48, 64] and said["own"]["grid"] == [8, 8] and said["now"]["grid"] == [16, 16]
    small, large = (predict(key, ("shapes", 3)) for key in ("shapes", "shapes@64px"))
    assert isinstance(large, Analysis) and large.pixels.shape == (3, 64, 64)
    assert said["own"]["answer"][1] == pytest.approx(small.probabilities.max().item())
    assert said["now"]["peak"] == pytest.approx(large.read[0][-1, :, 1:].mean(0).max().item())
    assert SOURCES["shapes"].splits.test.images.shape[-1] == 32 and models.find("shapes").config["img_size"] == 32
