"""When a model says "none of these": the threshold, what it is fitted on, and how it is kept."""

import json

import pytest
import torch

from vit import ViT
from vit.model import Doubt
from vit.report.calibration import auroc, fit_doubt
from vit.weights.checkpoint import CheckpointError


def test_auroc_is_the_chance_of_being_above_and_half_of_a_tie():
    assert auroc(torch.tensor([3.0, 4]), torch.tensor([1.0, 2])) == 1
    assert auroc(torch.tensor([1.0, 2]), torch.tensor([3.0, 4])) == 0
    assert auroc(torch.tensor([1.0, 1]), torch.tensor([1.0, 1])) == 0.5
    own, other = torch.randn(300), torch.randn(200) - 0.5
    by_hand = ((own[:, None] > other).float() + 0.5 * (own[:, None] == other)).mean().item()
    assert auroc(own, other) == pytest.approx(by_hand, abs=1e-6)


def test_energy_doubts_flat_small_logits_and_confidence_flat_ones_alone(small_vit):
    sure, flat, small = torch.tensor([9.0, 0, 0]), torch.tensor([9.0, 9, 9]), torch.tensor([0.1, 0, 0])
    scores = small_vit.scores(torch.stack([sure, flat, small]))
    assert scores["energy"][1] > scores["energy"][0] > scores["energy"][2]
    assert scores["confidence"][0] > 0.99 > scores["confidence"][2] > scores["confidence"][1] - 1e-6


def test_the_threshold_lets_95_percent_of_the_held_out_pass_and_is_of_the_better_score(small_vit):
    torch.manual_seed(0)
    own, foreign = torch.randn(2000, 10) + 6 * torch.eye(10)[torch.arange(2000) % 10], torch.randn(2000, 10)
    doubt = fit_doubt(small_vit, own, foreign)
    small_vit.doubt = doubt
    assert doubt.false_alarm == pytest.approx(0.05, abs=1e-3)
    assert small_vit.doubts(own).float().mean() == pytest.approx(0.05, abs=1e-3)
    assert small_vit.doubts(foreign).float().mean() > 0.9
    areas = {
        name: auroc(small_vit.scores(own)[name], small_vit.scores(foreign)[name]) for name in ("energy", "confidence")
    }
    assert doubt.score == max(areas, key=areas.get)
    with pytest.raises(ValueError, match="there are none"):
        fit_doubt(small_vit, own[:0], foreign)


def test_it_is_kept_in_the_config_and_absent_where_nobody_fitted_it(small_vit, tmp_path):
    assert "doubt" not in json.loads((small_vit.save_pretrained(tmp_path / "a") / "config.json").read_text())
    assert not ViT.from_pretrained(tmp_path / "a").doubts(torch.randn(5, 10)).any()
    small_vit.doubt = Doubt("energy", 3.5, 0.05)
    small_vit.save_pretrained(tmp_path / "b")
    assert ViT.from_pretrained(tmp_path / "b").doubt == small_vit.doubt


@pytest.mark.parametrize(
    "wrong", [3, {}, {"score": "energy"}, {"score": "luck", "threshold": 1, "false_alarm": 0.1},
              {"score": "energy", "threshold": float("nan"), "false_alarm": 0.1},
              {"score": ["energy"], "threshold": 1, "false_alarm": 0.1},
              {"score": "energy", "threshold": 1, "false_alarm": 2}]
)  # fmt: skip
def test_a_damaged_one_is_refused_by_name(small_vit, tmp_path, wrong):
    file = small_vit.save_pretrained(tmp_path) / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "doubt": wrong}))
    with pytest.raises(CheckpointError, match="'doubt' should be an object of"):
        ViT.from_pretrained(tmp_path)
