"""What can't be a model of ours is refused by name, with the remedy; what comes wrapped is unwrapped."""

import json
import resource
import struct

import pytest
import timm
import torch
import torchvision
import transformers
from safetensors.torch import load_file, save_file

from tests.weights import foreign
from vit import ViT
from vit.weights import fetch
from vit.weights.checkpoint import CheckpointError, from_pretrained
from vit.weights.pretrained import unwrapped, with_new_head


@pytest.fixture(scope="module")
def theirs():
    """A ViT of timm's of a few thousand parameters; model_args say what its name does not."""
    return foreign.redraw(timm.create_model("vit_tiny_patch16_224", **SMALL))


SMALL = {"img_size": 32, "embed_dim": 48, "depth": 2, "num_heads": 4, "num_classes": 7}


@pytest.fixture
def folder(theirs, tmp_path):
    return foreign.save_timm(theirs, tmp_path / "saved", SMALL)


def change(folder, name="config.json", **values):
    """None takes a key away; a dict is merged with what is there."""
    config = json.loads((folder / name).read_text())
    for key, value in values.items():
        config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
        if value is None:
            del config[key]
    (folder / name).write_text(json.dumps(config))


def rename(folder, new_name):
    weights = load_file(folder / "model.safetensors")
    save_file({new_name(name): tensor for name, tensor in weights.items()}, folder / "model.safetensors")


def drop(folder, *names):
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if k not in names}, folder / "model.safetensors")


def refused(source, *words):
    with pytest.raises(CheckpointError) as error:
        ViT.from_pretrained(source)
    assert all(word in str(error.value) for word in words), error.value


def test_model_args_stand_for_what_the_name_says(theirs, folder):
    model = ViT.from_pretrained(folder)
    images = torch.randn(2, 3, 32, 32)
    logits, maps = foreign.run_timm(theirs, images)
    ours, our_maps = model(images, return_attention=True)
    torch.testing.assert_close(ours, logits, atol=1e-5, rtol=0)
    torch.testing.assert_close(our_maps[1], maps[1], atol=1e-6, rtol=0)
    assert model.classes == tuple(f"class {i}" for i in range(7))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: change(f, global_pool="avg"), ["global_pool='avg'", "answer otherwise"]),
        (lambda f: change(f, global_pool=None, model_args={"global_pool": None}), ["does not say what its head reads"]),
        (lambda f: change(f, model_args={"act_layer": "relu"}), ["act_layer='relu'"]),
        (lambda f: change(f, model_args={"norm_layer": "rmsnorm"}), ["norm_layer='rmsnorm'"]),
        (lambda f: change(f, model_args={"num_heads": 5}), ["num_heads=5"]),
        (lambda f: change(f, model_args={**SMALL, "num_heads": None, "qk_norm": True}), ["qk_norm=True"]),
        (lambda f: change(f, model_args=None), ["tiny is 192 wide, the weights are 48"]),
        (lambda f: change(f, architecture="beit_base_patch16_224"), ["beit_base_patch16_224", "no plain ViT"]),
        (lambda f: change(f, architecture="swin_tiny_patch4_window7_224"), ["swin_tiny", "no plain ViT"]),
        (lambda f: change(f, architecture="vit_base_patch16_clip_224"), ["clip", "no plain ViT"]),
        (lambda f: change(f, architecture="vit_giant_patch14_dinov2"), ["giant", "no plain ViT"]),
        (lambda f: change(f, pretrained_cfg={"mean": None}), ["how pictures are normalized"]),
        (lambda f: change(f, pretrained_cfg={"mean": [0.5]}), ["'mean'", "3 finite numbers"]),
        (lambda f: change(f, pretrained_cfg=[]), ["pretrained_cfg"]),
        (
            lambda f: change(f, num_classes=1000, model_args={"num_classes": 1000}),
            ["7 outputs", "1000", "--num-classes"],
        ),
        (lambda f: change(f, auto_map={"AutoModel": "own.Model"}), ["auto_map", "never run"]),
        (lambda f: (f / "config.json").write_text("{}"), ["config.json does not describe", "'arguments'"]),
        (lambda f: drop(f, "cls_token", "norm.bias"), ["norm.bias is missing"]),
        (lambda f: drop(f, "pos_embed"), ["pos_embed is missing"]),
        (lambda f: rename(f, lambda n: n.replace("mlp.fc", "mlp.w")), ["mlp.fc1.weight is missing"]),
        (lambda f: rename(f, lambda n: f"layer.{n}"), ["patch_embed.proj.weight is missing"]),
    ],
)
def test_what_does_not_fit_is_refused_by_name(folder, damage, words):
    damage(folder)
    refused(folder, *words)


def test_at_most_five_tensors_are_named_and_what_would_fit(folder):
    weights = load_file(folder / "model.safetensors")
    save_file({**weights, **{f"blocks.0.more.{i}": torch.ones(1) for i in range(9)}}, folder / "model.safetensors")
    refused(folder, "'blocks.0.more.4' is not expected; and 4 more", "What fits is timm's ViT")


