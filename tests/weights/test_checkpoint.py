"""Saving and loading: bit-exact, strict, atomic, safetensors only."""

import errno
import json
import resource
import shutil

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file

from vit import ViT
from vit.weights import card, checkpoint
from vit.weights.checkpoint import CheckpointError


@pytest.fixture
def model() -> ViT:
    torch.manual_seed(0)
    model = ViT(embed_dim=24, depth=2, num_heads=3, stem="conv", norm_eps=1e-5)
    model(torch.randn(4, 3, 32, 32))  # moves the running statistics of the batch norms
    model.classes = tuple("abcdefghij")
    model.mean, model.std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    model.trained = {"dataset": "shapes", "validation_accuracy": 0.5, "epochs": 3}
    return model.eval()


def test_what_is_loaded_is_what_was_saved_bit_by_bit(model, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    loaded = ViT.from_pretrained(tmp_path / "saved")
    for (name, ours), (other, theirs) in zip(model.state_dict().items(), loaded.state_dict().items(), strict=True):
        assert name == other
        assert torch.equal(ours, theirs)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(model(images), loaded(images))
    assert not loaded.training
    for what in ("config", "classes", "mean", "std", "trained"):
        assert getattr(loaded, what) == getattr(model, what)


WRAPPERS = {
    "compiled": torch.compile,
    "data parallel": torch.nn.DataParallel,
    "averaged": torch.optim.swa_utils.AveragedModel,
    "compiled and data parallel": lambda model: torch.nn.DataParallel(torch.compile(model)),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapped_model_is_saved_under_its_own_names(model, tmp_path, wrapper):
    folder = checkpoint.save_pretrained(WRAPPERS[wrapper](model), tmp_path / "saved")
    loaded = ViT.from_pretrained(folder)
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in model.state_dict().items())
    assert loaded.classes == model.classes


@pytest.mark.parametrize("other", [torch.nn.Linear(2, 2), torch.nn.DataParallel(torch.nn.Linear(2, 2))])
def test_another_librarys_model_is_refused_by_name(other, tmp_path):
    with pytest.raises(TypeError, match="Linear can't be saved: expected a ViT or a CNN of this package"):
        checkpoint.save_pretrained(other, tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_the_card_is_one_that_the_hub_reads(model, tmp_path):
    folder = model.save_pretrained(tmp_path / "saved")
    read = ModelCard.load(folder / "README.md")
    assert read.data.pipeline_tag == "image-classification"
    result = read.data.eval_results[0]
    assert (result.metric_type, result.metric_value, result.dataset_split) == ("accuracy", 0.5, "validation")
    assert f"{sum(p.numel() for p in model.parameters()):,} parameters" in read.text


def test_names_that_are_no_utf8_are_saved_and_read_as_what_they_are(model, tmp_path):
    model.classes = (b"caf\xe9".decode(errors="surrogateescape"), *model.classes[1:])
    folder = model.save_pretrained(tmp_path / "saved")
    checkpoint.write_text(card.card(model), folder / "again.md")
    for name in (checkpoint.CARD, "again.md"):
        assert "caf?" in (folder / name).read_text(encoding="utf-8")
    assert ViT.from_pretrained(folder).classes == model.classes


def test_saving_again_replaces_the_checkpoint_and_keeps_other_files(model, tmp_path):
    folder = model.save_pretrained(tmp_path / "saved")
    (folder / "notes.txt").write_text("mine")
    model.trained["epochs"] = 4
    model.save_pretrained(folder)
    assert ViT.from_pretrained(folder).trained["epochs"] == 4
    assert (folder / "notes.txt").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_crash_while_saving_leaves_the_old_checkpoint(model, tmp_path, monkeypatch):
    folder = model.save_pretrained(tmp_path / "saved")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def full_disk(model):
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "card", full_disk)
    model.trained["epochs"] = 4
    with pytest.raises(OSError, match="No space left"):
        model.save_pretrained(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_disk_that_takes_no_more_is_the_systems_error_and_leaves_the_old_checkpoint(model, tmp_path):
    """As on a full disk, on which safetensors raises an error that is no OSError."""
    folder = model.save_pretrained(tmp_path / "saved")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large") as error:
            model.save_pretrained(folder)
        with pytest.raises(OSError):
            checkpoint.save_state(folder, model.state_dict(), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.errno == errno.EFBIG
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_folder_behind_a_link_stays_there_and_its_files_can_be_read_as_others_can(model, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    folder = model.save_pretrained(tmp_path / "link")
    assert folder.is_symlink()
    files = sorted(path.name for path in (tmp_path / "disk").iterdir())
    assert files == ["README.md", "config.json", "model.safetensors"]
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_classes_without_names_are_numbered_and_a_wrong_count_of_them_refused(model, tmp_path):
    model.classes = ()
    folder = model.save_pretrained(tmp_path / "saved")
    assert ViT.from_pretrained(folder).classes == tuple(f"class {i}" for i in range(10))
    change_config(folder, lambda config: config.update(classes=["only"]))
    with pytest.raises(CheckpointError, match="1 classes, and 10 outputs"):
        ViT.from_pretrained(folder)


def change_config(folder, change):
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def change_weights(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: shutil.rmtree(f), ["There is no folder"]),
        (lambda f: (f / "config.json").unlink(), ["has no config.json"]),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), ["a pickle, which is never opened"]),
        (lambda f: (f / "config.json").write_text("{"), ["config.json does not describe", "JSONDecodeError"]),
        (lambda f: change_config(f, lambda c: c.pop("mean")), ["config.json does not describe", "'mean'"]),
        (lambda f: change_config(f, lambda c: c["arguments"].update(wings=2)), ["'wings'"]),
        (lambda f: change_config(f, lambda c: c["arguments"].update(num_heads=5)), ["num_heads=5"]),
        (lambda f: change_config(f, lambda c: c["arguments"].update(embed_dim=48)), ["does not fit", "mismatch"]),
        (lambda f: (f / "model.safetensors").write_bytes(b"\0" * 100), ["model.safetensors is damaged"]),
        (lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-9]), ["is damaged"]),
        (lambda f: change_weights(f, lambda w: w.pop("cls_token")), ["does not fit", "cls_token"]),
        (lambda f: change_weights(f, lambda w: w.update(extra=torch.ones(1))), ["does not fit", "extra"]),
    ],
)
def test_a_damaged_checkpoint_says_what_is_wrong(model, tmp_path, damage, words):
    folder = model.save_pretrained(tmp_path / "saved")
    damage(folder)
    with pytest.raises(CheckpointError) as error:
        ViT.from_pretrained(folder)
    assert all(word in str(error.value) for word in words), error.value


