"""Moments of a run: what a snapshot holds, what taking it costs, and which ones are kept."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from tests.live.conftest import TINY
from vit.live import settings, worker
from vit.live.datasets import SOURCES
from vit.training import Progress, moments
from vit.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("registry")


def test_snapshots_leave_the_run_as_it_is(shapes):
    """Same seed, same losses, with a camera and without."""
    chosen = settings.read({**TINY, "minutes": 1})
    chosen = replace(chosen, config=TrainConfig(epochs=0.5, batch_size=8, precision="fp32"))

    class Straight:
        def steer(self, config):
            return True

    def losses():
        frames = worker.learn(chosen.build(), chosen, SOURCES["shapes"].splits, Straight(), torch.device("cpu"))
        return [frame.progress.loss for frame in frames if frame.progress]

    with_camera = losses()
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patched:
        patched.setattr(moments.Camera, "look", lambda *_: None)
        assert losses() == with_camera


def test_snapshots_are_small_and_take_at_most_their_share(monkeypatch):
    """A camera that is far too slow takes fewer pictures, never more time."""
    clock = [0.0]
    monkeypatch.setattr(moments.time, "perf_counter", lambda: clock[0])

    def dawdle(model, pictures, step=0, statistics=False):
        clock[0] += 0.02
        return moments.Snapshot(step, b"", {})

    monkeypatch.setattr(moments, "take", dawdle)
    camera = moments.Camera(None, None)
    taken = [
        camera.look(Progress(step, 1000, 0.1, 0.1, 2.0, 0.1, 1e-3, 100.0, 0.05 * step, 1.0)) for step in range(1, 60)
    ]
    assert sum(snapshot is not None for snapshot in taken) >= 3
    assert camera.seconds <= moments.SHARE * 0.05 * 60


def test_a_snapshot_reads_back_what_the_model_says(shapes):
    chosen = settings.read(TINY)
    model, pictures = chosen.build(), moments.probe(shapes.validation)
    assert len(pictures) == moments.PICTURES and len(set(pictures.labels.tolist())) == moments.PICTURES
    taken = moments.take(model, pictures)
    assert sum(math.prod(shape) for shape in taken.shapes.values()) == len(taken.data) < 20_000
    start, length = math.prod(taken.shapes["maps"]), math.prod(taken.shapes["probabilities"])
    shares = torch.frombuffer(bytearray(taken.data[start : start + length]), dtype=torch.uint8).view(6, 10) / 255
    assert shares.sum(1).allclose(torch.ones(6), atol=0.03)


def test_an_album_keeps_the_first_the_last_and_few_between():
    album = moments.Album()
    for step in range(0, 3000, 10):
        album.add(moments.Snapshot(step, b"", {}), {"step": step})
    kept = [moment.figures["step"] for moment in album.moments]
    assert len(kept) == moments.KEPT and kept[0] == 0 and kept[-1] == 2990 and 10 <= kept[1] <= 40
    gaps = [after - before for before, after in itertools.pairwise(kept)]
    assert max(gaps[:10]) < max(gaps[-10:]) <= 400, "denser at the start, where attention forms"
    ids = [moment.id for moment in album.moments]
    assert ids == sorted(ids) and [moment.id for moment in album.get(ids[3:6])] == ids[3:6]


def test_an_album_keeps_within_its_bytes():
    album = moments.Album()
    for step in range(50):
        album.add(moments.Snapshot(step, bytes(100_000), {}), {"step": step})
    kept = [moment.figures["step"] for moment in album.moments]
    assert len(kept) == 8 and kept[0] == 0 and kept[-1] == 49
