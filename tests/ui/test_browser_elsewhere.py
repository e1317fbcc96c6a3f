"""In Chromium: a model of DINO's shape from a small Hub, with a picture of one's own; a zip; and what is refused."""

import re
import shutil
import threading

import pytest
import timm
from PIL import Image
from playwright.sync_api import expect

from tests.conftest import serving
from tests.ui.conftest import TWO_FRAMES, await_filled, open_tab, unfold
from tests.weights import foreign
from tests.weights.small_hub import serve
from vit import ViT
from vit.live import elsewhere

pytestmark = pytest.mark.slow  # opens a page for each test

NAME = "somebody/vit_tiny_patch16_224.dino"
NOTE = ".v-fetch-note p"
SHAPE = {"depth": 4, "embed_dim": 48, "num_heads": 4, "num_classes": 0}  # 14 x 14 patches, so that rows are pooled


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    theirs = foreign.redraw(timm.create_model("vit_tiny_patch16_224", **SHAPE))
    return foreign.save_timm(theirs, tmp_path_factory.mktemp("repository"), SHAPE)


@pytest.fixture(scope="module")
def address(repository, tmp_path_factory):
    home, runs = (str(tmp_path_factory.mktemp(name)) for name in ("hf", "runs"))
    with serve() as hub:
        hub.folders[NAME] = repository
        with serving(HF_HOME=home, HF_ENDPOINT=hub.address, HF_HUB_DISABLE_XET="1", VIT_RUNS_FOLDER=runs) as url:
            yield url


@pytest.fixture
def page(browser, address):
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(address)
    page.wait_for_selector("#progress h2")
    open_tab(page, "Attention")
    await_filled(page)
    yield page
    page.close()


@pytest.fixture
def photo(tmp_path):
    Image.effect_noise((300, 220), 90).convert("RGB").save(tmp_path / "photo.jpg")
    return tmp_path / "photo.jpg"


def others(page):
    tab = page.get_by_role("tabpanel").filter(has=page.locator("#attention"))
    unfold(tab, "Other models")
    return tab


def name_it(tab, name):
    box = tab.get_by_label("From the Hub")
    box.fill(name)
    box.press("Enter")


@pytest.mark.slow
def test_a_fetched_dino_shows_maps_of_ones_own_photo_and_names_nothing(page, photo):
    tab = others(page)
    tab.get_by_role("button", name="Switch heads off").click()
    name_it(tab, NAME)
    expect(tab.get_by_text(re.compile(r"MB to download"))).to_be_visible()
    tab.get_by_role("button", name="Fetch and open").click()
    expect(tab.get_by_text("Without a class head it names nothing.")).to_be_visible()
    expect(tab.locator(".x-grid .x-cell")).to_have_count(16)
    expect(tab.get_by_role("grid")).to_have_attribute("aria-label", "Heads by layer; arrow keys move")
    tab.locator(".x-cell[tabindex='0']").press("o")
    tab.locator(".x-cell").first.click()
    expect(tab.locator(".x-cell.off, .x-layer-off:visible")).to_have_count(0)  # nor is there an answer to change
    expect(tab.get_by_text("Why this class, and why not that one")).to_be_hidden()
    with page.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Upload a picture").click()
    chooser.value.set_files(photo)
    expect(tab.locator(".v-gallery [aria-pressed=true]")).to_have_count(0)
    open_tab(page, "Classify")
    expect(page.get_by_text("This model has no class head: it names nothing.")).to_be_visible()


def test_an_unknown_repository_is_refused_in_words(page):
    tab = others(page)
    name_it(tab, "no/body")
    expect(tab.get_by_text("no such model, or it is private").first).to_be_visible()
    tab.get_by_role("button", name="Fetch and open").click()
    expect(tab.get_by_role("alert").filter(has_text="no such model").first).to_be_visible()
    expect(tab.locator(".x-stage")).to_be_visible()


def test_a_zip_of_ones_own_opens(page, tmp_path):
    ViT(embed_dim=24, depth=2, num_heads=3).save_pretrained(tmp_path / "mine")
    archive = shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path, "mine")
    tab = others(page)
    with page.expect_file_chooser() as chooser:
        tab.get_by_role("button", name="Open a zip").click()
    chooser.value.set_files(archive)
    expect(tab.locator(".x-grid .x-cell")).to_have_count(6)


@pytest.mark.parametrize("asked", ["a repository", "a zip"])
def test_who_waits_for_anothers_download_is_told_so_at_once(visitor, own_url, here, monkeypatch, tmp_path, asked):
    over = threading.Event()

    def download(name, tell):
        tell(1_000_000, 4_000_000)
        over.wait(300)
        raise ValueError(f"{name} is gone.")

    monkeypatch.setattr(elsewhere, "download", download)
    monkeypatch.setattr(elsewhere, "size", lambda name: (4_000_000, False))
    first, second = visitor(own_url), visitor(own_url)
    for page in (first, second):
        open_tab(page, "Attention")
        await_filled(page)
        name_it(others(page), NAME)
        expect(page.locator(NOTE)).to_contain_text("4.0 MB to download")
    fetch, note = first.get_by_role("button", name="Fetch and open"), first.locator(NOTE)
    fetch.click()
    expect(note).to_contain_text("1.0 MB of 4.0 MB")
    fetch.click()  # which is not taken while the first one goes on
    first.evaluate(TWO_FRAMES)
    expect(note).to_contain_text("1.0 MB of 4.0 MB")
    if asked == "a zip":
        (tmp_path / "no.zip").write_bytes(b"PK no")
        with second.expect_file_chooser() as chooser:
            second.get_by_role("button", name="Open a zip").click()
        chooser.value.set_files(tmp_path / "no.zip")
    else:
        second.get_by_role("button", name="Fetch and open").click()
    expect(second.locator(NOTE)).to_have_text("Waiting for its turn …")
    over.set()
    expect(note).to_contain_text("is gone")
    expect(second.locator(NOTE)).to_have_text([] if asked == "a zip" else [f"{NAME} is gone."])
