"""The loop: it learns, repeats itself, follows its schedule, and stops with an explanation."""

import itertools
import math
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from tests.conftest import ROOT
from vit import ViT, device, evaluation
from vit.evaluation import evaluate
from vit.training import TrainConfig, TrainingDiverged, loop, state, train
from vit.training.optim import AveragedWeights, Muon, optimizers, orthogonalize, schedule
from vit.training.record import read_metrics
from vit.training.state import TrainState

Config = partial(TrainConfig, precision="fp32")  # no trial, and the same on every machine


def build(seed: int = 0, **shape) -> ViT:
    torch.manual_seed(seed)
    return ViT(**{"embed_dim": 48, "depth": 2, "num_heads": 3, "mlp_ratio": 2.0} | shape)


@pytest.mark.slow
def test_overfits_64_images(shapes):
    few = shapes.train.take(slice(64))
    config = Config(epochs=120, batch_size=32, lr=3e-3, crop=0, flip=False, label_smoothing=0, weight_decay=0)
    history = list(train(build(), few, config))
    assert history[0].loss > 2
    assert history[-1].loss < 0.05
    assert evaluate(build(), few).accuracy < 0.4


@pytest.mark.parametrize(("share", "seen"), [(0.0, 64), (0.5, 32), (0.99, 1)])
def test_patch_dropout_leaves_its_share_out_until_the_strong_part_is_over(shapes, monkeypatch, share, seen):
    model, tokens = build(), []
    model.blocks[0].register_forward_hook(lambda block, inputs, output: tokens.append(inputs[0].shape[1] - 1))
    config = Config(epochs=1, batch_size=10, patch_dropout=share, strong_until=0.5)
    list(train(model, shapes.train.take(slice(100)), config))
    assert tokens == [seen] * 5 + [64] * 5


def test_the_patches_left_in_are_drawn_for_each_image_and_step(shapes, monkeypatch):
    drawn, embed = [], ViT.embed
    monkeypatch.setattr(ViT, "embed", lambda self, images, keep: drawn.append(keep) or embed(self, images, keep))
    list(train(build(), shapes.train.take(slice(40)), Config(epochs=1, batch_size=20, strong_until=1)))
    assert all(len(set(row.tolist())) == 32 for keep in drawn for row in keep)
    assert len({tuple(sorted(row.tolist())) for keep in drawn for row in keep}) == 40


def test_same_seed_same_losses(shapes):
    few = shapes.train.take(slice(96))
    config = Config(epochs=2, batch_size=32)

    def losses(seed):
        model = build(drop_rate=0.1, drop_path_rate=0.1, stem="conv")
        return [p.loss for p in train(model, few, replace(config, seed=seed))]

    assert losses(0) == losses(0)
    assert losses(0) != losses(1)


def test_progress_counts_and_ends_with_the_whole_validation_set(shapes):
    few, held_out = shapes.train.take(slice(300)), shapes.validation.take(slice(50))
    model = build()
    history = list(train(model, few, Config(epochs=3, batch_size=100, lr=1e-3), held_out))
    assert [p.step for p in history] == list(range(1, 10))
    assert [p.steps for p in history] == [9] * 9
    assert [p.done for p in history] == pytest.approx([i / 9 for i in range(1, 10)])
    assert history[2].epoch == 1
    assert all(a.elapsed < b.elapsed for a, b in itertools.pairwise(history))
    assert [p.remaining for p in history] == pytest.approx([p.elapsed * (9 - p.step) / p.step for p in history])
    final = evaluate(model, held_out)
    assert history[-1].validation_accuracy == final.accuracy
    assert history[-1].validation_loss == pytest.approx(final.loss)
    assert not model.training
    assert (model.classes, model.mean) == (few.classes, few.mean)


@pytest.mark.parametrize(("share", "expected"), [(math.inf, [20] * 19 + [1000]), (0, [20, 1000])])
def test_on_the_way_only_a_part_is_validated_and_only_while_it_is_cheap(shapes, monkeypatch, share, expected):
    seen = []
    monkeypatch.setattr(loop, "VALIDATION_SHARE", share)
    monkeypatch.setattr(loop, "QUICK_VALIDATION", 20)
    monkeypatch.setattr(
        loop,
        "evaluate",
        lambda model, data, precision: seen.append(len(data)) or evaluate(model, data, precision=precision),
    )
    list(train(build(), shapes.train.take(slice(16)), Config(epochs=40, batch_size=8), shapes.validation))
    assert seen == expected


