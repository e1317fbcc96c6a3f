"""Live training as a visitor meets it, in a real Chromium, from the click on Start to the finished model's use."""

import contextlib
import re
import threading

import pytest
from playwright.sync_api import expect

from tests.conftest import HUB_BESIDE_THE_PROJECT, serving
from tests.ui.conftest import await_filled, await_quiet, open_tab, unfold
from vit.data import DatasetUnavailable
from vit.live import datasets, runs
from vit.live.run import changed
from vit.ui import links
from vit.ui.train.tab import Tab

# The learning rate's curve, which only rises in the warm-up, falls at once (heights count from the top).
KINK = """() => [...document.querySelector('#charts figure:last-child polyline').points]
    .some((point, i, all) => i && point.y - all[i - 1].y > 1)"""


def button(page, name: str):
    return page.get_by_role("button", name=name, exact=True)


def start(page, minutes: float, dataset: str = "Shapes", ready=await_filled) -> None:
    ready(page)
    page.get_by_label(dataset, exact=True).check()
    field = page.locator("#minutes :is(input, textarea)")
    expect(field).to_have_attribute("inputmode", "decimal")  # what the page does once it is mounted
    field.fill(str(minutes))
    field.press("Tab")
    expect(field).to_have_value(str(minutes))
    expect(page.locator("#progress h2")).to_have_text("Ready to train")
    expect(page.locator("#progress")).to_contain_text(
        f"learns {dataset} in {minutes:g} min"
    )  # all that follows is here
    button(page, "Start training").click()
    expect(button(page, "Pause")).to_be_visible()


def maps(page) -> str:
    """All the drawn attention, as one string."""
    return page.evaluate(
        "[...document.querySelectorAll('#forming canvas.map')].map((canvas) => canvas.toDataURL()).join()"
    )


def step(page) -> int:
    """Of the moment on show."""
    return int(page.locator("[data-step]").get_attribute("data-step"))


def wait_for_step(page, after: int) -> None:
    recorded = page.locator(".t-about")  # the shipped model's run, which has steps, too
    expect(recorded).not_to_contain_text("Recorded", timeout=90_000)  # on a busy machine until CIFAR-10 is read
    page.wait_for_function(
        "after => +document.querySelector('[data-step]')?.dataset.step > after", arg=after, timeout=180_000
    )


