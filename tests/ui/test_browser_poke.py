"""Poking at a picture in the Classify tab: covering by mouse and keys, changing it, the occlusion map."""

import threading

import pytest
import torch
from playwright.sync_api import Page, expect

from tests.ui.conftest import await_quiet, open_tab
from vit.data.changes import LIMITS, change
from vit.interpret.cover import cover
from vit.live import models
from vit.live.datasets import SOURCES
from vit.ui import poke
from vit.ui.analysis import predict, remember

pytestmark = pytest.mark.slow  # opens a page for each test

STAGE = ".c-stage"


@pytest.fixture
def page(open_page) -> Page:
    page = open_page("")
    open_tab(page, "Classify")
    expect(page.locator("#prediction .v-bars li").first).to_be_visible()
    page.get_by_text("Poke at it", exact=True).click()
    return page


def shown(page: Page) -> str:
    return page.locator(".c-poking .v-verdict").inner_text()


def image(page: Page) -> str:
    return page.locator(f"{STAGE} img").get_attribute("src")


def test_patches_are_covered_by_mouse_and_keys_and_the_bars_follow(page):
    before, bars = image(page), page.locator(".c-poking .v-percent").all_inner_texts()
    box = page.locator(STAGE).bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.3 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.6 * box["height"], steps=6)
    page.mouse.up()
    expect(page.locator(f"{STAGE} img")).not_to_have_attribute("src", before)
    page.wait_for_function(
        "before => [...document.querySelectorAll('.c-poking .v-percent')].map((e) => e.textContent).join() !== before",
        arg=",".join(bars),
    )
    assert page.locator(".c-poking .v-bar s").first.get_attribute("style").startswith("left: ")
    page.get_by_role("button", name="As it was").click()
    await_quiet(page)  # an answer that was on its way changes nothing
    expect(page.locator(f"{STAGE} img")).to_have_attribute("src", before)
    assert page.locator(".c-poking .v-percent").all_inner_texts() == bars
    stage = page.locator(STAGE)
    stage.press("ArrowUp")
    stage.press(" ")
    expect(page.locator(f"{STAGE} img")).not_to_have_attribute("src", before)
    stage.press(" ")  # uncovers it again
    expect(page.locator(f"{STAGE} img")).to_have_attribute("src", before)


def test_a_change_of_the_picture_moves_the_bars_to_what_the_package_says_of_it_and_back(page):
    before, said = image(page), shown(page)
    prediction = predict(models.default(), first(page))
    model = prediction.model
    for name, limit in LIMITS.items():
        slider = page.locator(f".c-changes input[data-name={name}]")
        slider.fill(str(limit.high))
        expect(page.locator(f"{STAGE} img")).not_to_have_attribute("src", before)
        pixels = change(prediction.pixels, {name: limit.high}, tuple(round(255 * mean) for mean in model.mean))
        with torch.inference_mode():
            share, best = model.probabilities(model(model.normalize(pixels)[None])[0]).max(0)
        expect(page.locator(".c-poking .v-verdict")).to_have_text(f"{model.classes[best]} {100 * share:.1f}%")
        slider.fill("0")
        expect(page.locator(f"{STAGE} img")).to_have_attribute("src", before)
        expect(page.locator(".c-poking .v-verdict")).to_have_text(said)


def first(page: Page) -> tuple[str, int]:
    name = page.locator(".c-choose .v-gallery [aria-pressed=true]").get_attribute("data-name")
    return "shapes", int(name.split("-")[1])


def test_the_occlusion_map_is_what_covering_each_patch_costs(page):
    page.get_by_role("button", name="Occlusion map").click()
    expect(page.locator(f"{STAGE} canvas")).to_be_visible()
    prediction = predict(models.default(), first(page))
    answer = poke.occlusion({"token": remember(models.default(), first(page))})
    model, best = prediction.model, prediction.probabilities.argmax()
    for patch in (0, 17, 63):
        alone = torch.zeros(1, 1, 64)
        alone[..., patch] = 1
        drop = cover(model, prediction.images, alone, best[None], torch.Generator().manual_seed(0), share=1 / 64)
        assert answer["points"][patch] == pytest.approx(100 * drop.brightest.item(), abs=1e-3)
    expect(page.locator(".c-poke-says")).to_contain_text(f"costs {answer['class']} ")


@pytest.mark.parametrize("meanwhile", ["a patch is covered", "it is as it was"])
def test_an_occlusion_map_that_comes_late_is_not_drawn_over_what_was_done_since(page, monkeypatch, meanwhile):
    go, occlusion = threading.Event(), poke.covering.occlusion
    monkeypatch.setattr(poke.covering, "occlusion", lambda *about: go.wait(300) and occlusion(*about))
    page.get_by_role("button", name="Occlusion map").click()
    expect(page.locator(".c-poke-says")).to_have_text("Covering each patch …")
    before = image(page)
    if meanwhile == "a patch is covered":
        page.locator(STAGE).press(" ")
        expect(page.locator(f"{STAGE} img")).not_to_have_attribute("src", before)
    else:
        page.get_by_role("button", name="As it was").click()
    expect(page.locator(".c-poke-says")).to_be_empty()
    with page.expect_response(lambda response: '"occlusion"' in (response.request.post_data or "")):
        go.set()
    await_quiet(page)
    expect(page.locator(f"{STAGE} canvas")).to_be_hidden()


def test_nothing_changed_and_nothing_covered_is_the_prediction_itself(here):
    picture = ("shapes", 5)
    token, prediction = remember("shapes", picture), predict("shapes", picture)
    same = poke.poked({"token": token, "covered": [], "changes": dict.fromkeys(LIMITS, 0)})
    assert same["probabilities"] == pytest.approx(prediction.probabilities.tolist(), abs=1e-5)
    test = SOURCES["shapes"].splits.test
    for name, limit in LIMITS.items():
        for number in (limit.low, limit.high):
            changed = change(test.images[5], {name: number}, (0, 0, 0))
            assert changed.shape == (3, 32, 32) and changed.dtype == torch.uint8
            assert (number == 0) == changed.equal(test.images[5]), name


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"covered": [64]}, "covered must be a whole number from 0 to 63"),
        ({"covered": "all"}, "covered must be a list"),
        ({"changes": {"noise": 900}}, "Expected one of noise 0 to 80"),
        ({"changes": {"magic": 1}}, "Expected one of noise"),
        ({"changes": {"noise": float("nan")}}, "finite number"),
        ({"token": "no such"}, "forgotten this picture"),
    ],
)
def test_a_forged_question_is_answered_with_a_sentence(here, wrong, says):
    question = {"token": remember("shapes", ("shapes", 1)), "covered": [], "changes": {}, **wrong}
    assert says in poke.poked(question)["error"]