def test_minutes_end_on_time_and_leave_out_the_consumers_time(shapes, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(state.time, "perf_counter", lambda: clock[0])
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *a: (clock.__setitem__(0, clock[0] + 1.0), step(*a)))
    history = []
    for progress in train(build(), shapes.train.take(slice(64)), Config(minutes=0.25, batch_size=32)):
        history.append(progress)
        clock[0] += 100  # somebody draws
    assert len(history) == 15
    assert history[-1].elapsed == 15
    assert history[-1].images_per_second == 32
    assert [p.steps for p in history] == [15] * 15
    assert [p.remaining for p in history][-2:] == pytest.approx([1, 0])


def test_learning_rate_follows_the_schedule_and_can_be_changed_while_running(shapes):
    config = Config(epochs=5, batch_size=32, lr=1e-3, warmup=0.2)
    rates = []
    for progress in train(build(), shapes.train.take(slice(64)), config):
        rates.append(progress.lr)
        if progress.step == 5:
            config.lr = 1e-4
    expected = [(1e-3 if i < 5 else 1e-4) * schedule(i / 10, 0.2, "linear") for i in range(10)]
    assert rates == pytest.approx(expected)


def test_schedule_rises_peaks_and_ends_at_zero():
    assert schedule(0, 0.1) == 0.01
    assert schedule(0.05, 0.1) == 0.5
    assert schedule(0.1, 0.1) == schedule(0, 0) == 1
    assert schedule(0.55, 0.1) == pytest.approx(0.5)
    assert schedule(1, 0.1) == pytest.approx(0)


@pytest.mark.parametrize(("shape", "middle"), [("linear", 0.5), ("trapezoid", 1.0), ("cosine", 0.5)])
def test_every_schedule_starts_at_its_peak_and_ends_at_zero(shape, middle):
    assert schedule(0.1, 0.1, shape) == 1
    assert schedule(0.55, 0.1, shape) == pytest.approx(middle)
    assert schedule(1, 0.1, shape) == pytest.approx(0)
    assert schedule(0.85, 0.1, "trapezoid") == pytest.approx(0.5)


def test_the_average_follows_its_formula():
    model = build()
    average, expected = AveragedWeights(model, 0.3), model.head.bias.detach().clone()
    for n in range(6):
        nn.init.normal_(model.head.bias)
        average.update(model)
        decay = min(0.3, (1 + n) / (10 + n))
        expected = decay * expected + (1 - decay) * model.head.bias.detach()
    torch.testing.assert_close(average.model.head.bias, expected)


def test_the_average_is_what_is_validated_and_kept(shapes):
    model = build(stem="conv")
    config = Config(epochs=2, batch_size=64, ema=0.9)
    state_ = TrainState(model, config)
    *_, last = train(model, shapes.train.take(slice(256)), config, shapes.validation.take(slice(100)), state_)
    for kept, average in zip(model.state_dict().values(), state_.average.model.state_dict().values(), strict=True):
        assert torch.equal(kept, average)
    final = evaluate(model, shapes.validation.take(slice(100)))
    assert (final.accuracy, final.loss) == (last.validation_accuracy, last.validation_loss)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_restored_run_ends_bit_identical_to_one_never_interrupted(shapes, optimizer):
    few = shapes.train.take(slice(150))
    config = Config(epochs=3, batch_size=32, mixup=0.8, cutmix=1.0, erase=0.25, color=0.2, ema=0.9, optimizer=optimizer)
    shape = {"stem": "conv", "drop_rate": 0.1, "drop_path_rate": 0.1}

    def finish(run):
        return [progress.loss for progress in run]

    whole, resumed = build(**shape), build(seed=9, **shape)
    losses = finish(train(whole, few, config))
    for stop in (1, 6):  # in the first epoch, in the second
        model = build(**shape)
        interrupted = TrainState(model, config)
        run = train(model, few, config, state=interrupted)
        for _ in range(stop):
            next(run)
        tensors = {name: tensor.clone() for name, tensor in interrupted.tensors().items()}
        again = TrainState(resumed, config)
        again.restore(tensors, interrupted.numbers())
        torch.rand(7)  # somebody else draws random numbers meanwhile
        assert finish(train(resumed, few, config, state=again)) == losses[stop:]
        for ours, theirs in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize("seed", [0, 2**63 - 1])
def test_training_leaves_torchs_global_generator_alone_and_does_not_depend_on_it(shapes, seed):
    few, shape = shapes.train.take(slice(128)), {"stem": "conv", "drop_rate": 0.1, "drop_path_rate": 0.1}
    config = Config(epochs=2, batch_size=32, mixup=0.8, cutmix=1.0, erase=0.25, ema=0.9, seed=seed)
    model, state = build(**shape), torch.get_rng_state()
    alone = [progress.loss for progress in train(model, few, config, few)]
    assert torch.get_rng_state().equal(state)
    beside = []
    for progress in train(build(**shape), few, config, few):
        beside.append(progress.loss)
        torch.rand(5)
        torch.manual_seed(len(beside))
    assert beside == alone
    assert all(getattr(module, "generator", None) is None for module in model.modules()), "it can be copied and saved"


