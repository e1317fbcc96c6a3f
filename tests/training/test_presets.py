"""The preset follows from what the machine manages, by one rule from one core to a large GPU."""

import math
import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT
from vit import ViT, vit_live
from vit.training import presets
from vit.training.config import TrainConfig
from vit.training.presets import WIDTHS, Preset, fitting, shape_of, worth
from vit.variants import create_model

META = torch.device("meta")
CIFAR10 = 45_000  # pictures to learn from


@pytest.fixture
def machine(monkeypatch):
    """machine(images, each): one that trains so many images a second of vit_live, and takes `each` seconds a step.

    Larger models take as much longer as they have more parameters. Returns a list of the sizes that are tried.
    """
    tried = []

    def build(images: float, each: float = 0.0):
        def rate(model, config):
            tried.append((model.config["embed_dim"], config.batch_size))
            size = sum(parameter.numel() for parameter in model.parameters()) / 500_906
            return config.batch_size / (each + config.batch_size * size / images)

        tried.clear()
        monkeypatch.setattr(presets, "images_per_second", rate)
        monkeypatch.setattr(presets, "create_model", without_memory)
        return tried

    return build


def without_memory(name: str, **shape) -> ViT:
    with META:
        return create_model(name, **shape)


def chosen(minutes: float, pictures: int = CIFAR10, **more) -> tuple[int, int]:
    """Width and batch."""
    found = fitting("vit_live", TrainConfig(minutes=minutes), META, pictures, **more)
    assert found.shape == shape_of(found.shape["embed_dim"])
    return found.shape["embed_dim"], found.batch_size


@pytest.mark.benchmark
def test_a_small_model_is_found_to_train_faster(judge):
    small, large = ({"embed_dim": width, "depth": 2, "num_heads": 2} for width in (16, 256))
    config = TrainConfig(minutes=2, batch_size=8)
    rates = [presets.images_per_second(ViT(**shape), config) for shape in (small, large)]
    assert min(rates) > 0
    judge(rates[0] > 2 * rates[1], f"the small model made {rates[0]:.0f} images a second, the large one {rates[1]:.0f}")


@pytest.mark.parametrize(
    ("images", "each", "minutes", "expected"),
    [
        (100, 0, 2, (64, 128)),  # a slow core
        (350, 0, 2, (96, 128)),  # a core without bfloat16
        (1114, 0, 0.5, (96, 128)),
        (1320, 0, 2, (128, 128)),  # two cores with AMX
        (1320, 0, 20, (192, 128)),
        (100_000, 0.01, 0.5, (192, 512)),  # a GPU, on which a step takes 10 ms however small the batch
        (100_000, 0.01, 2, (256, 512)),
    ],
)
def test_the_preset_grows_with_the_machine_and_the_minutes(machine, images, each, minutes, expected):
    machine(images, each)
    assert chosen(minutes) == expected


def test_a_faster_machine_and_more_minutes_never_give_a_smaller_preset(machine):
    for minutes in (0.01, 2, 20):
        found = []
        for images in (10, 300, 1_000, 3_000, 100_000):
            machine(images)
            found.append(chosen(minutes))
        assert found == sorted(found), minutes
    machine(1_000)
    widths = [chosen(minutes)[0] for minutes in (0.01, 1, 10, 100)]
    assert widths == sorted(widths) and widths[0] == WIDTHS[0] and widths[-1] > 128


def test_few_pictures_keep_the_preset_small_however_fast_the_machine(machine):
    tried = machine(1e6)
    assert chosen(60, pictures=60)[0] == WIDTHS[0]
    assert chosen(60, pictures=CIFAR10)[0] == 256
    assert chosen(60, pictures=1_000_000)[0] == WIDTHS[-1]
    tried = machine(350)
    chosen(2)
    assert {width for width, _ in tried} == {128, 96}, "no size is tried that can't pay"


def test_repeated_pictures_are_worth_less_and_less():
    assert worth(500, 1000) == 500 and worth(1000, 1000) == 1000
    assert 1900 < worth(2000, 1000) < 2000
    assert worth(1e9, 1000) == pytest.approx(1000 * (1 + presets.REPEATS))


def test_a_run_of_few_steps_has_smaller_batches_but_not_where_the_batch_was_chosen(machine):
    machine(600)
    assert chosen(0.01) == (64, 16)
    assert chosen(0.01, resize=False) == (64, 128)
    assert chosen(1) == (96, 128)


def test_of_few_pictures_the_batch_is_a_quarter_at_most(machine):
    machine(100_000, 0.01)  # which has batches of 512 of many
    assert [chosen(2, pictures=pictures)[1] for pictures in (900, 1_024, 2_048)] == [128, 256, 512]


def test_little_memory_gives_a_smaller_preset(machine, monkeypatch):
    machine(1320)
    found = []
    for gigabytes in (math.inf, 1.2, 1.0, 0.5, 0.1, 0.001):
        monkeypatch.setattr(presets, "memory", lambda device, bytes_=1e9 * gigabytes: bytes_)
        found.append(chosen(2))
    assert found[0] == (128, 128) and found == sorted(found, reverse=True) and found[-1] == (64, 16)


def test_a_size_that_cannot_be_tried_is_passed_over(machine, monkeypatch):
    machine(1320)
    tried = presets.images_per_second

    def full(model, config):
        if model.config["embed_dim"] > 96:
            raise RuntimeError("A step with a batch of 128 can't be tried: fp32 fails (OutOfMemoryError).")
        return tried(model, config)

    monkeypatch.setattr(presets, "images_per_second", full)
    assert chosen(2) == (96, 128)


def test_the_usual_preset_is_the_variant_as_it_is():
    own = vit_live().config
    assert {name: own[name] for name in presets.SIZED} == Preset().shape
    assert all(without_memory("vit_live", **shape_of(width)).num_heads >= 4 for width in WIDTHS)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted and limited as on Linux")
def test_with_a_gigabyte_of_memory_half_a_second_on_one_thread_trains_and_a_large_model_is_a_sentence(tmp_path):
    short = ["train", "--dataset", "shapes", "--minutes", "0.01", "--precision", "fp32", "--out"]
    large = ["--model", "vit_live_patch", "--embed-dim", "2048", "--depth", "24", "--num-heads", "8"]
    # What is mapped from files, torch's libraries, the system can let go of.
    fits = "presets.memory = lambda device: 1e9; status = cli.main({}); here = open('/proc/self/status').read(); "
    fits += "print(*(int(here.split(name)[1].split()[0]) for name in ('VmHWM:', 'RssFile:'))); "
    fails = "resource.setrlimit(resource.RLIMIT_DATA, (10**9, 10**9)); status = cli.main({}); "
    for code, more, expected, words in ((fits, [], 0, "vit_live of width 64"), (fails, large, 2, "not enough memory")):
        call = "import resource, vit.cli.train, vit.cli as cli; from vit.training import presets; "
        call += code.format([*short, str(tmp_path / str(expected)), *more]) + "raise SystemExit(status)"
        done = subprocess.run([sys.executable, "-c", call], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == expected and words in done.stderr and "Traceback" not in done.stderr, done.stderr
        if code == fits:
            most, mapped = map(int, done.stdout.splitlines()[-1].split())  # kB
            assert most - mapped < 1e6
