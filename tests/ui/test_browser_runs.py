"""This browser's runs in a real Chromium: beside each other, by Back and Forward, and for a class that only watches."""

import pytest
import torch
from playwright.sync_api import expect

from tests.ui.conftest import await_filled
from vit.evaluation import Evaluation
from vit.live import runs
from vit.live.run import LiveRun
from vit.training import Progress
from vit.training.config import TrainConfig
from vit.training.moments import Snapshot
from vit.training.spec import RunSpec
from vit.ui.train import comparing

SHAPES = {"maps": (6, 3, 3, 8, 8), "probabilities": (6, 10), "positions": (8, 8, 8, 8), "filters": (24, 3, 4, 4)}
SIZE = 6 * 9 * 64 + 60 + 4096 + 1152


@pytest.fixture
def two(small_vit, here) -> list[LiveRun]:
    """Runs that have ended, with moments after 0, 2 and 4 seconds, and after 0, 3 and 6."""
    ended = []
    for number, seconds in enumerate((2.0, 3.0), start=1):
        run = LiveRun(RunSpec("shapes", "vit_live_patch", TrainConfig(minutes=1)), status="finished", model=small_vit)
        for step in range(3):
            run.progress = Progress(step, 2, 0.1, step / 2, 2.0, 0.2, 1e-3, 50.0, seconds * step + 1e-3, 0.0, 2.1, 0.3)
            run.history.add(run.progress)
            figures = {"step": step, "seconds": seconds * step, "epoch": 0.1, "lr": 1e-3, "loss": 2.0, "accuracy": 0.2}
            drawn = bytes((number * 40 + step * 20 + i) % 256 for i in range(SIZE))
            run.album.add(Snapshot(step, drawn, SHAPES), {**figures, "validation": 0.3})
        run.evaluation = Evaluation(0.3, 2.1, 200, 900.0, torch.full((10, 10), 2))
        run.save("finished")
        runs.RUNS[run.id] = run
        ended.append(run)
    return ended


def drawn(page) -> list[str]:
    return page.locator("#runs .r-runs canvas").evaluate_all("all => all.map((canvas) => canvas.toDataURL())")


def test_runs_that_are_ticked_are_overlaid_and_stand_side_by_side_at_the_same_moment(open_page, two, monkeypatch):
    compare = comparing.comparison
    monkeypatch.setattr(comparing, "comparison", lambda owned: compare([run.id for run in two]))
    page = open_page("")
    captions, lines = page.locator("#runs .r-runs figcaption"), page.locator("#runs .v-key >> visible=true")
    expect(page.locator("#runs .r-runs canvas")).to_have_count(2)
    for run, step in zip(("Run 1", "Run 2"), ("Step 2", "Step 2")):
        expect(captions.filter(has_text=run)).to_contain_text(step)
    assert lines.count() == 2
    await_filled(page)  # the other tabs are filled after this one
    end, asked = drawn(page), []
    page.on("request", lambda request: asked.append(request.url))
    page.locator("#runs .r-when").fill("400")  # thousandths of 6 seconds
    expect(page.locator("#runs .r-time")).to_have_text("After 2 s")
    expect(captions.filter(has_text="Run 1")).to_contain_text("Step 1")
    expect(captions.filter(has_text="Run 2")).to_contain_text("Step 0 · before training")
    middle = drawn(page)
    page.locator("#runs .r-layer").fill("1")
    assert len({str(end), str(middle), str(drawn(page))}) == 3 and not asked
    page.get_by_label("Compare Run 1").uncheck()
    expect(page.locator("#runs .r-beside")).to_be_hidden()
    assert lines.count() == 1
    page.get_by_label("Compare Run 1").check()
    expect(page.locator("#runs .r-runs canvas")).to_have_count(2)


@pytest.mark.slow
def test_back_and_forward_walk_runs(open_page, two, monkeypatch):
    monkeypatch.setattr(runs, "start", lambda settings, visitor: two[0])
    page = open_page("")
    heading = page.locator("#progress h2")
    expect(heading).to_have_text("Ready to train")
    await_filled(page)
    page.get_by_role("button", name="Start training", exact=True).click()
    expect(heading).to_have_text("Done: vit-live-patch on Shapes")
    page.wait_for_url(f"**run={two[0].id}*")
    page.go_back()
    expect(heading).to_have_text("Ready to train")
    page.go_forward()
    expect(heading).to_have_text("Done: vit-live-patch on Shapes")


@pytest.mark.slow
def test_a_class_watches_a_run_by_a_link_and_can_change_nothing(open_page, two):
    page = open_page(f"?run={two[0].id}")
    page.locator("#after .s-class summary").click()
    expect(page.locator("#after .s-warning")).to_be_visible()  # phones can't reach 127.0.0.1
    assert page.locator("#after .s-code").evaluate("canvas => canvas.width") >= 29 + 8
    link = page.locator("#after .s-link").get_attribute("href")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(link)
    expect(page.locator("#progress h2")).to_have_text("Done: vit-live-patch on Shapes")
    expect(page.locator("#progress")).to_contain_text("Test accuracy30.0%")
    expect(page.locator("#forming canvas.map")).to_have_count(18)
    assert page.locator("#charts .v-chart >> visible=true").count() == 1
    assert page.get_by_role("button").all_text_contents() and not page.get_by_role("tab").count()
    for name in ("Start training", "Stop", "Delete this run", "Classify with it"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(link[:-3] + "AAA")
    expect(page.locator("#progress h2")).to_have_text("No such run")
