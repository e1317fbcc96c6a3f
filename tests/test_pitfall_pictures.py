"""The pictures of the pitfalls are drawn from what was measured, and their page shows them and says the same."""

import json
import runpy
import statistics

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "pitfalls"
MEASURED = json.loads((FOLDER / "measured.json").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "pitfalls.md").read_text(encoding="utf-8")


def test_each_measured_pitfall_has_its_picture_and_the_page_shows_it(tmp_path):
    runpy.run_path(str(FOLDER / "draw.py"))["draw"](tmp_path)
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {f"{name}.png" for name in MEASURED} == {path.name for path in FOLDER.glob("*.png")}
    assert all(f"](pitfalls/{name})" in PAGE for name in drawn)


@pytest.mark.parametrize("name", [name for name, found in MEASURED.items() if "accuracy" in found])
def test_the_page_gives_the_median_and_the_range_that_were_measured(name):
    for found in MEASURED[name]["accuracy"].values():
        for shares in found if name == "few" else [found]:
            low, median, high = (f"{100 * f(shares):.2f}%" for f in (min, statistics.median, max))
            assert f"{median} ({low} to {high})" in PAGE
