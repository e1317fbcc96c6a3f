"""Many pictures and zips in the Classify tab, in a real Chromium."""

import csv
import io
import re
import threading
import zipfile

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.ui.conftest import await_filled, open_tab, unfold
from vit import prediction
from vit.ui.classify import many

pytestmark = pytest.mark.slow  # opens a page for each test


@pytest.fixture
def page(open_page) -> Page:
    page = open_page("")
    open_tab(page, "Classify")
    expect(page.locator("#prediction .v-bars li").first).to_be_visible()
    unfold(page, "Many pictures")
    return page


@pytest.fixture
def files(tmp_path):
    """Ten pictures, one of them broken, and a zip of them all."""
    for i in range(10):
        Image.new("RGB", (40, 40), (25 * i, 90, 200)).save(tmp_path / f"{i} фото.png")
    (tmp_path / "3 фото.png").write_bytes(b"%PDF-1.7\n")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for file in sorted(tmp_path.glob("*.png")):
            archive.write(file, f"../{file.name}")
    return tmp_path


@pytest.mark.parametrize("zipped", [False, True])
def test_each_file_is_a_row_the_broken_one_too_and_all_are_saved(page, files, zipped):
    sent = [files / "all.zip"] if zipped else sorted(files.glob("*.png"))
    page.locator("#many-input input[type=file]").set_input_files(sent)
    expect(page.locator("#many .v-note")).to_contain_text("9 answered, 1 not")
    expect(page.locator("#many tr")).to_have_count(11)
    expect(page.locator("#many img")).to_have_count(9)
    expect(page.locator("#many tr").nth(4)).to_contain_text("is a PDF document: expected a picture")
    assert not re.search("/tmp|gradio", page.locator("#many").inner_text())
    with page.expect_download() as download:
        page.get_by_role("link", name="Save as CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert len(rows) == 10 and rows[3]["error"].startswith("is a PDF") and rows[4]["answer"]
    assert all("фото" in row["file"] for row in rows)


def test_it_can_be_cancelled(page, files, monkeypatch):
    go, read = threading.Event(), prediction._picture
    monkeypatch.setattr(prediction, "_picture", lambda *about: go.wait(300) and read(*about))
    page.locator("#many-input input[type=file]").set_input_files(sorted(files.glob("*.png")))
    cancel = page.get_by_role("button", name="Cancel", exact=True).locator("visible=true")
    with page.expect_request("**/cancel"):  # its answer waits for the picture that is held back
        cancel.click()
    expect(cancel).to_have_count(0)
    go.set()
    expect(page.get_by_role("link", name="Save as CSV")).to_be_hidden()
    expect(page.locator("#many .v-note")).to_have_text("Reading …")


def test_too_many_and_none_at_all_are_a_sentence(page, files, monkeypatch):
    monkeypatch.setattr(many, "MOST", 5)
    page.locator("#many-input input[type=file]").set_input_files(files / "all.zip")
    expect(page.get_by_test_id("toast-body")).to_contain_text("At most 5 pictures are answered at a time")
    zipfile.ZipFile(files / "empty.zip", "w").close()
    page.reload()
    open_tab(page, "Classify")
    unfold(page, "Many pictures")
    page.locator("#many-input input[type=file]").set_input_files(files / "empty.zip")
    expect(page.locator("#many")).to_contain_text("holds no file: expected pictures in it")


def test_who_waits_for_anothers_pictures_is_told_so_at_once(page, visitor, own_url, files, monkeypatch):
    other = visitor(own_url)
    open_tab(other, "Classify")
    await_filled(other)
    unfold(other, "Many pictures")
    go, read = threading.Event(), prediction._picture
    monkeypatch.setattr(prediction, "_picture", lambda *about: go.wait(300) and read(*about))
    for asking, told in ((other, "Reading …"), (page, "Waiting for its turn …")):
        asking.locator("#many-input input[type=file]").set_input_files(files / "0 фото.png")
        expect(asking.locator("#many .v-note")).to_have_text(told)
    go.set()
    for asking in (other, page):
        expect(asking.locator("#many .v-note")).to_contain_text("1 answered")