def walk_through(visitor, url: str, dataset: str, slug: str) -> None:
    """Everything one does with a run, in order."""
    page = visitor(url)
    start(page, 10, dataset)
    wait_for_step(page, 0)
    first, early = maps(page), step(page)
    wait_for_step(page, early + 5)
    assert maps(page) != first, "attention changes as the model learns"

    page.locator("#rate input").fill("0.0001")
    button(page, "Set rate").click()
    expect(page.locator("#rate-note")).to_contain_text("0.0001 from here on")
    page.wait_for_function(KINK)
    button(page, "Pause").click()
    expect(page.locator("#progress h2")).to_contain_text("Paused")

    await_quiet(page)
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    before = maps(page)
    page.locator("#forming input.layer").fill("1")
    assert maps(page) != before
    assert not [asked for asked in requests if "queue/join" in asked]  # earlier moments may still be on their way

    newest = page.evaluate("+document.querySelector('#forming input.when').max")
    page.reload()
    expect(page.locator("#progress h2")).to_contain_text("Paused")
    expect(button(page, "Resume")).to_be_visible()
    page.wait_for_function("n => +document.querySelector('#forming input.when')?.max >= n", arg=max(2, newest))
    assert "?run=" in page.url

    other = visitor(page.url)
    expect(other.locator("#watching")).to_contain_text("watching someone else's run")
    for name in ("Pause", "Resume", "Stop", "Set rate", "Start training"):
        expect(button(other, name)).not_to_be_visible()
    assert other.locator("#charts polyline.v-train").first.get_attribute("points")
    button(page, "Resume").click()
    wait_for_step(other, step(page))

    page.locator("#forming input.when").fill("0")
    expect(page.locator(".t-then")).to_contain_text("Step 0 · before training")
    expect(page.locator(".t-even")).to_have_text("an even share is 1.5%")  # of 64 patches and the class token
    expect(page.locator(".v-cursor").first).to_have_css("opacity", "1")
    page.locator("#forming input.when").fill("1")
    expect(page.locator(".t-then")).to_contain_text("loss")
    button(page, "Back to live").click()
    wait_for_step(page, 5)

    button(page, "Stop").click()
    expect(page.locator("#progress h2")).to_contain_text("Stopped", timeout=120_000)
    expect(other.locator("#progress h2")).to_contain_text("Stopped", timeout=120_000)
    expect(page.locator("#confusion")).to_contain_text("Test accuracy")
    expect(page.locator("#after textarea").first).to_have_value(re.compile(f"--dataset {slug}"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Download weights, config and card").or_(
            button(page, "Download weights, config and card")
        ).first.click()
    assert download.value.suggested_filename == f"vit-live-{slug}.zip"
    expect(page.locator("#status")).to_contain_text("Your run 1")
    open_tab(page, "Classify")
    expect(page.locator(".v-model:visible input")).to_have_value(re.compile(f"Your run 1: vit-live · {dataset}"))
    expect(page.locator("#prediction .v-bars li")).to_have_count(10)

    late = visitor(page.url)
    expect(late.locator("#status")).to_contain_text("Another's run")
    open_tab(late, "Classify")
    await_filled(late, 1500)  # the run's model was drawn twice: as the page opened, and as its run was found to be over
    before = late.locator("#prediction .v-seen img").get_attribute("src")
    late.locator(".v-gallery:visible button").nth(3).click()
    expect(late.locator("#prediction .v-seen img")).not_to_have_attribute("src", before)


@pytest.mark.slow
def test_a_run_on_shapes_from_start_to_use(visitor, app_url):
    walk_through(visitor, app_url, "Shapes", "shapes")


@pytest.fixture
def cifar10_url(tmp_path):
    """Of an app with CIFAR-10; to be asked for before visitor, whose pages then close before it does."""
    if not HUB_BESIDE_THE_PROJECT.is_dir():
        pytest.skip("CIFAR-10 is not beside the project")
    variables = {"HF_HUB_CACHE": str(HUB_BESIDE_THE_PROJECT), "HF_HUB_OFFLINE": "1"}
    with serving(**variables, VIT_RUNS_FOLDER=str(tmp_path)) as url:
        yield url


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_on_cifar10_from_start_to_use(cifar10_url, visitor):
    walk_through(visitor, cifar10_url, "CIFAR-10", "cifar10")


@pytest.fixture
def unanswered(here, monkeypatch):
    """CIFAR-10 is on its way and does not come before the test is over."""
    source, over = datasets.Source("cifar10"), threading.Event()

    def load(name, progress):
        over.wait()
        raise DatasetUnavailable("no connection")

    monkeypatch.setitem(datasets.SOURCES, "cifar10", source)
    monkeypatch.setattr(datasets.data, "load", load)

    def attempt():
        with contextlib.suppress(DatasetUnavailable):
            source.load()

    loading = threading.Thread(target=attempt)
    loading.start()
    yield
    over.set()
    loading.join()
    with changed:
        assert changed.wait_for(lambda: not any(run.live for run in runs.RUNS.values()), timeout=120)


def test_a_run_can_be_asked_for_while_its_data_is_on_the_way(unanswered, own_url, visitor):
    page = visitor(own_url)
    expect(page.locator("#notice")).to_contain_text("Loading CIFAR-10")
    expect(page.get_by_label("Shapes", exact=True)).to_be_checked()  # and the page stays on them until told otherwise
    await_quiet(page)
    page.get_by_label("CIFAR-10", exact=True).check()
    expect(page.locator("#progress")).to_contain_text("learns CIFAR-10")
    button(page, "Start training").click()
    expect(page.locator("#progress h2")).to_contain_text("Preparing vit-live on CIFAR-10")


@pytest.mark.slow
def test_a_run_that_waits_for_its_first_moment_shows_none_of_the_run_before(unanswered, ended, own_url, visitor):
    page = visitor(f"{own_url}?run={ended.id}")
    forming = page.locator("#forming .t-forming")
    expect(forming).to_contain_text("The whole run")
    expect(page.locator("#status")).not_to_be_empty()  # the data that are on their way are all that is missing
    await_quiet(page)
    height = forming.bounding_box()["height"]
    page.get_by_label("CIFAR-10", exact=True).check()
    button(page, "Start training").click()
    expect(page.locator("#progress h2")).to_contain_text("Preparing vit-live on CIFAR-10")
    expect(page.locator("#forming .t-about")).to_have_text("This run's attention appears here with its first moment.")
    for name in (".t-strip", ".t-then", "canvas.positions"):
        expect(forming.locator(name)).to_be_hidden()
    assert forming.bounding_box()["height"] == height


def test_a_run_that_is_started_while_the_page_still_fills_is_steered_from_it(here, own_url, visitor, monkeypatch):
    drawn, linked = threading.Event(), links.linked
    monkeypatch.setattr(links, "linked", lambda params: drawn.wait(300) and linked(params))  # with which open begins
    page = visitor(own_url)
    start(page, 3, ready=await_quiet)
    expect(button(page, "Pause")).to_be_visible()
    drawn.set()
    expect(page.locator("#status")).not_to_be_empty()
    button(page, "Pause").click()
    expect(page.locator("#progress h2")).to_contain_text("Paused")
    button(page, "Stop").click()
    expect(page.locator("#progress h2")).to_contain_text("Stopped")


def test_start_is_taken_once_until_the_run_is_on_show(here, own_url, visitor, monkeypatch):
    shown, around = threading.Event(), Tab._around
    monkeypatch.setattr(Tab, "_around", lambda *about: shown.wait(300) and around(*about))
    page = visitor(own_url)
    await_filled(page)
    button(page, "Start training").click()
    expect(button(page, "Start training")).to_be_disabled()
    shown.set()
    button(page, "Stop").click()
    expect(page.locator("#progress h2")).to_contain_text(re.compile("Stopped|ended"))
    expect(button(page, "Start training")).to_be_enabled()


@pytest.mark.slow
def test_two_tabs_of_a_browser_keep_both_their_runs(here, own_url, browser):
    with browser.new_context() as context:
        pages = [context.new_page() for _ in range(2)]
        for page in pages:
            page.set_default_timeout(60_000)
            page.goto(own_url)
        for page in pages:
            start(page, 3)
        for page in pages:
            page.reload()  # what each of them stored last is all that is there
            button(page, "Stop").click()
            expect(page.locator("#progress h2")).to_contain_text(re.compile("Stopped|ended"))


@pytest.mark.slow
def test_visitors_queue_up_and_see_their_own_run_only(visitor, app_url):
    pages = [visitor(app_url) for _ in range(3)]
    start(pages[0], 10)
    wait_for_step(pages[0], 0)
    for place, page in enumerate(pages[1:], start=1):
        start(page, 0.1)
        ahead = f"{place - 1} before it" if place > 1 else "next"
        expect(page.locator("#progress")).to_contain_text(f"Place {place} in the queue, {ahead}")
    for page in pages:
        page.wait_for_url("**run=*")
    owned = [re.search(r"[?&]run=([^&]+)", page.url).group(1) for page in pages]
    assert len(set(owned)) == 3
    for page, run_id in zip(pages, owned):
        assert not [other for other in owned if other != run_id and other in page.content()]
    for page in pages[2:]:
        button(page, "Stop").click()
        expect(page.locator("#progress")).to_contain_text("stopped before its first step")
    button(pages[0], "Stop").click()
    expect(pages[0].locator("#progress h2")).to_contain_text("Stopped")
    expect(pages[1].locator("#progress h2")).to_contain_text("Done", timeout=180_000)  # its turn came


def test_a_stale_link_and_wrong_settings_are_answered_in_place(visitor, app_url):
    page = visitor(f"{app_url}?run=AAAAAAAAAAAAAAAA")
    expect(page.locator("#progress h2")).to_have_text("No such run")
    page.wait_for_selector("#forming canvas.map")
    expect(button(page, "Start training")).to_be_visible()
    await_filled(page)
    unfold(page, "Advanced")
    page.get_by_label("Width").fill("98")
    page.get_by_label("Width").press("Tab")
    expect(page.locator("#size-note")).to_contain_text("choose a width of 96 or 100")
    page.get_by_label("Width").fill("96")
    page.get_by_label("Width").press("Tab")
    expect(page.locator("#size-note")).to_contain_text("65 tokens")
    page.get_by_label("Learning rate").first.fill("50")
    page.get_by_label("Learning rate").first.press("Tab")
    expect(page.locator("#learning-note")).to_contain_text("tend to diverge")
