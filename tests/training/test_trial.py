"""The trial of a run's own step: it decides, it changes nothing, and what it found stays with the run."""

import copy
import json
import time
from dataclasses import asdict, replace

import pytest
import torch

from vit import ViT, cnn, device, evaluation, precision, vit_live
from vit.cli import main
from vit.data import Splits
from vit.precision import Precision, Race, autocast
from vit.training import TrainConfig, train, trial
from vit.training.optim import Muon
from vit.training.run import unfinished
from vit.training.state import TrainState

CPU = torch.device("cpu")
SHAPE = {"embed_dim": 24, "depth": 1, "num_heads": 2, "drop_rate": 0.1, "stem": "conv"}


@pytest.fixture(autouse=True)
def first_in_this_process(monkeypatch):
    monkeypatch.setattr(precision, "_races", {})


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(precision, "SECONDS", 0.02)


@pytest.fixture
def able(monkeypatch):
    """A CPU on which bfloat16 is worth a trial, and on which float16 may be asked for."""
    for module in (precision, trial):
        monkeypatch.setattr(module, "contenders", lambda device: (("fp32", "bf16"), {}))
    monkeypatch.setattr("vit.training.state.check", lambda device, name: None)


@pytest.fixture
def decided(monkeypatch, able):
    """decided(training, answers): what trials find, without one."""

    def decide(training: str, answers: str = "fp32"):
        def race(key, names, begin, most):
            fast = training if key[1][0] == "training" else answers
            return Race({name: 1240.0 if name == fast else 690.0 for name in names})

        monkeypatch.setattr(precision, "race", race)

    return decide


def build() -> ViT:
    torch.manual_seed(0)
    return ViT(**SHAPE)


def losses(shapes, **changes) -> list[float]:
    config = TrainConfig(**{"epochs": 2, "batch_size": 32, "cutmix": 1.0, "ema": 0.9} | changes)
    return [progress.loss for progress in train(build(), shapes.train.take(slice(96)), config)]


def test_a_real_trial_finds_float32_where_bfloat16_is_emulated_and_takes_no_time_to_speak_of():
    if "bf16" in precision.contenders(CPU)[0]:
        pytest.skip("this CPU has bfloat16")
    before = time.process_time()
    found = trial.training_precision(build(), TrainConfig(minutes=1))
    assert found.name == "fp32" and "bf16 multiplies matrices" in str(found)
    assert time.process_time() - before < 3  # a busy machine spends more on the same


def test_a_run_is_the_same_with_a_trial_and_without(shapes, able, short, monkeypatch):
    tried = []
    trained = trial._trained_copy
    monkeypatch.setattr(trial, "_trained_copy", lambda *a: tried.append(a[1].precision) or trained(*a))
    state = torch.get_rng_state()
    monkeypatch.setattr(precision, "_verdict", lambda rates, left_out: Precision("fp32"))
    with_trial = losses(shapes)
    assert tried == ["fp32", "bf16"]
    assert with_trial == losses(shapes, precision="fp32")
    assert torch.get_rng_state().equal(state)


def test_a_trial_leaves_the_model_as_it_was(able, short):
    model = build()
    model.classes = tuple("abcdefghij")
    weights, training = copy.deepcopy(model.state_dict()), model.training
    trial.training_precision(model, TrainConfig(minutes=1, batch_size=16))
    evaluation.inference_precision(model, 5000)
    assert len(precision._races) == 2
    assert all(torch.equal(now, weights[name]) for name, now in model.state_dict().items())
    assert (model.training, model.classes) == (training, tuple("abcdefghij"))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    "build", [lambda: cnn(img_size=9, width=8), lambda: ViT(**{**SHAPE, "img_size": 4})], ids=["CNN", "conv stem"]
)
def test_a_model_whose_batch_norm_sees_one_pixel_of_an_image_is_tried(able, short, build):
    found = trial.training_precision(build(), TrainConfig(minutes=1, batch_size=4))
    assert "fails" not in str(found) and "images/s" in str(found)


def test_rate_and_precision_come_of_one_trial(able, short):
    config = TrainConfig(minutes=1, batch_size=8)
    trial.training_precision(build(), config)
    (found,) = precision._races.values()
    assert trial.images_per_second(build(), config) == max(found.rates.values())
    assert len(precision._races) == 1
    trial.images_per_second(build(), replace(config, precision="fp32"))
    trial.training_precision(build(), replace(config, batch_size=16))
    trial.training_precision(build(), replace(config, optimizer="adamw"))
    trial.training_precision(ViT(**{**SHAPE, "depth": 2}), config)
    assert len(precision._races) == 5, "another precision, batch, optimizer, model"


