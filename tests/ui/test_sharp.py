"""What the page asks for about patches of a model with many: their own maps, and what they have in common."""

import base64
import json
import zlib

import numpy as np
import pytest
import torch

from tests.conftest import KINDS, of_kind
from vit.interpret.analysis import Analysis
from vit.interpret.features import cosines, patch_features
from vit.ui import analysis as page_analysis
from vit.ui import asking
from vit.ui.attention import features, rows


@pytest.fixture(params=KINDS)
def analysis(request, monkeypatch):
    found = Analysis(of_kind(request.param), torch.randint(0, 255, (3, 32, 32), dtype=torch.uint8))
    monkeypatch.setattr(asking, "recall", lambda token: (token, None))
    monkeypatch.setattr(asking, "analyze", lambda *_: found)
    return found


@pytest.mark.parametrize("direction", ["to", "by"])
def test_a_patchs_own_maps_are_exact_but_for_half_a_255th_of_their_peak(analysis, direction):
    answer = rows.row({"token": "t", "patch": 11, "direction": direction})
    raw = zlib.decompress(base64.b64decode(answer["bytes"]))
    L, C, P = analysis.depth, analysis.model.num_heads + 1, 64
    weights = np.frombuffer(raw[: L * C * P], np.uint8).reshape(L, C, P).astype(float)
    peaks = np.frombuffer(raw[L * C * P :], np.float32).reshape(L, C)
    found = torch.from_numpy(weights / 255 * peaks[..., None])
    prefix, at = analysis.record.num_prefix_tokens, analysis.record.num_prefix_tokens + 11
    maps = torch.cat([analysis.maps, analysis.rollout[:, :, None]], dim=2)[0]
    expected = (maps[:, :, at] if direction == "to" else maps[..., at])[..., prefix:].double()
    layers = len(analysis.record.layers)
    assert ((found[:layers] - expected).abs() <= expected.amax(-1, keepdim=True) / 510 + 1e-7).all()
    assert not (found[layers:] > 1e-8).any()


def test_coordinates_give_the_cosines_and_say_how_far_they_are_off(analysis):
    answer = features.features({"token": "t"})
    L, P = len(analysis.record.layers), 64
    vectors = torch.frombuffer(bytearray(base64.b64decode(answer["coordinates"])), dtype=torch.uint8)
    vectors = vectors.view(L, P, answer["count"]).double() - 128
    expected = cosines(patch_features(analysis.model, analysis.record)).double()
    off = (vectors @ vectors.mT / 127**2 - expected).abs().max().item()
    assert off == pytest.approx(answer["rounding"], abs=1e-5) and off < 0.1
    assert len(base64.b64decode(answer["colors"])) == L * P * 3 and len(answer["shares"]) == L
    assert all(1 >= sum(row) > 0 for row in answer["shares"]) and json.dumps(answer)


@pytest.mark.parametrize(
    "question", [{"patch": 64}, {"patch": -1}, {"patch": "1"}, {}, {"patch": 1, "direction": "up"}]
)
def test_wrong_questions_are_answered_in_words(analysis, question):
    assert "must be" in rows.row({"token": "t", "direction": "to", **question})["error"]


def test_of_a_model_with_many_patches_the_class_tokens_rows_come_exact_and_those_of_patches_pooled():
    maps = torch.rand(2, 3, 50, 50, generator=torch.Generator().manual_seed(0))
    packed = page_analysis.pack([maps[:, :1], maps[:, 1:]], (7, 7), 1, 3000)
    assert packed["pool"] > 1
    raw = np.frombuffer(zlib.decompress(base64.b64decode(packed["bytes"])), np.uint8)
    queries = 1 + (-(-7 // packed["pool"])) ** 2
    first = raw[: queries * 49].reshape(queries, 49)[0]
    expected = maps[0, 0, 0, 1:]
    assert np.abs(first / 255 * expected.max().item() - expected.numpy()).max() <= expected.max().item() / 510 + 1e-6
