"""Fine-tuning: a student is its parent but for the head, and learns whole or by that alone."""

import json

import pytest
import torch

from tests.conftest import KINDS, of_kind
from vit import ViT, cnn, data, vit_live_patch
from vit.cli import main
from vit.cnn import CNN
from vit.data import Dataset, Splits
from vit.data.dataset import fitted
from vit.evaluation import evaluate
from vit.model import Classifier
from vit.training import TrainConfig, train
from vit.training.config import SETTINGS
from vit.training.finetune import recipe, seen_by, student
from vit.training.head import features
from vit.training.optim import MUON_RATE, optimizers
from vit.training.setting import WrongSetting
from vit.training.spec import RunSpec
from vit.training.state import TrainState

CLASSES = ("dark", "middle", "light")


def brightness(count: int, seed: int, size: int = 32) -> Dataset:
    """Flat squares of three brightnesses, with a little noise."""
    labels = torch.arange(count) % 3
    noise = torch.randint(40, (count, 3, size, size), generator=torch.Generator().manual_seed(seed))
    images = (100 * labels[:, None, None, None] + noise).to(torch.uint8)
    return Dataset("brightness", "train", images, labels, CLASSES, (0.5,) * 3, (0.3,) * 3)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return Splits(brightness(60, 0), brightness(30, 1), brightness(30, 2))


