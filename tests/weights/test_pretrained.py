"""Other libraries' models as ours: the same logits and the same maps, for each family and size, all tensors redrawn."""

import json

import pytest
import timm
import torch
import torchvision
import transformers

from tests.weights import foreign
from vit import ViT
from vit.weights.families import imagenet_classes
from vit.weights.families import timm as from_timm

LARGE = pytest.mark.slow  # those that take more than five seconds
TIMM = [
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "deit_tiny_distilled_patch16_224.fb_in1k",
    "vit_small_patch16_224.dino",
    pytest.param("vit_small_patch8_224.dino", marks=LARGE),
    "vit_small_patch32_224.augreg_in21k_ft_in1k",
    "deit3_small_patch16_224.fb_in1k",
    pytest.param("vit_small_patch14_dinov2.lvd142m", marks=LARGE),
    pytest.param("vit_small_patch14_reg4_dinov2.lvd142m", marks=LARGE),
    pytest.param("vit_base_patch16_384.augreg_in21k_ft_in1k", marks=LARGE),
    pytest.param("vit_large_patch16_224.augreg_in21k_ft_in1k", marks=LARGE),
]
SHAPE = {"num_hidden_layers": 3, "image_size": 64, "patch_size": 16}
SMALL = {**SHAPE, "hidden_size": 96, "num_attention_heads": 6, "attn_implementation": "eager"}
CLASSES = {"id2label": {i: f"name {i}" for i in range(7)}}
TRANSFORMERS = {  # of each kind, small; and one of the size that people have heard of
    "vit": lambda: transformers.ViTForImageClassification(
        transformers.ViTConfig(**SMALL, intermediate_size=384, **CLASSES)
    ),
    "vit without biases": lambda: transformers.ViTForImageClassification(
        transformers.ViTConfig(**SMALL, intermediate_size=200, qkv_bias=False, layer_norm_eps=1e-3, **CLASSES)
    ),
    "dino": lambda: transformers.ViTModel(transformers.ViTConfig(**SMALL, intermediate_size=384)),
    "deit": lambda: transformers.DeiTForImageClassificationWithTeacher(
        transformers.DeiTConfig(**SMALL, intermediate_size=384, **CLASSES)
    ),
    "dinov2": lambda: transformers.Dinov2Model(transformers.Dinov2Config(**SMALL)),
    "dinov2 with registers": lambda: transformers.Dinov2WithRegistersModel(
        transformers.Dinov2WithRegistersConfig(**SMALL)
    ),
    "base": lambda: transformers.ViTForImageClassification(
        transformers.ViTConfig(attn_implementation="eager", **CLASSES)
    ),
}


def images(model: ViT, count: int = 1) -> torch.Tensor:
    size = model.config["img_size"]
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def assert_same(model: ViT, pictures: torch.Tensor, logits: torch.Tensor, maps) -> None:
    """logits: of the head, or what the class tokens are after the last norm where there is none."""
    with torch.no_grad():
        ours, our_maps = model(pictures, return_attention=True)
        if not model.config["num_classes"]:
            assert ours.shape == (len(pictures), 0)
            x = model.embed(pictures)
            for block in model.blocks:
                x = block(x)
            ours = model.read_out(x)[0].reshape(logits.shape)
    torch.testing.assert_close(ours, logits, atol=1e-4, rtol=1e-5)
    assert len(our_maps) == len(maps)
    for mine, theirs in zip(our_maps, maps, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=0)
        assert mine.std() > 1e-4  # uniform maps would agree whatever the weights


@pytest.mark.parametrize("name", TIMM)
def test_timms_models_are_the_same_as_ours(name, tmp_path):
    theirs = foreign.redraw(timm.create_model(name))
    model = ViT.from_pretrained(foreign.save_timm(theirs, tmp_path / "saved"))
    pictures = images(model)
    assert_same(model, pictures, *foreign.run_timm(theirs, pictures))
    config = theirs.pretrained_cfg
    assert (model.mean, model.std) == (config["mean"], config["std"])
    assert model.classes == (imagenet_classes() if "in1k" in name else ())


@pytest.mark.parametrize("name", [pytest.param(n, marks=LARGE) if n == "base" else n for n in TRANSFORMERS])
def test_transformers_models_are_the_same_as_ours(name, tmp_path):
    theirs = foreign.redraw(TRANSFORMERS[name]())
    model = ViT.from_pretrained(foreign.save_transformers(theirs, tmp_path / "saved"))
    pictures = images(model, 2)
    with torch.no_grad():
        said = theirs(pictures, output_attentions=True)
    logits = said.logits if "logits" in said else said.last_hidden_state[:, 0]
    assert_same(model, pictures, logits, said.attentions)
    assert list(model.mean) == foreign.IMAGE_PROCESSOR["image_mean"]
    assert model.classes == (tuple(CLASSES["id2label"].values()) if "logits" in said else ())


@pytest.mark.parametrize(
    "name", ["vit_b_32", pytest.param("vit_b_16", marks=LARGE), pytest.param("vit_l_32", marks=LARGE)]
)
def test_torchvisions_models_are_the_same_as_ours(name, tmp_path):
    theirs = foreign.redraw(getattr(torchvision.models, name)())
    model = ViT.from_pretrained(foreign.save_torchvision(theirs, tmp_path / "saved"))
    pictures = images(model)
    assert_same(model, pictures, *foreign.run_torchvision(theirs, pictures))
    weights = getattr(torchvision.models, f"ViT_{name[4:].upper()}_Weights").DEFAULT
    assert list(model.classes) == weights.meta["categories"]
    assert list(model.mean) == weights.transforms().mean and list(model.std) == weights.transforms().std


@LARGE
def test_every_name_of_timms_that_is_read_describes_what_timm_builds():
    """Of all its registered models, without weights: those whose name we take have our argument's values."""
    taken = [name for name in timm.list_models(["vit_*", "deit*"]) if from_timm.NAME.fullmatch(name)]
    assert {"vit_small_patch14_reg4_dinov2", "deit3_base_patch16_384", "vit_large_patch32_384"} <= set(taken)
    for name in taken:
        with torch.device("meta"):
            theirs = timm.create_model(name)
        config = json.loads(
            json.dumps({"architecture": name, "global_pool": "token", "pretrained_cfg": theirs.pretrained_cfg})
        )
        found = from_timm.translate(config, theirs.state_dict())
        with torch.device("meta"):
            ours = ViT(**found.arguments)
        shapes = {key: tensor.shape for key, tensor in ours.state_dict().items()}
        assert {key: tensor.shape for key, tensor in found.tensors.items()} == shapes, name
        block = theirs.blocks[0]
        assert theirs.global_pool == "token" and block.attn.num_heads == ours.num_heads, name
        assert block.norm1.eps == theirs.norm.eps == from_timm.EPS and isinstance(block.mlp.act, torch.nn.GELU), name
        assert block.mlp.act.approximate == "none" and not hasattr(block.attn.q_norm, "weight"), name
