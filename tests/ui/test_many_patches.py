"""A model of DINOv2's shape at its own 518 px, 37 x 37 patches: the first view, what is sent, and a patch's own row."""

import json
import time

import pytest
import torch

from vit import ViT
from vit.interpret.analysis import Analysis
from vit.ui import analysis as page_analysis
from vit.ui.attention import rows

SMALL = {"embed_dim": 384, "depth": 12, "num_heads": 6}


@pytest.fixture
def viewed(monkeypatch):
    """A first view of a Small: seconds until it can be sent, what is sent, and how many bytes; rows are asked of it."""
    model = ViT(img_size=518, patch_size=14, num_classes=0, reg_tokens=4, **SMALL).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.05, generator=generator)
    picture = torch.randint(0, 255, (3, 518, 518), dtype=torch.uint8, generator=generator)
    started = time.perf_counter()
    analysis = Analysis(model, picture)
    sent = json.dumps(page_analysis.payload(analysis, "dinov2", ("shapes", 0)))
    seconds = time.perf_counter() - started
    monkeypatch.setattr(page_analysis, "predict", lambda key, picture: analysis)
    return seconds, json.loads(sent), len(sent)


@pytest.mark.benchmark
def test_a_small_is_seen_within_3_s_and_3_mb_and_a_row_comes_within_200_ms(viewed, judge):
    seconds, sent, size = viewed
    assert sent["shape"] == [12, 6, 37, 37] and sent["maps"]["pool"] > 1 and sent["sampled"] == 6
    assert size < 3_000_000
    rows.row({"token": sent["token"], "patch": 0, "direction": "to"})
    started = time.perf_counter()
    answer = rows.row({"token": sent["token"], "patch": 700, "direction": "by"})
    taken = 1000 * (time.perf_counter() - started)
    assert len(answer["bytes"]) < 200_000
    judge(seconds < 3, f"the first view took {seconds:.1f} s")
    judge(taken < 200, f"a patch's row took {taken:.0f} ms")
