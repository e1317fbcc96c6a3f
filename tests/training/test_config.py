"""RunSpec: what fixes a run, as flags, as a command, as a saved record, and as what a model says of its training."""

import shlex
from dataclasses import fields, replace

import pytest
import torch

from vit.cli import build_parser, main
from vit.cli.train import read
from vit.data.registry import DATASETS
from vit.training.config import SETTINGS, TrainConfig, defaults
from vit.training.finetune import AS_THEY_ARE
from vit.training.progress import Progress
from vit.training.setting import Setting, WrongSetting
from vit.training.spec import RUN_SETTINGS, SHAPE, RunSpec

PLAIN = RunSpec("shapes", "vit_live", TrainConfig(minutes=1))
PROGRESS = Progress(3, 3, 0.5, 1.0, 1.2, 0.4, 1e-3, 99.91, 2.04, 0.0)


def another(setting: Setting, usual: object) -> object:
    """A value that the setting can have, and that is not the usual one."""
    if setting.kind is bool:
        return not usual
    if setting.kind is str and not setting.choices:
        return "runs/another one"
    if setting.choices:
        return next(choice for choice in setting.choices if choice != usual)
    return 4 if setting.kind is int and usual != 4 else 8 if setting.kind is int else 0.123456789


TAUGHT = {"shape": {"distilled": True}, "distill_from": "runs/teacher"}
WITH_TEACHER = ("distilled", "distill", "distill_alpha", "distill_tau", "distill_from", "distill_answers")


def plain(name: str) -> RunSpec:
    """A plain run of a model that has the setting of that name."""
    if name == "distill_answers":  # of fixed steps
        return replace(plain("distill"), config=replace(PLAIN.config, minutes=None, epochs=1, distill="soft"))
    if name in WITH_TEACHER:
        return replace(PLAIN, config=replace(PLAIN.config, distill="soft"), **TAUGHT)
    if name == "train":  # of a head, on a trained body
        return replace(PLAIN, parent="runs/parent", config=replace(PLAIN.config, **AS_THEY_ARE, optimizer="adamw"))
    return replace(PLAIN, model="cnn") if name == "width" else PLAIN


def specs() -> dict[str, RunSpec]:
    """One that differs from the plain one in each of its fields."""
    config = PLAIN.config
    changed = {
        name: replace(plain(name), shape={name: True if name == "distilled" else another(s, None)})
        for name, s in SHAPE.items()
    }
    for name, setting in SETTINGS.items():
        change = {name: another(setting, getattr(plain(name).config, name))}
        change |= {"minutes": None} if name == "epochs" else {}
        change |= {"batch_size": 8} if name == "accumulate" else {}
        changed[name] = replace(plain(name), config=replace(plain(name).config, **change))
    for name, setting in RUN_SETTINGS.items():
        changed[name] = replace(plain(name), **{name: another(setting, getattr(plain(name), name))})
    changed["model"] = replace(PLAIN, model="vit_tiny")
    changed["large"] = replace(PLAIN, model="vit_base", shape={"patch_size": 16})
    changed["classes"] = replace(PLAIN, classes=("moon", "heart"))
    changed["dataset"] = RunSpec("cifar10", "vit_live", config)
    return changed


def parsed(spec: RunSpec) -> RunSpec:
    assert spec.command.startswith("python -m vit train ")
    return read(build_parser().parse_args(shlex.split(spec.command)[3:]))


def test_every_field_of_a_run_is_varied_here():
    of_config = {field.name for field in fields(TrainConfig)}
    of_run = {field.name for field in fields(RunSpec)} - {"config", "shape", "processes"}
    assert of_config | of_run | SHAPE.keys() <= specs().keys()
    assert of_config == SETTINGS.keys(), "a field without a setting would have neither check nor flag"


@pytest.mark.parametrize("name", specs())
def test_what_differs_from_the_default_is_in_the_command_and_read_back_from_it(name):
    spec = specs()[name]
    assert spec != PLAIN and spec.command != PLAIN.command
    assert parsed(spec) == spec


@pytest.mark.parametrize("name", specs())
def test_a_run_is_read_back_from_its_record(name):
    assert RunSpec.from_saved(specs()[name].saved()) == specs()[name]


def test_the_plain_command_says_no_more_than_it_has_to():
    assert PLAIN.command == "python -m vit train --dataset shapes --model vit_live --minutes 1"
    assert parsed(PLAIN) == PLAIN
    together = replace(PLAIN, processes=2)
    assert together.command == "torchrun --nproc-per-node 2 -m vit train " + PLAIN.command.split(" train ")[1]


def test_a_datasets_recipe_is_the_default_and_the_command_says_what_differs_from_it(monkeypatch):
    recipe = {"flip": False, "lr": 1e-3, "minutes": 5, "compile": True}
    monkeypatch.setitem(DATASETS, "shapes", replace(DATASETS["shapes"], recipe=recipe))
    plain = read(build_parser().parse_args(["train", "--dataset", "shapes"]))
    assert {name: getattr(plain.config, name) for name in recipe} == recipe
    assert parsed(plain) == plain and "--lr" not in plain.command
    other = read(build_parser().parse_args(["train", "--dataset", "shapes", "--flip", "--epochs", "2", "--no-compile"]))
    assert (other.config.flip, other.config.epochs, other.config.minutes) == (True, 2, None)
    assert parsed(other) == other and "--flip" in other.command
    assert parsed(PLAIN) == PLAIN, "also where a value is TrainConfig's default and not the recipe's"


