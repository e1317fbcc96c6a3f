"""Each of the four pitfalls is a run that the form takes, and one click fills it in."""

from queue import Empty, Queue
from unittest.mock import Mock

import pytest
from playwright.sync_api import expect

from tests.ui.conftest import await_filled, held, unfold
from vit.live import models, runs, settings
from vit.training.spec import RunSpec
from vit.ui.errors import BadInput
from vit.ui.train import form as train_form
from vit.ui.train.pitfalls import FILLED, PITFALLS, RUNS


@pytest.mark.parametrize("form", RUNS.values(), ids=RUNS)
def test_a_pitfall_fills_in_a_run_that_can_be_started(form):
    spec = settings.read({"dataset": "shapes", **form, "minutes": float(form["minutes"])})
    assert spec.config.minutes <= 1 and tuple(form) == FILLED


def test_there_are_four_and_each_can_be_tried():
    assert len(PITFALLS) == 4 and all(len(pitfall.runs) == 2 or pitfall.look for pitfall in PITFALLS)
    for one, other in (pitfall.runs for pitfall in PITFALLS if pitfall.runs):
        assert one.form != other.form
    (address,) = (pitfall.look[1] for pitfall in PITFALLS if pitfall.look)
    assert models.available(address.split("model=")[1].split("&")[0])


@pytest.mark.slow
def test_one_click_fills_in_the_form(open_page):
    page = open_page("")
    await_filled(page)
    unfold(page, "Advanced")
    unfold(page, "Four pitfalls")
    page.get_by_role("button", name="No warm-up", exact=True).click()
    expect(page.get_by_label("Learning rate").first).to_have_value(f"{settings.FAST:g}")
    expect(page.get_by_label("Minutes")).to_have_value("1")
    expect(page.locator("#size-note")).to_contain_text("parameters")
    page.get_by_role("button", name="Conv stem", exact=True).click()
    expect(page.get_by_label("Learning rate").first).to_have_value(f"{settings.DEFAULTS.lr:g}")
    expect(page.get_by_role("radio", name="Convolutions")).to_be_checked()
    page.get_by_role("button", name="Small from nothing", exact=True).click()
    expect(page.get_by_label("Depth, layers")).to_have_value("12")
    page.get_by_role("link", name="Look at 48 pixels").click()
    expect(page.locator(".x-resized")).to_contain_text("Positions for 8 × 8 patches became 12 × 12")


@pytest.mark.slow
def test_start_waits_for_what_another_model_fills_in(open_page, monkeypatch):
    asked: Queue[RunSpec] = Queue()

    def refuse(chosen: RunSpec, visitor: object) -> None:
        asked.put(chosen)
        raise ValueError("Not in this test.")

    monkeypatch.setattr(runs, "start", refuse)
    page = open_page("")
    await_filled(page)
    over = held(monkeypatch, train_form, "fitted")
    page.get_by_role("radio", name="Tiny").check()
    page.get_by_role("button", name="Start training", exact=True).click()
    with pytest.raises(Empty):
        asked.get(timeout=2)
    over.set()
    chosen = asked.get(timeout=60)
    assert (chosen.model, chosen.shape) == ("vit_tiny", {})  # nothing differs from the variant's own

    monkeypatch.setattr(train_form, "fitted", broken := Mock(side_effect=BadInput("Not in this test.")))
    page.get_by_role("radio", name="Small").check()
    page.get_by_role("button", name="Start training", exact=True).click()
    assert asked.get(timeout=60).model == "vit_small" and broken.called  # it does not wait for what failed