@pytest.mark.parametrize(
    ("kind", "config", "words"),
    [
        ("Vit", {"hidden_act": "relu"}, ["hidden_act is 'relu'"]),
        ("Vit", {"hidden_act": None}, ["hidden_act is None"]),
        ("Vit", {"layer_norm_eps": None}, ["layer_norm_eps"]),
        ("Vit", {"num_attention_heads": None}, ["num_attention_heads"]),
        ("Vit", {"model_type": "beit"}, ["'beit'", "dinov2_with_registers"]),
        ("Vit", {"model_type": "swin"}, ["'swin'"]),
        ("Vit", {"id2label": {str(i): "x" for i in range(9)}}, ["2 outputs", "says 9"]),
        ("Deit", {}, ["DeiTForImageClassification", "one of DeiT's two heads"]),
        ("Dinov2", {}, ["class token and patches together"]),
        ("Giant", {}, ["SwiGLU"]),
        ("No preprocessor", {}, ["preprocessor_config.json"]),
    ],
)
def test_transformers_models_that_do_not_fit_are_refused_by_name(kind, config, words, tmp_path):
    shape = {"hidden_size": 24, "num_hidden_layers": 1, "num_attention_heads": 3, "image_size": 32, "patch_size": 16}
    build = {
        "Deit": lambda: transformers.DeiTForImageClassification(transformers.DeiTConfig(**shape)),
        "Dinov2": lambda: transformers.Dinov2ForImageClassification(transformers.Dinov2Config(**shape)),
        "Giant": lambda: transformers.Dinov2Model(transformers.Dinov2Config(**shape, use_swiglu_ffn=True)),
    }.get(kind, lambda: transformers.ViTForImageClassification(transformers.ViTConfig(**shape)))
    folder = foreign.save_transformers(build(), tmp_path / "saved")
    if kind == "No preprocessor":
        (folder / "preprocessor_config.json").unlink()
    change(folder, **config)
    refused(folder, *words)


def test_torchvisions_heads_of_other_classes_need_a_config_and_other_shapes_are_refused(tmp_path):
    small = torchvision.models.VisionTransformer(32, 16, 1, 3, 48, 96)
    refused(foreign.save_torchvision(small, tmp_path / "small"), "no ViT of width 48", "vit_b_16")
    with torch.device("meta"):
        large = torchvision.models.VisionTransformer(32, 16, 12, 12, 768, 768, num_classes=3)
    large = foreign.save_torchvision(
        large.to_empty(device="cpu").requires_grad_(False).apply(_zero), tmp_path / "large"
    )
    refused(large, '"mean" and "std"')
    (large / "config.json").write_text(json.dumps({"mean": [0.1, 0.2, 0.3], "std": [1, 1, 1]}))
    model = ViT.from_pretrained(large)
    assert model.mean == (0.1, 0.2, 0.3) and model.classes == ("class 0", "class 1", "class 2")


def _zero(module):
    for parameter in module.parameters(recurse=False):
        parameter.zero_()


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "state_dict.", "module._orig_mod.model."])
def test_what_wrappers_put_before_the_names_is_taken_away(theirs, folder, prefix):
    expected = ViT.from_pretrained(folder).state_dict()
    rename(folder, lambda name: prefix + name)
    found = ViT.from_pretrained(folder).state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_of_weights_and_their_average_the_average_is_taken():
    weights = {"model.a": torch.zeros(1), "model_ema.module.a": torch.ones(1), "model_ema.n_averaged": torch.ones(1)}
    assert unwrapped(weights) == {"a": torch.ones(1)}
    assert unwrapped({"model.a": torch.ones(1), "head": torch.ones(1)}).keys() == {"model.a", "head"}


def test_half_precision_is_float32_once_loaded(folder):
    expected = ViT.from_pretrained(folder)
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor.half() for name, tensor in weights.items()}, folder / "model.safetensors")
    found = ViT.from_pretrained(folder)
    assert found.pos_embed.dtype == torch.float32
    torch.testing.assert_close(found.head.weight, expected.head.weight, atol=1e-4, rtol=1e-3)


def test_a_head_that_does_not_fit_can_be_started_anew(folder):
    change(folder, num_classes=1000, model_args={"num_classes": 1000})
    bare = from_pretrained(folder, kind=ViT, headless=True)
    assert bare.classes == () and bare(torch.randn(1, 3, 32, 32)).shape == (1, 0)
    model = with_new_head(bare, 4, torch.Generator().manual_seed(0))
    assert model.classes == ("class 0", "class 1", "class 2", "class 3")
    assert torch.equal(model.blocks[1].attn.qkv.weight, bare.blocks[1].attn.qkv.weight)
    loaded = ViT.from_pretrained(model.save_pretrained(folder.parent / "new"))
    assert torch.equal(loaded.head.weight, model.head.weight)


def test_a_head_replaced_by_hand_is_refused_on_saving(small_vit, tmp_path):
    small_vit.head = torch.nn.Linear(24, 5)
    with pytest.raises(CheckpointError, match=r"head.weight: expected \(10, 24\).*got \(5, 24\).*Nothing was saved"):
        small_vit.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pth", "vit.npz"])
def test_pickles_are_never_opened(folder, name):
    trap = "import pathlib; pathlib.Path('ran').touch()"
    (folder / "model.safetensors").rename(folder / name)
    (folder / name).write_bytes(f"cbuiltins\nexec\n(S{trap!r}\ntR.".encode())
    for source in (folder, folder / name):
        refused(source, name, "never opened", "safetensors.torch.save_file")


def test_a_file_that_lies_about_its_shapes_is_refused(folder):
    content = (folder / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header["pos_embed"]["shape"] = [1, 10**9, 48]
    said = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(said)) + said + content[8 + length :])
    refused(folder, "is damaged or not a safetensors file")


def test_five_gigabytes_are_refused_before_they_are_read(folder):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open(folder / "model.safetensors", "r+b") as file:
        file.truncate(5_000_000_000)
    refused(folder, "5.0 GB", f"{fetch.MAX_BYTES / 1e9:g} GB are the most")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