def test_a_batch_that_fits_in_no_precision_is_said(monkeypatch, able):
    def full(*_):
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(trial, "step", full)
    with pytest.raises(RuntimeError, match=r"batch of 8 can't be tried: fp32 fails \(OutOfMemoryError\), bf16 fails"):
        trial.images_per_second(build(), TrainConfig(minutes=1, batch_size=8))


@pytest.mark.parametrize(("found", "dtype"), [("bf16", torch.bfloat16), ("fp32", torch.float32)])
def test_what_the_trial_finds_is_computed_in(shapes, decided, monkeypatch, found, dtype):
    decided(found)
    seen = set()
    monkeypatch.setattr(ViT, "embed", lambda self, *a, embed=ViT.embed: _noting(embed(self, *a), seen))
    model = build()
    config = TrainConfig(epochs=1, batch_size=32)
    state = TrainState(model, config)
    list(train(model, shapes.train.take(slice(64)), config, state=state))
    assert seen == {dtype}
    assert str(state.precision) == f"{found} by trial: 1,240 against 690 images/s"
    assert [o.dtype for o in state.optimizers if isinstance(o, Muon)] == [dtype]


def _noting(tokens, seen):
    seen.add(tokens.dtype)
    return tokens


def test_answers_have_a_trial_of_their_own_and_few_none(shapes, decided, monkeypatch):
    decided("fp32", answers="bf16")
    model, many = build(), shapes.validation
    monkeypatch.setattr(evaluation, "FEW", 10)
    for part, how, expected in ((many, "auto", "bf16"), (many, "fp32", "fp32"), (many.take(slice(9)), "auto", "fp32")):
        seen = []
        with monkeypatch.context() as patched:
            patched.setattr(evaluation, "autocast", lambda d, name, to=seen: to.append(name) or autocast(d, name))
            evaluation.evaluate(model, part.take(slice(250)), precision=how)
        assert set(seen) == {expected}
    state = TrainState(model, TrainConfig(epochs=1))
    trial.settle(state, TrainConfig(epochs=1), 5000)
    assert (state.precision.name, state.validated_in) == ("fp32", "bf16")
    trial.settle(state, TrainConfig(epochs=1, precision="fp32"), 5000)
    assert state.validated_in == "fp32"


def test_float16_scales_its_losses_skips_what_overflows_and_goes_on_where_it_was(shapes, able):
    """On a CPU, which emulates it: its arithmetic is a GPU's, and so is what the loop does about it."""
    few, config = shapes.train.take(slice(64)), TrainConfig(epochs=4, batch_size=32, precision="fp16")
    model = build()
    state = TrainState(model, config)
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)  # every gradient overflows at first
    steps = train(model, few, config, state=state)
    before = copy.deepcopy(model.state_dict())
    next(steps)
    assert state.scaler.get_scale() == 2.0**39
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name, _ in model.named_parameters())
    state.scaler.update(2.0**10)
    next(steps)
    assert all(p.isfinite().all() for p in model.parameters())
    assert not torch.equal(before["head.weight"], model.state_dict()["head.weight"])

    again = TrainState(build(), config)
    again.restore({name: t.clone() for name, t in state.tensors().items()}, json.loads(json.dumps(state.numbers())))
    assert again.scaler.get_scale() == 2.0**10
    rest = [[p.loss for p in run] for run in (steps, train(again.model, few, config, state=again))]
    assert rest[0] == rest[1] and len(rest[0]) == 6


def test_a_state_keeps_its_precision_unless_another_is_chosen(decided):
    auto = TrainConfig(epochs=1, batch_size=8)
    decided("bf16")
    saved = TrainState(build(), auto)
    trial.settle(saved, auto)
    decided("fp32")
    for config, expected in ((auto, "bf16 by trial: 1,240"), (replace(auto, precision="fp32"), "fp32 as chosen")):
        again = TrainState(build(), config)
        again.restore(saved.tensors(), json.loads(json.dumps(saved.numbers())))
        assert str(trial.settle(again, config)).startswith(expected)


def test_a_state_from_before_there_were_trials_has_one(decided):
    config = TrainConfig(epochs=1, batch_size=8)
    saved, again = TrainState(build(), config), TrainState(build(), config)
    numbers = {name: value for name, value in saved.numbers().items() if name not in ("precision", "scaler")}
    decided("bf16")
    again.restore(saved.tensors(), numbers)
    assert trial.settle(again, config).name == "bf16"