def test_accumulated_parts_give_the_whole_batchs_gradient(shapes):
    few, config = shapes.train.take(slice(256)), Config(epochs=2, batch_size=64)

    def losses(accumulate):
        return [p.loss for p in train(build(), few, replace(config, accumulate=accumulate))]

    assert losses(1) == pytest.approx(losses(4), rel=1e-4)


@pytest.mark.slow
def test_a_compiled_model_learns_the_same(shapes):
    few, config = shapes.train.take(slice(128)), Config(epochs=1, batch_size=64)
    losses = [[p.loss for p in train(build(), few, replace(config, compile=on))] for on in (False, True)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.slow
def test_compiling_without_a_compiler_is_one_sentence(shapes, monkeypatch, tmp_path):
    import torch._inductor.config as inductor

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(inductor.cpp, "cxx", (None, "no-such-compiler"))
    with pytest.raises(ValueError, match=r"no-such-compiler.*Leave out --compile") as error:
        next(train(build(), shapes.train.take(slice(64)), Config(epochs=1, batch_size=32, compile=True)))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_two_processes_give_what_one_gives_with_twice_the_batch(tmp_path):
    """Through the command line and torchrun, with gloo."""
    settings = ["--dataset", "shapes", "--model", "vit_live_patch", "--epochs", "0.15", "--cutmix", "1", "--json"]
    settings += ["--precision", "fp32"]  # bfloat16 would round the two differently
    two = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "vit"]
    one = [sys.executable, "-m", "vit"]
    for command, name, batch in ((two, "two", "64"), (one, "one", "128")):
        out = ["--batch-size", batch, "--out", str(tmp_path / name)]
        result = subprocess.run([*command, "train", *settings, *out], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        assert len(result.stdout.strip().splitlines()) == 1  # only the first process speaks
    lines = [[(p["step"], p["loss"]) for p in read_metrics(tmp_path / name)] for name in ("one", "two")]
    assert len(lines[0]) == 10
    torch.testing.assert_close(torch.tensor(lines[0]), torch.tensor(lines[1]), rtol=1e-4, atol=1e-4)
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("one", "two")]
    for name, weight in weights[0].items():
        torch.testing.assert_close(weight, weights[1][name], rtol=0, atol=2e-4)


def test_a_state_of_another_model_is_refused():
    config = Config(epochs=1)
    saved = TrainState(build(), config)
    with pytest.raises(ValueError, match=r"another run: .* in only one"):
        TrainState(build(depth=1), config).restore(saved.tensors(), saved.numbers())
    with pytest.raises(ValueError, match=r"another model: model\.cls_token was"):
        TrainState(build(embed_dim=24), config).restore(saved.tensors(), saved.numbers())


def test_only_matrices_are_decayed():
    model = build(stem="conv", distilled=True)
    groups = optimizers(model, "adamw", 1e-3, 0.1)[0].param_groups
    names = {id(p): n for n, p in model.named_parameters()}
    decayed, free = ({names[id(p)] for p in group["params"]} for group in groups)
    assert decayed | free == set(names.values())
    assert not decayed & free
    assert {"head.weight", "blocks.0.attn.qkv.weight", "patch_embed.convs.0.weight"} <= decayed
    assert {"cls_token", "dist_token", "pos_embed", "norm.weight", "head.bias", "patch_embed.convs.2.weight"} <= free
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]


@pytest.mark.parametrize(
    "stem, kernels", [("conv", [f"convs.{i}.weight" for i in (0, 4, 8)]), ("patch", ["proj.weight"])]
)
def test_muon_moves_matrices_and_kernels_of_patch_embedding_and_blocks_and_adamw_the_rest(stem, kernels):
    model = build(stem=stem)
    adamw, muon = optimizers(model, "muon", 1e-3, 0.1)
    names = {id(p): n for n, p in model.named_parameters()}
    moved = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    kinds = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    blocks = {f"blocks.{i}.{kind}.weight" for i in range(2) for kind in kinds}
    assert moved == blocks | {f"patch_embed.{kernel}" for kernel in kernels}
    assert moved | {names[id(p)] for g in adamw.param_groups for p in g["params"]} == set(names.values())


