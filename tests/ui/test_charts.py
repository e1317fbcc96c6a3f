"""Charts: lines where the numbers are, gaps where there are none, the same drawing for one run and for several."""

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib import colormaps

from vit.figures import color_table
from vit.live import runs
from vit.live.datasets import SOURCES
from vit.live.history import History
from vit.training.config import TrainConfig
from vit.ui.charts import Axis, Series, chart
from vit.ui.train import comparing, curves

NAN, INF = float("nan"), float("inf")
SHORT = TrainConfig(minutes=1 / 6)
PERCENT = Axis(1, [0, 0.5, 1], "{:.0%}".format)


def points(html: str) -> list[list[tuple[float, float]]]:
    """Those of each line, in percent from the left and from the top."""
    lines = re.findall(r'points="([^"]*)"', html)
    return [[tuple(map(float, place.split(","))) for place in line.split()] for line in lines]


def history(losses: list[float]) -> History:
    """A step a second, with these validation losses."""
    n = len(losses)
    seconds = [float(i + 1) for i in range(n)]
    return History(seconds, [2.0] * n, [0.4] * n, [1e-3] * n, seconds, losses, [0.5] * n)


def test_values_stand_where_the_axes_say():
    drawn = chart(
        "Share", [Series("one", [0, 5, 10], [0, 0.25, 1], "v-train")], Axis(10, [0, 5, 10], str, " s"), PERCENT
    )
    assert points(drawn) == [[(0, 100), (50, 75), (100, 0)]]
    assert re.findall(r'<span class="v-y" style="top:([\d.]+)%">(\d+%)', drawn) == [
        ("100.0", "0%"),
        ("50.0", "50%"),
        ("0.0", "100%"),
    ]
    assert "<span>0</span><span>5</span><span>10 s</span>" in drawn and "one<b> 100%</b>" in drawn


def test_what_is_above_the_top_lies_on_it_and_names_are_text():
    drawn = chart("<b>", [Series("<i>", [1], [7], color="#123456")], Axis(1, [0, 1], str), PERCENT, [("<u>", 0.5)])
    assert points(drawn) == [[(100, 0)]]
    assert all(name in drawn for name in ("<b>&lt;b&gt;</b>", "&lt;i&gt;<b> 700%</b>", "&lt;u&gt; 50%"))
    assert "<i>" not in drawn and "<u>" not in drawn


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_loss_that_is_no_number_leaves_a_gap_and_the_rest_is_drawn(value, at):
    losses = [2.0, 1.5, 1.2, 1.1, 1.0]
    losses[at] = value
    drawn = curves.draw(history(losses), SHORT, 10)
    assert all(math.isfinite(number) for line in points(drawn) for place in line for number in place)
    assert [len(line) for line in points(drawn)[3:-1]] == {0: [4], 2: [2, 2], 4: [4]}[at]
    assert ("not a number" in drawn) == (at == 4)


def test_losses_of_which_none_is_a_number_are_an_empty_line():
    drawn = curves.draw(history([NAN, NAN]), SHORT, 10)
    assert [len(line) for line in points(drawn)] == [2, 2, 2, 0, 2]


def test_the_two_losses_are_drawn_apart_and_each_says_what_it_is_of():
    drawn = curves.draw(history([1.5, 1.0]), SHORT, 10)
    training, validation = re.findall(r"<figure.*?</figure>", drawn)[1:3]
    assert "v-val" not in training and "v-train" not in validation
    assert "labels smoothed by 0.1, 50% of the patches left out" in training and "whole pictures" in validation
    plain = {"label_smoothing": 0, "patch_dropout": 0, "crop": 0, "flip": False}
    bare = curves.draw(history([1.5, 1.0]), replace(SHORT, **plain), 10)
    assert "smoothed" not in bare and "left out" not in bare and "least" not in bare
    taught = curves.draw(history([1.5, 1.0]), replace(SHORT, distill="soft", degrade=0.25), 10)
    training, validation = re.findall(r"<figure.*?</figure>", taught)[1:3]
    assert "a teacher&#x27;s answers for 50% of it" in training and "25% of the pictures blurred" in training
    assert "chance" not in training and "least" not in training and "chance" in validation


@pytest.mark.parametrize("classes", [2, 10])
def test_no_prediction_has_a_loss_below_the_least_that_is_drawn(classes):
    least = float(re.search(r"least ([\d.]+)", curves.draw(history([1.0]), SHORT, classes))[1])
    logits, label = torch.zeros(1, classes, requires_grad=True), torch.tensor([0])
    descent = torch.optim.LBFGS([logits], max_iter=100)

    def loss() -> torch.Tensor:
        descent.zero_grad()
        value = torch.nn.functional.cross_entropy(logits, label, label_smoothing=SHORT.label_smoothing)
        value.backward()
        return value

    descent.step(loss)
    assert loss().item() == pytest.approx(least, abs=0.01)


def test_a_loss_beyond_measure_leaves_the_axis_readable():
    drawn = curves.draw(history([1.0, 1e300]), SHORT, 10)
    assert "<b> 1e+300</b>" in drawn and len(drawn) < 10_000
    assert max(map(float, re.findall(r'class="v-y"[^>]*>([\d.]+)<', drawn))) < 50


def test_before_a_run_there_are_axes_and_levels_and_no_lines():
    drawn = curves.draw(History(), TrainConfig(minutes=2), 10, ("shipped model", 0.8))
    assert not any(points(drawn)) and drawn.count("<figure") == 4
    assert "chance 10%" in drawn and "shipped model 80%" in drawn and "2:00 min" in drawn


def test_runs_are_compared_in_the_same_chart_whose_lines_can_be_told_apart_and_a_table(monkeypatch):
    def run(accuracy: float):
        config = SimpleNamespace(lr=1e-3, batch_size=32, weight_decay=0.05)
        settings = SimpleNamespace(config=config, dataset="shapes", title="<b>mine")
        return SimpleNamespace(history=history([1.0, NAN]), settings=settings, accuracy=accuracy, evaluation=None)

    monkeypatch.setattr(runs, "RUNS", {"a": run(0.5), "b": run(0.75)})
    monkeypatch.setattr(SOURCES["shapes"], "splits", None)
    assert comparing.comparison(["gone"]) is None
    alone = comparing.comparison(["a", "gone"])
    assert alone["gone"] == 1 and not alone["curves"] and alone["runs"][0]["id"] == "a"
    both = comparing.comparison(["a", "gone", "b"])
    assert [len(line) for line in points(both["curves"])] == [2, 2]
    assert [run["name"] for run in both["runs"]] == ["Run 1", "Run 2"] and "75.0%" in both["runs"][1]["cells"]
    assert all(len(run["cells"]) + 1 == len(comparing.COLUMNS) for run in both["runs"])
    drawn = re.findall(r'polyline class="t-run-(\d)" style="--line:(#\w+);"', both["curves"])
    assert [(str(i), run["color"]) for i, run in enumerate(both["runs"])] == drawn and len(set(drawn)) == 2


@pytest.mark.parametrize("name", ["inferno", "gray"])
def test_the_scripts_colors_are_matplotlibs(name):
    table = np.frombuffer(color_table(name), np.uint8).reshape(256, 3)
    assert (abs(table / 255 - colormaps[name](np.arange(256))[:, :3]) <= 1 / 509).all()
