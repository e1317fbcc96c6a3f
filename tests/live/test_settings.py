"""What a visitor may choose: mistakes named with their remedy, sizes, and the command that does the same."""

import math
import shlex

import pytest

from tests.live.conftest import TINY
from vit.cli import build_parser
from vit.cli.train import CONFIG_FLAGS, SHAPE_FLAGS
from vit.live import settings

LARGE = {"patch_size": 2, "embed_dim": 384, "depth": 12, "num_heads": 6}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"embed_dim": 100, "num_heads": 3}, "embed_dim", "choose a width of 99 or 102"),
        ({"embed_dim": 2, "num_heads": 3}, "embed_dim", "choose a width of 3"),
        ({"num_heads": 0}, "embed_dim", "choose 1 or more"),
        ({"patch_size": 5}, "patch_size", "choose 2, 4, 8 or 16"),
        ({"depth": 0}, "depth", "1 to 24 layers"),
        ({"depth": 24, "embed_dim": 9600, "num_heads": 3}, "embed_dim", "choose a smaller width"),
        ({"classes": []}, "classes", "choose at least 2"),
        ({"classes": ["heart"]}, "classes", "choose at least 2"),
        ({"classes": ["heart", "cat"]}, "classes", "no class 'cat'"),
        ({"learning_rate": 50}, "learning_rate", "tend to diverge"),
        ({"learning_rate": math.nan}, "learning_rate", "positive number"),
        ({"batch_size": 0}, "batch_size", "batch_size must be a positive number"),
        ({"batch_size": 9999}, "batch_size", "at most 1024"),
        ({"warmup": 1.5}, "warmup", "below 1"),
        ({"weight_decay": -1}, "weight_decay", "0 or positive"),
        ({"seed": None}, "seed", "seed is empty"),
        ({"minutes": 1000}, "minutes", "at most 10 minutes"),
        ({"model": "vit_tiny", "patch_size": 2, "depth": 24, "num_heads": 24}, "num_heads", "too many maps"),
        ({"model": "vit_small", **LARGE, "batch_size": 128}, "batch_size", "choose a batch of at most 60"),
        ({"momentum": 1}, "momentum", "no setting 'momentum'"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(change, field, words):
    with pytest.raises(settings.WrongSetting, match=words) as caught:
        settings.read({**TINY, **change})
    assert caught.value.field == field


def test_sizes_are_those_of_the_real_model():
    counted = settings.size("vit_tiny", 10)
    assert counted.parameters == 5_362_762 and counted.tokens == 65
    assert 0.6e9 < counted.flops < 0.8e9  # about 2 x 5.4M parameters x 65 tokens, and attention


def test_the_command_of_a_run_trains_the_same():
    given = {
        "dataset": "shapes",
        "model": "vit_live",
        "minutes": 0.5,
        "learning_rate": 3e-3,
        "warmup": 0.2,
        "flip": False,
    }
    chosen = settings.read({**given, "classes": ["star", "heart"], "patch_size": 8, "depth": 2, "seed": 7, "crop": 0})
    arguments = build_parser().parse_args(shlex.split(chosen.command)[3:])
    recipe = (*CONFIG_FLAGS, "flip")
    assert {name: getattr(arguments, name) for name in recipe} == {n: getattr(chosen.config, n) for n in recipe}
    given_shape = {name: getattr(arguments, name) for name in SHAPE_FLAGS}
    assert {name: value for name, value in given_shape.items() if value is not None} == chosen.shape
    assert (arguments.minutes, tuple(arguments.classes)) == (0.5, chosen.classes)