def parent(kind: str = "class token") -> ViT:
    model = of_kind(kind)
    model.classes = tuple(f"class {i}" for i in range(10))
    model.mean, model.std, model.temperature = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), 0.5
    model.trained = {"model": "vit_live_patch", "test_accuracy": 0.9}
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_a_student_reads_of_a_picture_what_its_parent_reads_and_has_a_head_of_its_own(kind, splits):
    old = parent(kind)
    new = student(old, CLASSES, source="runs/old")
    assert torch.equal(*(next(features(model, splits.test)) for model in (old, new)))
    assert (new.classes, new.mean, new.std, new.temperature) == (CLASSES, old.mean, old.std, 1.0)
    assert new.trained == {"parent": "runs/old"}
    assert new(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert not {p.data_ptr() for p in new.parameters()} & {p.data_ptr() for p in old.parameters()}


def test_a_student_of_a_model_without_a_head_or_of_another_size_is_one_of_the_new_size():
    headless = ViT(embed_dim=24, depth=1, num_heads=2, num_classes=0)
    assert student(headless, CLASSES)(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    old = parent()
    large = student(old, CLASSES, 48)
    assert large(torch.zeros(1, 3, 48, 48)).shape == (1, 3) and large.grid_size == (12, 12)
    assert torch.equal(large.pos_embed[:, :1], old.pos_embed[:, :1]) and old.grid_size == (8, 8)
    with pytest.raises(ValueError, match="img_size must be divisible by patch_size"):
        student(old, CLASSES, 30)
    with pytest.raises(ValueError, match="at least 2 classes apart, got 1"):
        student(old, CLASSES[:1])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["head", "all"])
def test_it_learns_whole_or_by_its_head_alone_of_which_the_body_stays_as_it_is(kind, part, splits):
    old = parent(kind)
    model = student(old, CLASSES, generator=torch.Generator().manual_seed(0))
    chosen = {} if part == "head" else {"epochs": 1}
    config = TrainConfig(**{**recipe(part, 60), **chosen, "precision": "fp32"})
    seen = seen_by(model, splits)
    history = list(train(model, seen.train, config, seen.validation))
    assert [p.step for p in history] == list(range(1, history[-1].steps + 1)) and history[-1].done == 1
    result = evaluate(model, seen.validation)
    assert history[-1].validation_accuracy == pytest.approx(result.accuracy)
    assert history[-1].validation_loss == pytest.approx(result.loss, abs=1e-4)
    moved = {name for name, value in old.state_dict().items() if not torch.equal(value, model.state_dict()[name])}
    heads = {name for name in moved if name.startswith("head")}
    assert heads == {name for name in old.state_dict() if name.startswith("head")}
    assert (moved == heads) == (part == "head")
    if part == "head":
        assert result.accuracy > 0.6
        assert torch.allclose(
            model.logits_of(next(features(model, seen.test))), model(model.normalize(seen.test.images)), atol=1e-4
        )


@pytest.mark.parametrize("part", ["head", "all"])
def test_a_cnn_is_a_parent_as_a_vit_is(part, splits):
    torch.manual_seed(0)
    old = cnn(num_classes=10, width=16).eval()
    old.classes, old.mean, old.std = tuple("abcdefghij"), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    old.trained = {"model": "cnn", "test_accuracy": 0.9}
    model = student(old, CLASSES, 24, torch.Generator().manual_seed(0))
    assert (model.classes, model.mean, model.trained) == (CLASSES, old.mean, {"parent": "cnn"})
    assert model.config == {**old.config, "num_classes": 3, "img_size": 24}
    seen = Splits(*(fitted(split, 3, 24) for split in seen_by(model, splits)))
    config = TrainConfig(**{**recipe(part, 60), "epochs": 40 if part == "head" else 2, "precision": "fp32"})
    *_, last = train(model, seen.train, config, seen.validation)
    result = evaluate(model, seen.test)
    assert last.validation_accuracy == pytest.approx(evaluate(model, seen.validation).accuracy)
    moved = {name for name, value in old.state_dict().items() if not torch.equal(value, model.state_dict()[name])}
    assert torch.equal(old.whitening.filters, model.whitening.filters), "what was found of other pictures stays"
    assert (moved == {"head.weight", "head.bias"}) == (part == "head")
    if part == "head":
        assert result.accuracy > 0.6
        read = next(features(model, seen.test))
        assert read.shape == (30, 16)
        assert torch.allclose(model.logits_of(read), model(model.normalize(seen.test.images)), atol=1e-5)
    with pytest.raises(ValueError, match="img_size must be 9 or more, got 8"):
        student(old, CLASSES, 8)


def test_features_are_computed_once_in_batches_and_told_of(splits, monkeypatch):
    model, told, passes = student(parent(), CLASSES), [], []
    model.blocks[0].register_forward_hook(lambda block, inputs, output: passes.append(len(output)))
    monkeypatch.setattr("vit.training.head.images_at_once", lambda device: 40)
    config = TrainConfig(**recipe("head", 60), precision="fp32")
    list(train(model, splits.train, config, splits.validation, progress=lambda done, desc: told.append(done)))
    assert passes == [40, 20, 30]
    assert told == pytest.approx([40 / 90, 60 / 90, 1])


def test_a_model_that_was_trained_keeps_its_normalization_and_a_new_one_takes_the_datas(splits):
    for model, expected in ((student(parent(), CLASSES), (0.1, 0.2, 0.3)), (vit_live_patch(num_classes=3), (0.5,) * 3)):
        next(train(model, splits.train, TrainConfig(epochs=1, batch_size=60, precision="fp32")))
        assert model.mean == expected


def test_a_heads_run_goes_on_where_it_was_as_if_it_had_not_stopped(splits):
    config = TrainConfig(**{**recipe("head", 60), "epochs": 6, "batch_size": 20, "ema": 0.9}, precision="fp32")

    def begin() -> tuple[ViT, TrainState]:
        model = student(parent(), CLASSES, generator=torch.Generator().manual_seed(0))
        return model, TrainState(model, config)

    whole, state = begin()
    losses = [p.loss for p in train(whole, splits.train, config, splits.validation, state)]
    first, state = begin()
    steps = train(first, splits.train, config, splits.validation, state)
    before = [next(steps).loss for _ in range(7)]
    saved = {name: value.clone() for name, value in state.tensors().items()}, state.numbers()
    second, state = begin()
    state.restore(*saved)
    after = [p.loss for p in train(second, splits.train, config, splits.validation, state)]
    assert before + after == losses
    assert torch.equal(whole.head.weight, second.head.weight)


def test_the_rate_decays_layer_by_layer_below_the_head():
    model = of_kind("attn with registers")
    for name, fold in (("adamw", 1.0), ("muon", MUON_RATE)):
        rates = {
            key: group["rate"]
            for optimizer in optimizers(model, name, 1e-3, 0.1, layer_decay=0.5)
            for group in optimizer.param_groups
            for key, parameter in model.named_parameters()
            if any(parameter is p for p in group["params"])
        }
        assert rates.keys() == dict(model.named_parameters()).keys()
        assert rates["head.weight"] == rates["attn_pool.q.weight"] == rates["norm.bias"] == 1
        assert [rates[f"blocks.{i}.norm1.weight"] for i in range(3)] == [0.125, 0.25, 0.5]
        assert [rates[f"blocks.{i}.attn.qkv.weight"] for i in range(3)] == [0.125 * fold, 0.25 * fold, 0.5 * fold]
        assert rates["pos_embed"] == rates["reg_token"] == 0.0625


class Plain(Classifier):
    """A model of somebody else's."""

    def __init__(self):
        super().__init__({"in_chans": 3, "img_size": 32, "num_classes": 3})
        self.head = torch.nn.Linear(3, 3)


def test_what_a_head_alone_can_not_do_is_refused_by_name(splits):
    config = TrainConfig(epochs=1, batch_size=20, train="head", precision="fp32")
    with pytest.raises(ValueError, match=r"Of a Plain the head can't learn alone: .* train it as a whole"):
        next(train(Plain(), splits.train, config))
    with pytest.raises(WrongSetting, match="learns from the labels; leave out distill"):
        TrainConfig(epochs=1, train="head", distill="hard")
    with pytest.raises(WrongSetting, match="learns on a trained body; name one: --from"):
        RunSpec("shapes", "vit_live", config)
    values = {"dataset": "shapes", "parent": "runs/x", "train": "head"}
    idle = {
        "mixup": 0.5,
        "flip": True,
        "optimizer": "muon",
        "clip_norm": 2,
        "layer_decay": 0.5,
        "accumulate": 2,
        "compile": True,
        "strong_until": 0.3,
    }
    for name, value in idle.items():
        said = " ".join(SETTINGS[name].words(name, value))
        with pytest.raises(WrongSetting, match=f"^{said} would do nothing: the head alone learns from") as caught:
            RunSpec.make({**values, name: value})
        assert caught.value.field == name
    harmless = {"clip_norm": 1, "layer_decay": 1, "accumulate": 1, "compile": False, "optimizer": "adamw", "ema": 0.9}
    RunSpec.make({**values, **harmless})
    with pytest.raises(WrongSetting, match="has its depth"):
        RunSpec.make({**values, "depth": 2})
    with pytest.raises(WrongSetting, match="leave out --model"):
        RunSpec.make({**values, "model": "vit_live"})


def test_the_recipe_suits_any_number_of_pictures(splits):
    for images in (1, 2, 7, 60, 500, 40_000):
        for part in ("head", "all"):
            config = TrainConfig(**recipe(part, images))
            assert config.batch_size <= images and config.train == part
    assert recipe("all", 60)["epochs"] * 60 <= 3_000 <= recipe("all", 500)["epochs"] * 500


def test_the_command_line_fine_tunes_and_the_card_says_from_what(tmp_path, monkeypatch, shapes, capsys):
    few = Splits(*(split.take(slice(200)) for split in shapes))
    monkeypatch.setattr(data, "load", lambda *_, **__: few)
    parent().save_pretrained(tmp_path / "parent")
    for part in ("head", "all"):
        out = tmp_path / part
        flags = ["--from", str(tmp_path / "parent"), "--train", part, "--classes", "star", "moon", "--img-size", "16"]
        flags += ["--batch-size", "16"]
        flags += ["--epochs", "1"] if part == "all" else []
        assert main(["train", "--dataset", "shapes", *flags, "--out", str(out), "--json"]) == 0
        report = json.loads(capsys.readouterr().out)
        model = ViT.from_pretrained(out)
        assert (model.config["img_size"], model.classes, model.mean) == (16, ("moon", "star"), (0.1, 0.2, 0.3))
        assert (
            model.trained["parent"] == str(tmp_path / "parent")
            and model.trained["validation_accuracy"] == report["accuracy"]
        )
        card = (out / "README.md").read_text()
        how = "with the head alone" if part == "head" else "as a whole"
        assert f"fine-tuned {how} from {tmp_path / 'parent'}" in card and "license: mit" not in card
    old = cnn(width=8)
    old.classes, old.trained = tuple("abcdefghij"), {"model": "cnn"}
    old.save_pretrained(tmp_path / "cnn")
    flags = ["--from", str(tmp_path / "cnn"), "--train", "head", "--epochs", "1", "--out", str(tmp_path / "of a cnn")]
    assert main(["train", "--dataset", "shapes", *flags]) == 0
    assert cnn(width=8).config == CNN.from_pretrained(tmp_path / "of a cnn").config
    assert "fine-tuned with the head alone from" in (tmp_path / "of a cnn" / "README.md").read_text()
    capsys.readouterr()
    assert (
        main(["train", "--dataset", "shapes", "--from", str(tmp_path / "nowhere"), "--out", str(tmp_path / "x")]) == 2
    )
    assert "There is no folder" in capsys.readouterr().err