def test_the_first_process_decides_for_all(decided, monkeypatch):
    """As the second of two processes: nothing is tried, what comes is taken."""
    monkeypatch.setattr(trial.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(trial.distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(trial, "training_precision", lambda *a: pytest.fail("tried"))
    monkeypatch.setattr(trial, "inference_precision", lambda *a: pytest.fail("tried"))
    sent = iter(["bf16", asdict(Precision("bf16", "by trial: 2 against 1 images/s"))])
    monkeypatch.setattr(trial.distributed, "broadcast_object_list", lambda box: box.__setitem__(0, next(sent)))
    config = TrainConfig(epochs=1)
    state = TrainState(build(), config, alone=True)
    trial.settle(state, config, 5000)
    assert str(state.precision) == "bf16 by trial: 2 against 1 images/s" and state.validated_in == "bf16"


FLAGS = ["--dataset", "shapes", "--model", "vit_live_patch", "--epochs", "1", "--batch-size", "20", "--device", "cpu"]
FLAGS += ["--depth", "1", "--embed-dim", "16", "--num-heads", "2", "--opt", "adamw"]


@pytest.fixture
def few(monkeypatch, shapes):
    """Few pictures for the command line."""
    splits = Splits(*(part.take(slice(80)) for part in shapes))
    monkeypatch.setattr("vit.cli.train.load", lambda *a: splits)


def test_a_recorded_run_says_what_it_computed_in_and_so_does_its_command(decided, few, tmp_path, capsys):
    decided("bf16")
    assert main(["train", *FLAGS, "--json", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    words = "bf16 by trial: 1,240 against 690 images/s"
    assert json.loads(said.out)["precision"] == words and f"Computes in {words} (--precision)." in said.err
    trained = ViT.from_pretrained(tmp_path).trained
    assert trained["precision"] == words and trained["config"]["precision"] == "bf16"
    assert "--precision bf16" in trained["command"]
    assert f"| precision | {words} |" in (tmp_path / "README.md").read_text()


def test_float16_is_refused_on_a_cpu(few, tmp_path, capsys):
    assert main(["train", *FLAGS, "--precision", "fp16", "--out", str(tmp_path)]) == 2
    assert "choose --precision bf16, fp32 or auto" in capsys.readouterr().err


def test_a_precision_that_is_merely_emulated_is_said_to_be_slow_and_one_that_is_missing_refused(monkeypatch):
    config = TrainConfig(epochs=1, precision="bf16")
    slow = "multiplies matrices 9 times slower"
    said = f"bf16 as chosen, though it {slow} here than fp32"
    for left_out, words in (({}, "bf16 as chosen"), ({"bf16": slow}, said)):
        monkeypatch.setattr(trial, "contenders", lambda device, left_out=left_out: (("fp32",), left_out))
        state = TrainState(build(), config)
        assert str(trial.settle(state, config)) == words
    monkeypatch.setattr(trial, "contenders", lambda device: (("fp32",), {"bf16": "does not work here"}))
    with pytest.raises(ValueError, match="bf16 does not work here; choose --precision fp32 or auto"):
        trial.settle(TrainState(build(), config), config)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ([], "bf16 by trial: 1,240 against 690 images/s"),
        (["--precision", "fp32"], "fp32 as chosen"),
        (["--precision", "auto"], "fp32 by trial: 1,240 against 690 images/s"),
    ],
)
def test_resume_keeps_the_precision_unless_told_otherwise(decided, few, tmp_path, capsys, monkeypatch, flags, expected):
    decided("bf16")
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="the machine went down"):
        patched.setattr("vit.cli.train._status", _going_down)
        main(["train", *FLAGS, "--save-every", "0", "--out", str(tmp_path)])
    assert unfinished(tmp_path)[2]["precision"]["name"] == "bf16"
    decided("fp32")
    assert main(["train", "--resume", str(tmp_path), *flags, "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["precision"] == expected
    assert ViT.from_pretrained(tmp_path).trained["config"]["precision"] == expected.split()[0]


def _going_down(progress, accuracy):
    if progress.step == 2:
        raise RuntimeError("the machine went down")
    return ""


@pytest.mark.benchmark
def test_a_trial_of_the_live_preset_takes_about_a_second(judge):
    trial.images_per_second(build(), TrainConfig(minutes=1))  # what torch imports for its first step
    assert device.choose_device("cpu") == CPU
    before = time.perf_counter()
    trial.training_precision(vit_live(), TrainConfig(minutes=1))
    rate = trial.images_per_second(vit_live(), TrainConfig(minutes=1))
    seconds = time.perf_counter() - before
    names = len(precision.contenders(CPU)[0])
    judge(seconds < 1 + names, f"{seconds:.1f} s for {names} precisions, {rate:.0f} images/s")