def test_a_large_model_has_patches_of_its_own_size_of_large_pictures_and_of_4_of_small_ones():
    flags = ["train", "--dataset", "shapes", "--model", "vit_base"]
    for more, shape in (
        ([], {"patch_size": 4}),
        (["--img-size", "48"], {"patch_size": 4}),
        (["--img-size", "224"], {}),
        (["--img-size", "224", "--patch-size", "32"], {"patch_size": 32}),
    ):
        spec = read(build_parser().parse_args([*flags, *more]))
        assert spec.shape == shape and parsed(spec) == spec


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["--optimizer", "adamw"], ["--opt", "adamw"]),
        (["--label-smoothing", "0.2"], ["--smoothing", "0.2"]),
        (["--erase", "0.2"], ["--reprob", "0.2"]),
        (["--colour", "0.2"], ["--color-jitter", "0.2"]),
        (["--ema", "0.9"], ["--model-ema-decay", "0.9"]),
        (["--drop-rate", "0.1"], ["--drop", "0.1"]),
        (["--no-autocast"], ["--precision", "fp32"]),
        (["--drop-path-rate", "0.1"], ["--drop-path", "0.1"]),
    ],
)
def test_former_flags_do_what_they_did(old, new, capsys):
    before, now = (read(build_parser().parse_args(["train", *flags])) for flags in (old, new))
    assert before == now != read(build_parser().parse_args(["train"]))
    with pytest.raises(SystemExit):
        build_parser().parse_args(["train", "--help"])
    said = capsys.readouterr().out.split()
    assert new[0] in said and old[0] not in said


def test_autocast_is_the_trials_now(capsys):
    assert read(build_parser().parse_args(["train", "--autocast"])) == read(build_parser().parse_args(["train"]))
    for allowed, precision in ((True, "auto"), (False, "fp32")):
        saved = PLAIN.saved()
        saved["config"] = {**saved["config"], "autocast": allowed}
        del saved["config"]["precision"]
        assert RunSpec.from_saved(saved).config.precision == precision
    with pytest.raises(WrongSetting, match="precision must be one of auto, fp32, bf16, fp16, got 'fp8'"):
        read(build_parser().parse_args(["train", "--precision", "fp8"]))


def test_a_batch_is_never_multiplied_under_timms_name(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["train", "--grad-accum-steps", "2"])
    assert "--grad-accum-steps" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"dataset": "mnist"}, "dataset"),
        ({"dataset": None}, "dataset"),
        ({"model": "resnet"}, "model"),
        ({"shape": {"wings": 2}}, "wings"),
        ({"shape": {"depth": 0}}, "depth"),
        ({"classes": ("cat",)}, "classes"),
        ({"classes": ("heart", "heart")}, "classes"),
        ({"validation_size": -1}, "validation_size"),
        ({"float16": "yes"}, "float16"),
    ],
)
def test_what_cannot_be_is_refused_by_field(change, field):
    with pytest.raises(WrongSetting) as caught:
        replace(PLAIN, **change)
    assert caught.value.field == field


def test_a_model_is_built_as_the_data_and_the_seed_say():
    model = replace(PLAIN, classes=("heart", "moon"), shape={"depth": 1}).build()
    assert (model.config["num_classes"], model.config["img_size"], len(model.blocks)) == (2, 32, 1)
    assert (model.classes, model.mean) == (("heart", "moon"), DATASETS["shapes"].mean)
    assert PLAIN.build().head.weight.equal(PLAIN.build().head.weight)
    other = replace(PLAIN, config=replace(PLAIN.config, seed=1))
    assert not PLAIN.build().head.weight.equal(other.build().head.weight)


def test_trained_tells_how_and_its_command_is_the_runs():
    trained = PLAIN.trained(PROGRESS, torch.device("cpu"), 0.5, lr_changes=[(10.2, 1e-4)])
    assert trained["command"] == PLAIN.command and trained["config"]["lr"] == defaults(TrainConfig)["lr"]
    assert (trained["images_per_second"], trained["seconds"], trained["steps"]) == (99.9, 2.0, 3)
    assert trained["learning_rate_changes"] == {"after 10 s": 1e-4}
    assert "precision" not in trained, "nobody says which"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--dataset", "shapes"], "--dataset"),
        (["--no-flip"], "--no-flip"),
        (["--seed", "0"], "--seed"),
        (["--ema", "0.9"], "--model-ema-decay"),
    ],
)
def test_a_resumed_run_takes_no_settings_not_even_the_default(flags, words, tmp_path, capsys):
    assert main(["train", "--resume", str(tmp_path), *flags]) == 2
    assert f"leave out {words}." in capsys.readouterr().err
