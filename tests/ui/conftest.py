"""What the tests of the page share: a real Chromium, a client and a picture, and folders for a test to damage."""

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from vit.data import DatasetUnavailable, Splits
from vit.evaluation import Evaluation
from vit.live import models, runs, storage
from vit.live.datasets import SOURCES
from vit.live.run import LiveRun
from vit.training import Progress
from vit.training.config import TrainConfig
from vit.training.moments import Snapshot
from vit.training.spec import RunSpec
from vit.ui import analysis
from vit.ui import page as vit_page

# Gradio says this of its own event stream when a page is left while it is open.
LEAVING = re.compile("AbortError|Connection errored out")
CHROMIUM = Path(os.getenv("CHROMIUM", "/usr/bin/chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
FLAGS += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a camera that shows a test card


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium. Without one the test is skipped; in CI, where the variable CI is set, it fails."""
    if not CHROMIUM.exists():
        (pytest.fail if os.getenv("CI") else pytest.skip)(f"There is no Chromium at {CHROMIUM}")
    expect.set_options(timeout=120_000)  # a busy machine is slow, which is no fault of the page
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(browser) -> Iterator[BrowserContext]:
    """One for the tests of a file, whose cache has the page's scripts once the first test has opened the page."""
    with browser.new_context() as context:
        context.set_default_timeout(60_000)
        yield context


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


# A browser lists 250 of a page's requests, unless told otherwise; what came after them is not known.
LISTED = """() => {
  const full = !window.listed && performance.getEntriesByType("resource").length >= 250;
  window.listed = true;
  performance.setResourceTimingBufferSize(100_000);
  return full ? performance.now() : 0;
}"""


def await_quiet(page: Page, milliseconds: int = 500) -> None:
    """Until nothing has come for so long: what a page loads at the start fills fields, also some that are typed in."""
    since = page.evaluate(LISTED)
    latest = "Math.max(since, ...performance.getEntriesByType('resource').map((e) => e.responseEnd))"
    page.wait_for_function(f"([ms, since]) => {latest} + ms < performance.now()", arg=[milliseconds, since])


def await_filled(page: Page, milliseconds: int = 500) -> None:
    """Until the page has all that it opens with, and the short events that this brings about are over."""
    page.wait_for_selector("body[data-filled]", timeout=120_000)
    await_quiet(page, milliseconds)


TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def unfold(place: Page | Locator, name: str) -> None:
    """Opens a fold, until its fields keep what is typed: Gradio gives them their first values anew a frame later."""
    place.get_by_role("button", name=name).click()
    page = place if isinstance(place, Page) else place.page
    await_quiet(page)
    page.evaluate(TWO_FRAMES)


@pytest.fixture
def adopted(monkeypatch) -> threading.Event:
    """Set once a page has been told of its run's model, which comes after all that it opens with."""
    adopted, show = threading.Event(), vit_page.Page.show

    def tell(*given):
        views = show(*given)
        adopted.set()
        return views

    monkeypatch.setattr(vit_page.Page, "show", tell)
    return adopted


@pytest.fixture
def visitor(browser):
    """Opens pages, each in a browser of its own that remembers nothing; nothing may go wrong on any."""
    contexts, errors = [], []

    def visit(url: str, **options):
        contexts.append(browser.new_context(viewport={"width": 1440, "height": 900}, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        expect.set_options(timeout=120_000)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        page.wait_for_selector("#progress h2", state="attached")  # its link may open another tab
        return page

    yield visit
    for context in contexts:
        context.close()
    assert not [error for error in errors if not LEAVING.search(error)]


@pytest.fixture(scope="module")
def client(app_url) -> Client:
    return Client(app_url, verbose=False)


@pytest.fixture(scope="module")
def picture(tmp_path_factory, shapes):
    """A heart, enlarged, as a visitor might have it."""
    index = (shapes.test.labels == shapes.test.classes.index("heart")).nonzero()[0].item()
    path = tmp_path_factory.mktemp("pictures") / "heart.png"
    Image.fromarray(shapes.test.images[index].permute(1, 2, 0).numpy()).resize((300, 200)).save(path)
    return handle_file(path)


def held(monkeypatch, place: object, name: str) -> threading.Event:
    """Lets a function wait until the event is set."""
    over, function = threading.Event(), getattr(place, name)
    monkeypatch.setattr(place, name, lambda *given: over.wait(300) and function(*given))
    return over


@pytest.fixture
def nothing_kept() -> Iterator[None]:
    """No analysis of another test is kept, and none of this one afterwards."""
    analysis._predictions.clear()
    yield
    analysis._predictions.clear()


@pytest.fixture
def here(monkeypatch, tmp_path, shapes, small_vit):
    """An intact Shapes checkpoint and one that a test damages and that would come first; no runs; few pictures."""
    small_vit.classes, small_vit.trained = shapes.test.classes, {"dataset": "shapes", "model": "vit_live"}
    for name in ("cifar10", "shapes"):
        small_vit.save_pretrained(tmp_path / "checkpoints" / name)
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path / "checkpoints")
    monkeypatch.setattr(storage, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(runs, "RUNS", {})
    monkeypatch.setattr(SOURCES["shapes"], "splits", Splits(*(part.take(slice(200)) for part in shapes)))
    monkeypatch.setattr(SOURCES["cifar10"], "error", DatasetUnavailable("no connection"))


@pytest.fixture
def ended(small_vit) -> LiveRun:
    """A run that has ended and is on disk, as a server finds it that was restarted."""
    chosen = RunSpec("shapes", "vit_live_patch", TrainConfig(minutes=1))
    run = LiveRun(chosen, status="stopped", model=small_vit)
    for step in range(1, 4):
        run.progress = Progress(step, 9, 0.1, step / 9, 2.0, 0.2, 1e-3, 50.0, 0.5 * step, 3.0, 2.1, 0.3)
        run.history.add(run.progress)
    figures = {"step": 3, "seconds": 1.5, "epoch": 0.1, "lr": 1e-3, "loss": 2.0, "accuracy": 0.2, "validation": None}
    shapes = {"maps": (6, 3, 3, 8, 8), "probabilities": (6, 10), "positions": (8, 8, 8, 8), "filters": (24, 3, 4, 4)}
    run.album.add(Snapshot(3, bytes(6 * 9 * 64 + 60 + 4096 + 1152), shapes), figures)
    run.evaluation = Evaluation(0.3, 2.1, 200, 900.0, torch.full((10, 10), 2))
    run.save("stopped")
    return run


@pytest.fixture(scope="session")
def own_url() -> Iterator[str]:
    """Address of a page in this process, which finds there what a test puts in the place of models, runs and data."""
    demo = vit_page.build()
    _, url, _ = vit_page.launch(demo, prevent_thread_lock=True, quiet=True)
    yield url
    demo.close()


@pytest.fixture
def open_page(context, here, own_url):
    """Opens a path of a page of our own; afterwards nothing may have been fetched from where a name points to.

    The browser remembers nothing of another test.
    """
    page, fetched = context.new_page(), []
    page.on("request", lambda request: fetched.append(request.url.split("?")[0]))

    def open_path(path: str):
        page.goto(own_url + path)
        page.wait_for_selector("#progress h2")
        return page

    yield open_path
    assert fetched and not [address for address in fetched if "stolen" in address]
    page.evaluate("localStorage.clear()")
    page.close()
    context.clear_permissions()
