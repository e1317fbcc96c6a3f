"""The CNN: what its parts do, that it learns, and that it is saved, loaded and refused like every model."""

import json

import pytest
import torch

from vit import CNN, ViT, create_model
from vit.cnn import Whitening
from vit.evaluation import evaluate
from vit.model import Classifier
from vit.training import TrainConfig, train
from vit.training.setting import WrongSetting
from vit.training.spec import RunSpec
from vit.weights.checkpoint import CheckpointError


@pytest.fixture
def images():
    """Neighboring pixels that are alike, as in photographs."""
    noise = torch.randn(64, 3, 11, 11, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.avg_pool2d(noise, 4, stride=1)


def test_whitened_patches_are_uncorrelated_and_of_variance_one(images):
    layer = Whitening(3)
    layer.fit(10 * images)
    with torch.no_grad():
        out = layer(10 * images).transpose(0, 1).flatten(1)
    half = out[:12]
    assert torch.equal(out[12:], -half)
    assert torch.allclose(half.cov(), torch.eye(12), atol=2e-2)
    assert (10 * images).flatten(2).transpose(0, 1).flatten(1).cov().fill_diagonal_(0).abs().max() > 0.01


def test_it_has_the_parameters_that_it_is_said_to_have():
    model = create_model("cnn")
    assert sum(p.numel() for p in model.parameters()) == 1_972_514
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert CNN(img_size=9, in_chans=1, num_classes=3, width=8).eval()(torch.zeros(1, 1, 9, 9)).shape == (1, 3)


@pytest.mark.parametrize(
    "arguments, words",
    [({"img_size": 8}, "img_size must be 9 or more, got 8"), ({"width": 2}, "at least 4"), ({"num_classes": 0}, "1")],
)
def test_what_can_not_be_built_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        CNN(**arguments)


def test_images_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"Expected images of shape \(B, 3, 32, 32\), got \(2, 3, 16, 16\)"):
        CNN()(torch.zeros(2, 3, 16, 16))


def test_it_learns_is_saved_and_loaded(shapes, tmp_path):
    spec = RunSpec("shapes", "cnn", TrainConfig(epochs=1, batch_size=50), shape={"width": 32})
    part = shapes.train.take(slice(2000))
    model = spec.build()
    first = model.whitening.filters.clone()
    *_, last = train(model, part, spec.config, shapes.validation.take(slice(300)))
    assert last.validation_accuracy > 0.3  # chance is 0.1
    assert not torch.equal(model.whitening.filters, first)  # found from the images, once
    model.trained = spec.trained(last, torch.device("cpu"), last.validation_accuracy)
    model.save_pretrained(tmp_path)
    loaded = Classifier.from_pretrained(tmp_path)
    assert type(loaded) is CNN and not loaded.has_attention
    test = shapes.test.take(slice(200))
    assert torch.equal(evaluate(loaded, test).confusion, evaluate(model, test).confusion)
    assert "without attention" in (tmp_path / "README.md").read_text()
    with pytest.raises(CheckpointError, match="holds a CNN, which has no attention; expected a ViT"):
        ViT.from_pretrained(tmp_path)


def test_the_same_seed_gives_the_same_cnn(shapes):
    spec = RunSpec("shapes", "cnn", TrainConfig(epochs=1, batch_size=50), shape={"width": 16})
    part = shapes.train.take(slice(200))
    one, other = ([progress.loss for progress in train(spec.build(), part, spec.config)] for _ in range(2))
    assert one == other


def test_a_kind_that_nobody_knows_is_refused(tmp_path):
    CNN(width=8).save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**saved, "kind": "rnn"}))
    with pytest.raises(CheckpointError, match="'kind' should be vit or cnn, got 'rnn'"):
        Classifier.from_pretrained(tmp_path)


@pytest.mark.parametrize("model, name", [("cnn", "depth"), ("vit_live", "width")])
def test_a_shape_that_the_model_does_not_have_is_refused_by_name(model, name):
    with pytest.raises(WrongSetting, match=f"{model} has no {name}; of its shape choose"):
        RunSpec("shapes", model, TrainConfig(epochs=1), shape={name: 8})


def test_leaving_out_patches_of_which_a_cnn_has_none_is_refused():
    for share in (0, 0.5):
        RunSpec("shapes", "cnn", TrainConfig(epochs=1, patch_dropout=share))
    with pytest.raises(WrongSetting, match=r"--patch-dropout 0\.8 would do nothing without patches, which a CNN"):
        RunSpec("shapes", "cnn", TrainConfig(epochs=1, patch_dropout=0.8))
