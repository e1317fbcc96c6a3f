"""The whole test set in the Classify tab, and two models beside each other, in a real Chromium."""

import csv
import io
import re
import threading

import pytest
import torch
from playwright.sync_api import Page, expect

from tests.ui.conftest import open_tab
from vit.evaluation import evaluate
from vit.live import models
from vit.live.datasets import SOURCES
from vit.report.calibration import calibration
from vit.ui.classify import testset

pytestmark = pytest.mark.slow  # opens a page for each test


def offer(model, name: str, seed: int) -> str:
    """Saves it under this name with weights of its own, worse or better as it happens."""
    torch.manual_seed(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.trained = {"dataset": "shapes", "model": name}
    model.save_pretrained(models.CHECKPOINTS / name)
    return name


@pytest.fixture
def other(here, small_vit):
    """A second model of the same classes, and its name."""
    return offer(small_vit, "another", seed=1)


@pytest.fixture
def third(other, small_vit):
    """A third one, of a name after the second's."""
    return offer(small_vit, "third", seed=2)


@pytest.fixture
def page(open_page) -> Page:
    page = open_page("")
    open_tab(page, "Classify")
    expect(page.locator("#prediction .v-bars li").first).to_be_visible()
    return page


def test_another_picture_does_not_end_a_comparison_on_the_whole_test_set(other, page, monkeypatch):
    go, next_ = threading.Event(), testset.answers.Answers._answer_next
    monkeypatch.setattr(testset.answers.Answers, "_answer_next", lambda said: go.wait(300) and next_(said))
    page.get_by_text("Compare with another model").click()
    page.get_by_role("button", name="Compare on the whole test set").click()
    expect(page.locator(".c-compare .c-wait-says")).to_contain_text("The model looks at its test pictures")
    before = page.locator("#prediction .v-seen img").get_attribute("src")
    page.locator(".v-gallery:visible button").nth(3).click()
    expect(page.locator("#prediction .v-seen img")).not_to_have_attribute("src", before)
    go.set()
    expect(page.locator(".c-against")).to_contain_text("McNemar")


def test_what_is_compared_is_what_is_on_show_however_long_another_model_takes(other, third, page, monkeypatch):
    go, predict = threading.Event(), testset.predict
    monkeypatch.setattr(testset, "predict", lambda *about: go.wait(300) and predict(*about))
    go.set()
    page.get_by_text("Compare with another model", exact=True).click()
    page.get_by_label("The other model").select_option(other)
    title, layer = page.locator(".c-one h4").nth(1), page.locator(".c-layer")
    expect(title).to_contain_text(f"{other} · ")
    drawn = "all => all.map((canvas) => canvas.toDataURL())"
    layer.fill("0")
    before, image = page.locator(".c-one canvas").evaluate_all(drawn), page.locator("#prediction .v-seen img")
    layer.fill("100")

    go.clear()
    seen = image.get_attribute("src")
    page.locator(".c-choose .v-gallery button").nth(7).click()
    expect(image).not_to_have_attribute("src", seen)  # the one model has answered, the other has not
    layer.fill("0")
    assert page.locator(".c-one canvas").evaluate_all(drawn) == before
    page.get_by_label("The other model").select_option(third)
    expect(page.get_by_role("button", name="Compare on the whole test set")).to_be_disabled()
    go.set()
    expect(title).to_contain_text(f"{third} · ")
    page.get_by_role("button", name="Compare on the whole test set").click()
    pair = testset.pair("cifar10", third)
    for said in pair:
        said.wait()
    first, second = map(testset.right, pair)
    only = f"Only {title.inner_text()} is right: {int((second & ~first).sum())}"
    expect(page.locator(".c-against .v-label").nth(1)).to_have_text(only)


def measure(page: Page) -> None:
    page.get_by_text("The whole test set", exact=True).click()
    page.get_by_role("button", name="Measure").click()
    expect(page.locator(".c-measured")).to_be_visible()


def test_accuracy_confusion_and_calibration_are_those_of_evaluate_are_saved_and_a_cell_shows_its_pictures(page):
    measure(page)
    model, test = models.find("cifar10"), SOURCES["shapes"].splits.test
    expected = evaluate(model, test, precision="fp32")
    expect(page.locator(".c-accuracy")).to_contain_text(f"Accuracy {100 * expected.accuracy:.2f}% of 200 test pictures")
    counts = page.locator(".c-confusion button").all_inner_texts()
    assert list(map(int, counts)) == expected.confusion.flatten().tolist()
    said = testset.answers.ask("cifar10")
    assert testset.numbers(said)["loss"] == pytest.approx(expected.loss, abs=1e-5)
    error = 100 * calibration(said.logits, said.test.labels).error
    expect(page.locator(".c-reliability")).to_contain_text(f"as trained: expected calibration error {error:.2f} points")

    for name, begins in {"Matrix PNG": b"\x89PNG", "Matrix SVG": b"<?xml", "Sureness PNG": b"\x89PNG"}.items():
        with page.expect_download() as download:
            page.get_by_role("button", name=name).click()
        assert download.value.path().read_bytes().startswith(begins)
    with page.expect_download() as download:
        page.get_by_role("button", name="All answers CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    right = sum(row["answer"] == row["true class"] for row in rows)
    assert len(rows) == 200
    expect(page.locator(".c-accuracy")).to_contain_text(f"Accuracy {right / 2:.2f}%")

    button = page.locator(".c-confusion td.wrong button:not([disabled])").first
    count, true, taken = re.fullmatch(r"(\d+) of (\w+) taken for (\w+)", button.get_attribute("aria-label")).groups()
    button.click()
    shown = page.locator(".c-cell button")
    expect(shown).to_have_count(min(20, int(count)))
    assert shown.first.get_attribute("title").startswith(f"{true}, no. ")
    shown.first.click()
    expect(page.locator(".v-says > .v-verdict")).to_contain_text(re.compile(f"{taken}✗ Wrong: it is an? {true}"))
    expect(page.locator(".c-mistakes button")).to_have_count(20)


def test_two_models_answer_the_same_picture_and_share_their_sliders(other, page):
    page.get_by_text("Compare with another model", exact=True).click()
    page.get_by_label("The other model").select_option(other)
    sides = page.locator(".c-one")
    expect(sides.nth(1).locator("h4")).to_contain_text("another · Shapes")
    expect(sides.nth(0).locator(".v-bars li")).to_have_count(5)
    drawn = "all => all.map((canvas) => canvas.toDataURL())"
    before = page.locator(".c-one canvas").evaluate_all(drawn)
    page.locator(".c-layer").fill("0")
    expect(page.locator(".c-sliders output").first).to_have_text("1 of 3")
    after = page.locator(".c-one canvas").evaluate_all(drawn)
    assert all(one != two for one, two in zip(before, after))
    page.locator(".c-choose .v-gallery button").nth(7).click()
    expect(sides.nth(1).locator("img")).to_have_attribute(
        "src", page.locator(".c-choose .v-gallery button").nth(7).locator("img").get_attribute("src")
    )


def test_two_models_are_compared_on_the_whole_test_set_and_by_a_link(other, open_page):
    page = open_page("")
    page.goto(f"{page.url}?tab=classify&model=cifar10&against={other}&picture=shapes-5")
    expect(page.locator(".c-one h4").nth(1)).to_contain_text("another · Shapes")
    expect(page.locator(".c-took")).to_contain_text("Test picture 5 of Shapes")
    page.get_by_role("button", name="Compare on the whole test set").click()
    pair = testset.pair("cifar10", other)
    for said in pair:
        said.wait()
    first, second = map(testset.right, pair)
    only = int((first & ~second).sum()), int((second & ~first).sum())
    expect(page.locator(".c-against")).to_contain_text(f"On {sum(only)} of 200 pictures exactly one of them is right")
    assert [int(text.split(": ")[1]) for text in page.locator(".c-against .v-label").all_inner_texts()] == list(only)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy a link to this comparison").click()
    expect(page.locator(".c-copied")).to_have_text("Copied.")
    link = page.evaluate("navigator.clipboard.readText()")
    assert link.endswith(f"?tab=classify&model=cifar10&against={other}&picture=shapes-5")


def test_models_of_other_classes_answer_the_picture_but_no_test_set_fits_both(other, page, small_vit):
    small_vit.classes = tuple(f"thing {i}" for i in range(10))
    small_vit.save_pretrained(models.CHECKPOINTS / other)
    page.get_by_text("Compare with another model", exact=True).click()
    page.get_by_label("The other model").select_option(other)
    expect(page.locator(".c-one").nth(1).locator(".v-bars li").first).to_contain_text("thing")
    page.get_by_role("button", name="Compare on the whole test set").click()
    expect(page.locator(".c-compare-error")).to_contain_text("choose a")
    expect(page.locator(".c-compare .c-wait")).to_be_hidden()


def test_answers_are_computed_anew_once_the_model_was_replaced(here, small_vit):
    before = testset.answers.ask("shapes")
    before.wait()
    assert testset.answers.ask("shapes") is before
    for parameter in small_vit.parameters():
        parameter.data += 0.1
    small_vit.save_pretrained(models.CHECKPOINTS / "shapes")
    after = testset.answers.ask("shapes")
    assert after is not before and after.done == 0