@pytest.mark.parametrize("shape", [(3, 16, 16), (24, 8), (8, 24)])
def test_orthogonalize_keeps_directions_and_evens_out_singular_values(shape):
    torch.manual_seed(0)
    u, s, v = torch.linalg.svd(torch.randn(shape), full_matrices=False)
    matrix = (u * (0.1 + s)[..., None, :]) @ v
    result = orthogonalize(matrix)
    values = torch.linalg.svdvals(result)
    assert values.min() > 0.5
    assert values.max() < 1.3
    turned = u.mT @ result @ v.mT  # diagonal where the singular vectors are the same
    torch.testing.assert_close(turned, torch.diag_embed(turned.diagonal(dim1=-2, dim2=-1)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(64, 32), (96, 32), (32, 16, 3, 3)])
def test_a_step_of_muon_is_as_large_as_one_of_adamw(shape):
    matrix = nn.Parameter(torch.zeros(shape))
    matrix.grad = torch.randn(shape)
    muon = Muon([matrix], lr=1.0, weight_decay=0.0)
    muon.step()
    assert matrix.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.3)  # AdamW's typical root mean square


def test_a_loss_that_is_not_finite_stops_the_run_and_says_what_to_try(shapes):
    model = build()
    nn.init.constant_(model.head.weight, math.inf)
    with pytest.raises(TrainingDiverged, match=r"step 1 .* Try a rate of 0.001, or a longer warm-up"):
        next(train(model, shapes.train.take(slice(64)), Config(epochs=1, batch_size=32)))


def test_evaluation_counts(shapes):
    model = build()
    part = shapes.test.take(slice(333))
    evaluation.check_fit(model, part)
    result = evaluate(model, part)
    assert result.n == result.confusion.sum() == 333
    assert result.accuracy == pytest.approx(result.confusion.diag().sum() / 333)
    assert torch.equal(result.confusion.sum(1), part.labels.bincount(minlength=10))
    shares = torch.tensor(result.per_class) * result.confusion.sum(1)
    assert shares.sum().item() == pytest.approx(result.accuracy * 333)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, ["epochs=None", "minutes=None"]),
        ({"epochs": 1, "minutes": 1}, ["epochs=1", "minutes=1"]),
        ({"epochs": 0}, ["epochs", "positive", "0"]),
        ({"minutes": -1}, ["minutes", "positive", "-1"]),
        ({"epochs": 1, "lr": float("nan")}, ["lr", "nan"]),
        ({"epochs": 1, "lr": -1e-3}, ["lr", "-0.001"]),
        ({"epochs": 1, "batch_size": 0}, ["batch_size", "0"]),
        ({"epochs": 1, "weight_decay": -1}, ["weight_decay", "-1"]),
        ({"epochs": 1, "warmup": 1}, ["warmup", "below 1"]),
        ({"epochs": 1, "accumulate": 3}, ["accumulate", "128", "3"]),
        ({"epochs": 1, "erase": 2}, ["erase", "from 0 to 1", "2"]),
        ({"epochs": 1, "schedule": "step"}, ["'step'", "cosine, linear, trapezoid"]),
        ({"epochs": 1, "batch_size": 2.5}, ["batch_size", "positive whole number", "2.5"]),
        ({"epochs": "1"}, ["epochs", "positive number", "'1'"]),
        ({"minutes": True}, ["minutes", "positive number", "True"]),
        ({"epochs": 1, "flip": "maybe"}, ["flip", "true or false", "'maybe'"]),
        ({"epochs": 1, "lr": 10**400}, ["lr", "positive number", "more than 300 digits"]),
        ({"epochs": 1, "seed": [0]}, ["seed", "whole number from 0", "[0]"]),
        ({"epochs": 1, "warmup": None}, ["warmup", "empty", "at least 0 and below 1"]),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, words):
    with pytest.raises(ValueError) as error:
        TrainConfig(**settings)
    assert all(word in str(error.value) for word in words), error.value


def test_model_and_data_that_do_not_fit_are_refused_before_any_work(shapes):
    few, config = shapes.train.take(slice(64)), Config(epochs=1, batch_size=32)
    with pytest.raises(ValueError, match="img_size=32"):
        next(train(build(img_size=64), few, config))
    with pytest.raises(ValueError, match="num_classes=10"):
        next(train(build(num_classes=3), few, config))
    with pytest.raises(ValueError, match="batch_size 65"):
        next(train(build(), few, replace(config, batch_size=65)))
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate(build(), shapes.test.take(slice(0)))
    with pytest.raises(ValueError, match=r"'tpu'.*cpu"):
        device.choose_device("tpu")


def test_the_shipped_checkpoint_tells_shapes_apart(shapes):
    model = ViT.from_pretrained(ROOT / "checkpoints" / "shapes")
    assert evaluate(model, shapes.test).accuracy > 0.9
