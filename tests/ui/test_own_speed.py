"""How fast the shipped model learns one's own pictures, and answers them live, on a machine that does nothing else."""

import base64
import io
import time

import pytest
import torch.nn.functional as F
from PIL import Image

from tests.live.conftest import until
from vit.live import collection, runs, storage, teaching
from vit.live.collection import SIDE
from vit.live.visitors import Visitor
from vit.ui.own import breaking

pytestmark = pytest.mark.benchmark
CLASSES, EACH = ("heart", "ring", "star"), 20


@pytest.fixture
def sixty(monkeypatch, tmp_path, shapes) -> collection.Collection:
    monkeypatch.setattr(storage, "FOLDER", tmp_path / "runs")
    monkeypatch.setattr(collection, "_sets", {})
    monkeypatch.setattr(runs, "OTHERS", {})
    own = collection.create()
    for name in CLASSES:
        images = shapes.test.images[shapes.test.labels == shapes.test.classes.index(name)][:EACH]
        for i, image in enumerate(F.interpolate(images, (SIDE, SIDE))):
            own.put(name, f"{name} {i}", image)
    return own


def test_the_head_is_tested_ten_seconds_after_start_and_the_whole_model_sixty(sixty, judge):
    began = time.perf_counter()
    going = teaching.start(sixty.token, None, tuple(teaching.WAYS), Visitor())
    took = {}
    for way, most in (("head", 10), ("all", 60)):
        found = next(one for one in going.ways if one.name == way)
        until(lambda found=found: found.key or not going.live, seconds=180)
        took[way] = time.perf_counter() - began
        judge(took[way] <= most, f"{way}: {took[way]:.1f} s from Start to the tested model, expected {most} at most")
    until(lambda: not going.live, seconds=180)
    print(f"\nfrom {going.parent}, {len(CLASSES)} x {EACH} pictures:", {way: f"{s:.1f} s" for way, s in took.items()})
    for way in going.ways:
        print(way.name, f"{way.evaluation.accuracy:.0%} of {way.evaluation.n} held out, {way.seconds:.1f} s")


def test_the_cameras_picture_is_answered_five_times_a_second(sixty, judge):
    buffer = io.BytesIO()
    picture = sixty.classes["heart"][0].pixels().permute(1, 2, 0).numpy()
    Image.fromarray(picture).save(buffer, format="JPEG")
    question = {"model": teaching.default_parent(), "content": base64.b64encode(buffer.getvalue()).decode()}
    breaking.look(question)
    began = time.perf_counter()
    for _ in range(20):
        assert "bars" in breaking.look(question)
    rate = 20 / (time.perf_counter() - began)
    print(f"\n{rate:.1f} pictures a second")
    judge(rate >= 5, f"{rate:.1f} pictures a second, expected 5 or more")
