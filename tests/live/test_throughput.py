"""A run in the page trains about as many images a second as one from the command line; a recorded one as any other."""

import statistics
import time

import pytest
import torch

from tests.live.conftest import until
from vit.data import Splits
from vit.live import runs, settings
from vit.live.datasets import SOURCES
from vit.training.config import TrainConfig
from vit.training.recorder import Recorder
from vit.training.run import Run
from vit.training.spec import RunSpec

pytestmark = pytest.mark.benchmark
SECONDS, TURNS = 6.0, 2
CPU = torch.device("cpu")


def rate(steps: int, images: int, seconds: float) -> float:
    """Images a second; 0 on a machine so busy that there was no second step."""
    return steps * images / seconds if steps else 0.0


def of_command_line(splits: Splits, folder) -> float:
    """Images a second of what the clock on the wall counted, from the first step's end to the last's."""
    config = TrainConfig(minutes=SECONDS / 60)
    steps = Run(folder, RunSpec("shapes", "vit_live", config), splits, CPU).steps(save_every=60)
    first, began = next(steps), time.perf_counter()
    last, ended = first, time.perf_counter()
    for progress in steps:
        if progress.done < 1:  # after the last step all is validated
            last, ended = progress, time.perf_counter()
    return rate(last.step - first.step, config.batch_size, ended - began)


def of_page() -> float:
    run = runs.start(settings.read({"dataset": "shapes", "model": "vit_live", "minutes": SECONDS / 60}))
    until(lambda: run.progress, seconds=60)
    first, began = run.progress, time.perf_counter()
    last, ended = first, began
    while run.live and run.status != "testing":
        if run.progress.step > last.step and run.progress.done < 1:
            last, ended = run.progress, time.perf_counter()
        time.sleep(0.005)
    until(lambda: not run.live, seconds=60)
    return rate(last.step - first.step, run.settings.config.batch_size, ended - began)


def test_the_page_trains_nearly_as_many_images_a_second_as_the_command_line(
    registry, shapes, tmp_path, monkeypatch, judge
):
    few_to_test = Splits(shapes.train, shapes.validation.take(slice(200)), shapes.test.take(slice(100)))
    monkeypatch.setattr(SOURCES["shapes"], "splits", few_to_test)
    measured = [(of_command_line(few_to_test, tmp_path / str(turn)), of_page()) for turn in range(TURNS)]
    alone, page = (statistics.median(rates) for rates in zip(*measured))
    print(f"\ncommand line {alone:.0f} images/s, page {page:.0f}")
    judge(page >= 0.9 * alone > 0, f"the page trains {page:.0f} images/s, the command line {alone:.0f}")


def test_recording_takes_at_most_three_hundredths_of_a_run(shapes, tmp_path, monkeypatch, judge):
    """All that the recorder does happens between two steps, so that its own time is what it costs."""
    spent = []

    def timed(method):
        def call(*arguments):
            began = time.perf_counter()
            method(*arguments)
            spent.append(time.perf_counter() - began)

        return call

    for name in ("__init__", "look", "save"):
        monkeypatch.setattr(Recorder, name, timed(getattr(Recorder, name)))
    config = TrainConfig(minutes=4 * SECONDS / 60)
    run = Run(tmp_path, RunSpec("shapes", "vit_live", config, record=True), shapes, CPU)
    began = time.perf_counter()
    for _ in run.steps(save_every=10):
        pass
    run.finish()
    share = sum(spent) / (time.perf_counter() - began)
    print(f"\n{share:.1%} of {4 * SECONDS:.0f} s")
    judge(share <= 0.03, f"recording took {share:.1%} of the run, expected 3% at most")
