"""What a visitor may choose: mistakes named with their remedy, sizes, and the command that does the same."""

import math
import shlex

import pytest

from tests.live.conftest import TINY
from vit.cli import build_parser
from vit.cli.train import read
from vit.data.registry import DATASETS
from vit.live import settings
from vit.training.spec import RunSpec

LARGE = {"patch_size": 2, "embed_dim": 384, "depth": 12, "num_heads": 6}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"embed_dim": 100, "num_heads": 3}, "embed_dim", "choose a width of 99 or 102"),
        ({"embed_dim": 2, "num_heads": 3}, "embed_dim", "choose a width of 3"),
        ({"num_heads": 0}, "num_heads", "Num heads must be a whole number from 1 to 1,000, got 0"),
        ({"patch_size": 5}, "patch_size", "one of 2, 4, 8, 16, got 5"),
        ({"depth": 0}, "depth", "from 1 to 24, got 0"),
        ({"depth": 24, "embed_dim": 9600, "num_heads": 3}, "embed_dim", "choose a smaller width"),
        ({"classes": []}, "classes", "choose at least 2"),
        ({"classes": ["heart"]}, "classes", "choose at least 2"),
        ({"classes": ["heart", "cat"]}, "classes", "no class 'cat'"),
        ({"learning_rate": 50}, "learning_rate", "tend to diverge"),
        ({"learning_rate": math.nan}, "learning_rate", "positive number"),
        ({"batch_size": 0}, "batch_size", "Batch size must be a whole number from 1 to 1,024, got 0"),
        ({"batch_size": 9999}, "batch_size", "from 1 to 1,024, got 9999"),
        ({"warmup": 1.5}, "warmup", "below 1"),
        ({"weight_decay": -1}, "weight_decay", "from 0 to 10, got -1"),
        ({"seed": None}, "seed", "Seed is empty"),
        ({"minutes": 1000}, "minutes", "at most 10, got 1000"),
        ({"model": "vit_tiny", "patch_size": 2, "depth": 24, "num_heads": 24}, "num_heads", "too many maps"),
        ({"model": "vit_small", **LARGE, "batch_size": 128}, "batch_size", "choose a batch of at most 60"),
        ({"momentum": 1}, "advanced", "no setting 'momentum'"),
        ({"depth": 2.7}, "depth", "whole number from 1 to 24, got 2.7"),
        ({"depth": "2"}, "depth", "whole number from 1 to 24, got '2'"),
        ({"depth": True}, "depth", "got True"),
        ({"flip": "maybe"}, "flip", "true or false, got 'maybe'"),
        ({"flip": 1}, "flip", "true or false, got 1"),
        ({"minutes": True}, "minutes", "got True"),
        ({"minutes": math.inf}, "minutes", "got inf"),
        ({"weight_decay": 1e308}, "weight_decay", "from 0 to 10, got 1e.308"),
        ({"weight_decay": [0.1]}, "weight_decay", r"got \[0.1\]"),
        ({"learning_rate": "0.1"}, "learning_rate", "at most 1, got '0.1'"),
        ({"learning_rate": None}, "learning_rate", "is empty"),
        ({"warmup": math.nan}, "warmup", "got nan"),
        ({"batch_size": 10**400}, "batch_size", "more than 300 digits"),
        ({"embed_dim": -128}, "embed_dim", "from 1 to 10,000, got -128"),
        ({"embed_dim": 10**9}, "embed_dim", "from 1 to 10,000"),
        ({"stem": {}}, "stem", "one of patch, conv, got {}"),
        ({"dataset": ["shapes"]}, "dataset", f"one of {', '.join(DATASETS)}, got"),
        ({"model": None}, "model", "is empty"),
        ({"model": "vit_base"}, "model", "got 'vit_base'"),
        ({"classes": "heart"}, "classes", "a list of names, got 'heart'"),
        ({"classes": [1, 2]}, "classes", "a list of names"),
        ({"classes": ["heart", "heart"]}, "classes", "'heart' is named twice; name each class once"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(change, field, words):
    with pytest.raises(settings.WrongSetting, match=words) as caught:
        settings.read({**TINY, **change})
    assert caught.value.field == field


@pytest.mark.parametrize("advanced", [[], [("depth", 2)], "depth", 5, True])
def test_advanced_settings_are_an_object(advanced):
    with pytest.raises(settings.WrongSetting, match="must be an object by name, got") as caught:
        settings.read(TINY, advanced)
    assert caught.value.field == "advanced"


def test_whole_numbers_may_come_as_the_forms_floats():
    spec = settings.read({**TINY, "batch_size": 8.0, "depth": 2.0, "seed": 3.0})
    values = (spec.config.batch_size, spec.shape["depth"], spec.config.seed)
    assert values == (8, 2, 3) and all(type(value) is int for value in values)


def test_sizes_are_those_of_the_real_model():
    spec = RunSpec("shapes", "vit_tiny", settings.DEFAULTS)
    counted = settings.size(spec)
    assert counted.parameters == 5_362_762 and counted.tokens == 65
    assert 0.6e9 < settings.flops(spec) < 0.8e9  # about 2 x 5.4M parameters x 65 tokens, and attention


def test_the_command_of_a_run_trains_the_same():
    asked = {"dataset": "shapes", "model": "vit_live", "minutes": 0.5, "learning_rate": 3e-3, "warmup": 0.2}
    more = {"classes": ["star", "heart"], "patch_size": 8, "depth": 2, "seed": 7, "crop": 0, "flip": False}
    chosen = settings.read(asked, more)
    assert read(build_parser().parse_args(shlex.split(chosen.command)[3:])) == chosen
    assert chosen.classes == ("heart", "star") and chosen.shape == {"patch_size": 8, "depth": 2}