def test_a_config_from_before_an_argument_came_means_its_default_and_no_other_may_be_missing(model, tmp_path):
    folder = model.save_pretrained(tmp_path / "saved")
    later = ("global_pool", "reg_tokens", "init_values")
    change_config(folder, lambda config: [config["arguments"].pop(name) for name in later])
    assert ViT.from_pretrained(folder).config == model.config
    change_config(folder, lambda config: config["arguments"].pop("distilled"))
    with pytest.raises(CheckpointError, match="'distilled'"):
        ViT.from_pretrained(folder)


def test_an_argument_that_nobody_knows_is_left_out_with_a_word_if_it_is_off_and_refused_if_not(model, tmp_path):
    folder = model.save_pretrained(tmp_path / "saved")
    change_config(folder, lambda config: config["arguments"].update(attn_gate=False, of_tomorrow=0))
    with pytest.warns(UserWarning, match=r"off: \['attn_gate', 'of_tomorrow'\]"):
        assert ViT.from_pretrained(folder).config == model.config
    change_config(folder, lambda config: config["arguments"].update(attn_gate=True, of_tomorrow=3))
    with pytest.raises(CheckpointError, match=r"attn_gate.*of_tomorrow.*doesn't know"):
        ViT.from_pretrained(folder)


@pytest.mark.parametrize("source", ["nobody/nothing", "../elsewhere", "/no/such/folder", "just-a-name"])
def test_a_source_that_is_not_there_says_so(source):
    with pytest.raises(CheckpointError, match="There is no folder"):
        ViT.from_pretrained(source)


def test_half_precision_weights_take_half_the_space_and_load_as_float32(tmp_path):
    model = ViT(embed_dim=24, depth=2, num_heads=3, stem="conv")
    full, half = model.save_pretrained(tmp_path / "full"), model.save_pretrained(tmp_path / "half", torch.float16)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (full, half)]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = ViT.from_pretrained(half).state_dict()
    for name, weight in model.state_dict().items():
        assert loaded[name].dtype == weight.dtype
        torch.testing.assert_close(loaded[name], weight, rtol=1e-3, atol=1e-6)


def test_the_temperature_is_kept_and_is_one_in_files_from_before_there_was_one(model, tmp_path):
    model.temperature = 0.75
    folder = model.save_pretrained(tmp_path / "m")
    loaded = ViT.from_pretrained(folder)
    assert loaded.temperature == 0.75
    logits = torch.tensor([[1.0, 2.0, 4.0]])
    torch.testing.assert_close(loaded.probabilities(logits), (logits / 0.75).softmax(1))
    config = json.loads((folder / "config.json").read_text())
    del config["temperature"]
    (folder / "config.json").write_text(json.dumps(config))
    assert ViT.from_pretrained(folder).temperature == 1
    for wrong in (0, -1, "warm", None, 1e9, True):
        (folder / "config.json").write_text(json.dumps(config | {"temperature": wrong}))
        with pytest.raises(CheckpointError, match="temperature"):
            ViT.from_pretrained(folder)
