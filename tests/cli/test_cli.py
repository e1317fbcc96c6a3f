"""The commands as a person types them, on the built-in Shapes."""

import csv
import io
import json
import signal
import subprocess
import sys
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image
from safetensors.torch import load_file

from tests.conftest import ROOT
from vit.cli import evaluate, main, train
from vit.data import Splits, cifar10
from vit.model import Classifier
from vit.training.config import TrainConfig
from vit.training.record import read_metrics
from vit.training.spec import RunSpec
from vit.weights.resize import set_image_size


class Result(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(*arguments) -> Result:
    """What the command prints and returns, without the seconds that a new process takes to import torch."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as leave:
            status = leave.code
    return Result(status, out.getvalue(), err.getvalue())


def fails_with_one_line(result: Result, *words: str) -> None:
    last = result.stderr.strip().splitlines()[-1]
    assert result.returncode == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert all(word in last for word in words), last


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("runs") / "first"
    short = ("--dataset", "shapes", "--minutes", "0.05", "--batch-size", "64")
    result = run("train", *short, "--out", folder, "--json")
    assert result.returncode == 0, result.stderr
    return folder, json.loads(result.stdout)


@pytest.fixture(scope="module")
def picture(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "picture.jpg"
    Image.effect_mandelbrot((70, 50), (-2, -1, 1, 1), 50).convert("RGB").save(path)
    return path


def test_train_saves_a_checkpoint_and_says_how_good_it_is(trained):
    folder, report = trained
    assert 0 <= report["accuracy"] <= 1
    assert report["n"] == 1000
    assert report["images_per_second"] > 0
    saved = json.loads((folder / "config.json").read_text())["trained"]
    assert saved["validation_accuracy"] == report["accuracy"]
    assert saved["command"].startswith("python -m vit train --dataset shapes")
    assert saved["config"]["seed"] == 0


def test_train_does_not_overwrite_a_checkpoint(trained):
    folder, _ = trained
    fails_with_one_line(run("train", "--dataset", "shapes", "--out", folder), "already holds a checkpoint")


def interrupt(arguments: list, folder: Path, after: int, sent: signal.Signals) -> tuple[int, str]:
    """Sends a signal to a training run once so many of its steps are recorded; its exit status and last words."""
    command = [sys.executable, "-m", "vit", "train", *map(str, arguments)]
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a job in the background ignores it
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, **heard) as process:
        for text in iter(lambda: process.stderr.read(1), ""):  # the bar is one long line
            if text == "%" and len(read_metrics(folder)) >= after:
                break
        process.send_signal(sent)
        said = process.stderr.read()
    return process.returncode, said


@pytest.mark.slow
def test_a_run_interrupted_and_killed_at_any_moment_is_resumed_and_ends_bit_identical(tmp_path):
    short = ["--dataset", "shapes", "--model", "vit_live_patch", "--epochs", "0.6", "--batch-size", "200"]
    short += ["--precision", "fp32", "--cutmix", "1", "--ema", "0.9", "--drop-path-rate", "0.1", "--save-every", "0"]
    assert run("train", *short, "--out", tmp_path / "whole").returncode == 0

    killed = tmp_path / "killed"
    assert interrupt([*short, "--out", killed], killed, 4, signal.SIGINT)[0] == 130
    assert interrupt(["--resume", killed, "--save-every", 0], killed, 10, signal.SIGKILL)[0] == -signal.SIGKILL
    fails_with_one_line(run("train", *short, "--out", killed), "unfinished run", "--resume")
    fails_with_one_line(run("train", "--resume", killed, "--epochs", "2"), "leave out --epochs")
    fails_with_one_line(run("train", "--resume", killed, "--weight-decay", "0.3"), "leave out --weight-decay")
    result = run("train", "--resume", killed)
    assert result.returncode == 0, result.stderr

    whole, resumed = (load_file(folder / "model.safetensors") for folder in (tmp_path / "whole", killed))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole.keys() | resumed.keys())
    losses = [[(line["step"], line["loss"]) for line in read_metrics(f)] for f in (tmp_path / "whole", killed)]
    assert losses[0] == losses[1]
    assert (killed / "curve.png").exists()
    fails_with_one_line(run("train", "--resume", killed), "holds no unfinished run")


def test_a_model_is_not_evaluated_on_other_classes(trained, shapes, monkeypatch):
    folder, _ = trained
    others = Splits(*(replace(split, classes=tuple(name.upper() for name in split.classes)) for split in shapes))
    monkeypatch.setattr("vit.data.load", lambda name, **_: others)
    fails_with_one_line(run("evaluate", folder, "--dataset", "shapes"), "are not those of shapes")


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path):
    small = ["--model", "vit_live_patch", "--embed-dim", 24, "--depth", 1, "--num-heads", 2]
    arguments = ["--dataset", "shapes", "--minutes", 5, *small, "--out", tmp_path / "r"]
    status, said = interrupt(arguments, tmp_path / "r", 3, signal.SIGINT)
    assert status == 130
    assert "Traceback" not in said
    assert f"python -m vit train --resume {tmp_path / 'r'}" in said
    assert 0 <= json.loads(run("evaluate", tmp_path / "r", "--json").stdout)["accuracy"] <= 1
    assert (tmp_path / "r" / "state.safetensors").exists()


def test_ctrl_c_in_the_last_step_says_that_the_run_is_finished(tmp_path, monkeypatch):
    def interrupted(steps):
        yield from steps
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "_unbroken", interrupted)
    small = ["--model", "vit_live_patch", "--embed-dim", 24, "--depth", 1, "--num-heads", 2, "--precision", "fp32"]
    few = ["--epochs", 0.01, "--validation-size", 10]
    result = run("train", "--dataset", "shapes", *few, *small, "--out", tmp_path / "r")
    assert result.returncode == 130
    assert f"Finished; saved in {tmp_path / 'r'}." in result.stderr and "--resume" not in result.stderr
    assert sorted(path.name for path in (tmp_path / "r").glob("*.safetensors")) == ["model.safetensors"]


@pytest.mark.parametrize(("rank", "local", "turn"), [(0, 0, 0), (8, 0, 1), (3, 3, 2), (11, 3, 2)])
def test_of_processes_one_decodes_first_then_one_on_each_machine_then_the_others(rank, local, turn, monkeypatch):
    done = []
    monkeypatch.setenv("LOCAL_RANK", str(local))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: rank)
    monkeypatch.setattr(torch.distributed, "new_group", lambda **_: "all")
    monkeypatch.setattr(torch.distributed, "barrier", lambda group: done.append("waits"))
    monkeypatch.setattr(train, "load", lambda *_: done.append("loads"))
    monkeypatch.setattr(train.data, "select_classes", lambda splits, names: splits)
    train._data(RunSpec("shapes", "vit_live", TrainConfig(epochs=1)))
    assert done == ["waits"] * turn + ["loads"] + ["waits"] * (3 - turn)


def test_a_damaged_state_says_so(tmp_path):
    (tmp_path / "state.safetensors").write_bytes(b"nothing")
    fails_with_one_line(run("train", "--resume", tmp_path), "state.safetensors", "damaged")
    fails_with_one_line(run("train", "--resume", tmp_path / "elsewhere"), "holds no unfinished run")


@pytest.mark.slow
def test_shape_and_classes_can_be_chosen(tmp_path):
    shape = ["--embed-dim", "32", "--depth", "2", "--num-heads", "4", "--patch-size", "8", "--stem", "patch"]
    chosen = ["--classes", "ring", "heart", "moon", "--no-flip"]
    result = run("train", "--dataset", "shapes", "--epochs", "0.2", *shape, *chosen, "--out", tmp_path / "r")
    assert result.returncode == 0, result.stderr
    saved = json.loads((tmp_path / "r" / "config.json").read_text())
    assert saved["classes"] == ["heart", "moon", "ring"]
    assert [saved["arguments"][name] for name in ("embed_dim", "depth", "patch_size")] == [32, 2, 8]
    report = json.loads(run("evaluate", tmp_path / "r", "--json").stdout)
    assert (report["n"], list(report["per_class"])) == (600, ["heart", "moon", "ring"])
    fails_with_one_line(run("train", "--dataset", "shapes", "--classes", "cat", "dog"), "no class 'cat'", "heart")
    fails_with_one_line(run("train", "--dataset", "shapes", "--num-heads", "5"), "num_heads=5", "embed_dim=128")


def test_evaluate_reports_accuracy_per_class_and_confusion(trained):
    folder, _ = trained
    report = json.loads(run("evaluate", folder, "--json").stdout)
    assert report["n"] == sum(map(sum, report["confusion"])) == 2000
    assert report["accuracy"] == sum(report["confusion"][i][i] for i in range(10)) / 2000
    assert report["images_per_second"] > 0
    text = run("evaluate", folder).stdout
    assert f"{100 * report['accuracy']:.2f}%" in text
    assert all(name in text for name in report["per_class"])


def test_a_model_of_another_shape_learns_some_classes_only(tmp_path):
    shape = ("--embed-dim", 48, "--depth", 1, "--num-heads", 2, "--patch-size", 8, "--stem", "patch")
    recipe = ("--weight-decay", 0, "--warmup", 0, "--crop", 0, "--no-flip", "--classes", "moon", "heart")
    short = ("--dataset", "shapes", "--epochs", 0.1, "--batch-size", 32)
    assert run("train", *short, *shape, *recipe, "--out", tmp_path / "one").returncode == 0
    config = json.loads((tmp_path / "one" / "config.json").read_text())
    assert config["classes"] == ["heart", "moon"]
    assert config["arguments"] | {"embed_dim": 48, "depth": 1, "patch_size": 8} == config["arguments"]
    assert config["trained"]["config"] | {"warmup": 0, "flip": False, "crop": 0} == config["trained"]["config"]
    report = json.loads(run("evaluate", tmp_path / "one", "--json").stdout)
    assert set(report["per_class"]) == {"heart", "moon"} and report["n"] == 400
    fails_with_one_line(run("train", *short, "--classes", "cat"), "no class 'cat'")


@pytest.mark.slow
def test_all_training_images_can_be_learned_from_and_weights_stored_in_half_the_size(tmp_path):
    out = tmp_path / "all"
    settings = ("--dataset", "shapes", "--model", "vit_live", "--epochs", 0.05, "--validation-size", 0, "--float16")
    result = run("train", *settings, "--out", out)
    assert result.returncode == 0, result.stderr
    assert "No image was held out" in result.stdout
    trained = json.loads((out / "config.json").read_text())["trained"]
    assert trained["steps"] == 4  # of 78 an epoch: 10,000 images
    assert trained["validation_accuracy"] is None
    assert {weight.dtype for weight in load_file(out / "model.safetensors").values()} == {torch.float16, torch.int64}
    again = [json.loads(run("evaluate", out, "--json").stdout)["accuracy"] for _ in range(2)]
    assert again[0] == again[1]
    fails_with_one_line(run("train", *settings[:4], "--validation-size", 10_000), "expected 0 to 9999")


@pytest.mark.slow
def test_the_preset_is_narrower_where_time_is_short_unless_the_width_was_chosen(trained, tmp_path):
    assert json.loads((trained[0] / "config.json").read_text())["arguments"]["embed_dim"] == 64  # 3 seconds
    short = ("--dataset", "shapes", "--minutes", 0.02, "--batch-size", 32)
    result = run("train", *short, "--embed-dim", 128, "--out", tmp_path / "wide")
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "wide" / "config.json").read_text())["arguments"]["embed_dim"] == 128


def test_predict_answers_folders_and_zips_and_writes_a_row_a_picture(trained, picture, tmp_path):
    folder, _ = trained
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(picture.read_bytes())
    (tmp_path / "in" / "broken.png").write_bytes(b"%PDF-1.7")
    zips = [tmp_path / "b.zip", tmp_path / "c.zip"]  # both hold a file of one name
    for file in zips:
        with zipfile.ZipFile(file, "w") as archive:
            archive.write(picture, "../b.png")
    done = run("predict", folder, tmp_path / "in", *zips, "--csv", tmp_path / "out.csv")
    names = [str(tmp_path / "in" / "a.png"), *(f"{file}/../b.png" for file in zips)]
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == names
    assert "broken.png is a PDF document" in done.stderr
    rows = list(csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8")))
    assert [bool(row["error"]) for row in rows] == [False, True, False, False]
    assert [row["file"] for row in rows if not row["error"]] == names
    assert len({row["answer"] for row in rows if not row["error"]}) == 1
    assert json.loads(run("predict", folder, *zips, "--json").stdout).keys() == set(names[1:])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_name_that_is_no_utf8_is_a_row_like_any(trained, picture, tmp_path):
    named = tmp_path / b"caf\xe9.png".decode(errors="surrogateescape")
    named.write_bytes(picture.read_bytes())
    assert run("predict", trained[0], named, "--csv", tmp_path / "out.csv", "--json").returncode == 0
    (row,) = csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8"))
    assert row["file"].endswith(r"caf\udce9.png") and row["answer"]


def test_evaluate_compares_two_models_on_the_same_images(trained, shapes, tmp_path):
    folder, _ = trained
    report = json.loads(run("evaluate", folder, "--compare", folder, "--json").stdout)
    same = report["comparison"]
    assert same["first"] == same["second"] == report["accuracy"]
    assert (same["only_first"], same["only_second"], same["p_value"]) == (0, 0, 1.0)
    assert "McNemar's exact test: p = 1." in run("evaluate", folder, "--compare", folder).stdout
    other = Classifier.from_pretrained(folder)
    assert evaluate._as_taken_by(other, other, shapes.test) is shapes.test
    small = Classifier.from_pretrained(folder)
    set_image_size(small, 16)
    seen = evaluate._as_taken_by(small, other, shapes.test)
    assert seen.images.shape == (2000, 3, 16, 16) and torch.equal(seen.labels, shapes.test.labels)
    other.classes = tuple(reversed(other.classes))
    other.save_pretrained(tmp_path)
    fails_with_one_line(run("evaluate", folder, "--compare", tmp_path), "same classes")


def test_what_evaluate_can_not_know_is_null(trained, shapes, monkeypatch):
    few = shapes.test.take(shapes.test.labels < 3).take(slice(60))
    monkeypatch.setattr("vit.cli.evaluate.splits_of", lambda *_: shapes._replace(test=few))
    report = json.loads(run("evaluate", trained[0], "--json").stdout, parse_constant=pytest.fail)
    assert [share is None for share in report["per_class"].values()] == [False] * 3 + [True] * 7
    assert "not measured" in run("evaluate", trained[0]).stdout


def test_predict_names_the_likeliest_classes(trained, picture):
    folder, _ = trained
    report = json.loads(run("predict", folder, picture, picture, "--json").stdout)
    shares = list(report[str(picture)].values())
    assert len(shares) == 5
    assert shares == sorted(shares, reverse=True)
    assert 0.1 < sum(shares) <= 1.001
    assert f"{100 * shares[0]:.2f}%" in run("predict", folder, picture).stdout


def test_a_figure_without_a_kind_is_a_png_and_said_so(trained, picture, tmp_path):
    result = run("attention", trained[0], picture, "--out", tmp_path / "map")
    assert result.stdout.strip().endswith(f": {tmp_path / 'map.png'}")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


@pytest.mark.parametrize("options", [[], ["--layer", "1", "--head", "2"]])
def test_attention_draws_a_figure(trained, picture, tmp_path, options):
    folder, _ = trained
    result = run("attention", folder, picture, *options, "--out", tmp_path / "new" / "map.png")
    assert result.returncode == 0, result.stderr
    assert ("layer 1" if options else "mean of heads") in result.stdout
    with Image.open(tmp_path / "new" / "map.png") as figure:
        assert figure.width > 2 * figure.height
        assert len(figure.convert("RGB").getcolors(1 << 20)) > 50


def test_attention_by_patch_rollout_and_class_with_numbers_and_raw_maps(trained, picture, tmp_path):
    folder, _ = trained
    out = tmp_path / "maps.npz"
    report = json.loads(run("attention", folder, picture, "--query", "2,3", "--rollout", "--out", out, "--json").stdout)
    saved = np.load(out)
    assert saved["maps"].shape == (3, 4, 65, 65) and np.allclose(saved["maps"].sum(-1), 1, atol=1e-4)
    assert np.allclose(saved["rollout"][2, 1 + 8 + 2, 1:].reshape(8, 8), report["grid"], atol=1e-6)
    assert saved["position_similarity"].shape == (64, 8, 8)
    assert np.array(report["object_share"]).shape == (3, 4) and report["object_area"] == 0.25
    assert report["object"] == "the middle of the picture"
    assert len(report["logit_lens"]) == 3
    assert max(report["logit_lens"][-1], key=report["logit_lens"][-1].get) == report["prediction"]
    assert np.array(report["distance"]).shape == (3, 4) and "Later heads" in report["sentence"]
    why = run("attention", folder, picture, "--relevance", "heart", "--out", tmp_path / "why.svg")
    assert why.returncode == 0 and "why heart" in why.stdout
    assert (tmp_path / "why.svg").read_text().startswith("<?xml")


def test_bad_input_is_one_clear_line(trained, picture, tmp_path):
    folder, _ = trained
    text = tmp_path / "text.png"
    text.write_text("no picture")
    fails_with_one_line(run("train", "--dataset", "mnist"), "mnist", "cifar10", "shapes")
    fails_with_one_line(run("train", "--model", "resnet"), "resnet", "vit_tiny")
    fails_with_one_line(run("train", "--dataset", "shapes", "--epochs", "0"), "epochs must be a positive number")
    fails_with_one_line(run("train", "--epochs", "1", "--minutes", "1"), "--minutes", "--epochs")
    fails_with_one_line(run("evaluate", tmp_path / "nothing"), "There is no folder")
    fails_with_one_line(run("predict", folder, text), "text.png", "is a text: expected a picture")
    fails_with_one_line(run("attention", folder, picture, "--layer", "99", "--out", tmp_path / "a.png"), "1 to 3")
    fails_with_one_line(run("attention", folder, picture, "--out", tmp_path / "a.xyz"), "xyz")
    fails_with_one_line(run("attention", folder, picture, "--query", "9,1", "--json"), "from 1,1 to 8,8")
    fails_with_one_line(run("attention", folder, picture, "--relevance", "dog", "--json"), "heart", "dog")
    fails_with_one_line(run("attention", folder, picture), "--out", "--json")


def test_a_lack_of_memory_is_one_clear_line_and_another_error_is_not_hidden(tmp_path, monkeypatch):
    short = ("--dataset", "shapes", "--epochs", 0.02, "--model", "vit_live_patch", "--precision", "fp32")
    monkeypatch.setattr("vit.training.loop.step", lambda *_: torch.empty(10**15))
    fails_with_one_line(run("train", *short, "--out", tmp_path / "r"), "not enough memory", "--batch-size")
    monkeypatch.setattr("vit.training.loop.step", lambda *_: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        run("train", *short, "--out", tmp_path / "s")


def test_without_network_or_cache_cifar10_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cifar10, "FOLDER", tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    fails_with_one_line(run("train"), "CIFAR-10", "hapes")


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("train", {"--dataset", "--minutes", "--weight-decay", "--embed-dim", "--resume", "--out"}),
        ("evaluate", {"--dataset", "--device"}),
        ("report", {"--pictures", "--device"}),
        ("benchmark", {"--only", "--repeats", "--accuracy-of"}),
        ("predict", {"--json"}),
        ("attention", {"--layer", "--head", "--query", "--relevance", "--rollout", "--out"}),
    ],
)
def test_every_command_explains_itself(command, flags):
    result = run(command, "--help")
    assert result.returncode == 0 and result.stdout.startswith(f"usage: python -m vit {command} ")
    assert flags | {"--help"} <= set(result.stdout.split())
    assert f"    {command}" in [line[: 4 + len(command)] for line in run("--help").stdout.splitlines()]
