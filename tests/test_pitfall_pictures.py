"""The pictures of the pitfalls are drawn from what was measured, and their page shows them and says the same."""

import json
import runpy
import statistics
from dataclasses import asdict

from matplotlib.figure import Figure

from tests.conftest import ROOT
from vit.few import Measured, Plan, Result
from vit.training.finetune import WAYS

FOLDER = ROOT / "docs" / "pitfalls"
PAGE = (ROOT / "docs" / "pitfalls.md").read_text(encoding="utf-8")


def test_each_measured_pitfall_has_its_picture_and_the_page_shows_it(tmp_path):
    runpy.run_path(str(FOLDER / "draw.py"))["draw"](tmp_path)
    drawn = {path.stem for path in tmp_path.iterdir()}
    assert drawn == {path.stem for path in FOLDER.glob("*.json")} == {path.stem for path in FOLDER.glob("*.png")}
    assert "stem" in drawn and all(f"](pitfalls/{name}.png)" in PAGE for name in drawn)


def test_the_page_gives_the_medians_and_ranges_that_were_measured():
    for shares in json.loads((FOLDER / "stem.json").read_text(encoding="utf-8"))["accuracy"].values():
        low, median, high = (f"{100 * of(shares):.2f}%" for of in (min, statistics.median, max))
        assert f"{median} ({low} to {high})" in PAGE


def test_what_vit_few_keeps_is_drawn_as_it_is():
    results = [Result(way, seed, 0.5 + 0.1 * seed, 1.0) for way in WAYS for seed in range(2)]
    axes = Figure().subplots()
    measured = Measured(Plan("shapes", ("heart", "star"), 5, 2, 1.0), 0.9, results)
    runpy.run_path(str(FOLDER / "draw.py"))["few"](axes, asdict(measured))
    said = [text.get_text() for text in axes.texts]
    assert len(said) == len(WAYS) and "from scratch: 55.00%" in said
    assert axes.get_xlabel() == "correct after 5 pictures of each of 2 classes, %"
