"""python -m vit convert, and what other commands do with its models."""

import json

import pytest
import timm
import torch
from PIL import Image

from tests.cli.test_cli import fails_with_one_line, run
from tests.weights import foreign
from vit import ViT, vit_live_patch

SHAPE = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 4}


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    """DINO-shaped: without a head."""
    theirs = foreign.redraw(timm.create_model("vit_tiny_patch16_224", **SHAPE, num_classes=0))
    return foreign.save_timm(theirs, tmp_path_factory.mktemp("dino"), {**SHAPE, "num_classes": 0})


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.effect_noise((70, 50), 80).convert("RGB").save(path)
    return path


def test_a_converted_model_is_one_of_ours(dino, tmp_path):
    result = run("convert", dino, tmp_path / "ours")
    assert result.returncode == 0
    assert "2 layers of 4 heads, 48 wide, 32 px in patches of 8, no class head" in result.stdout
    card = (tmp_path / "ours" / "README.md").read_text()
    assert f"converted from {dino}, whose license and card hold" in card and "license: mit" not in card
    ours, theirs = (ViT.from_pretrained(folder).state_dict() for folder in (tmp_path / "ours", dino))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_it_is_resized_and_given_another_head_and_that_is_said(dino, tmp_path):
    flags = ["--img-size", 48, "--num-classes", 3, "--float16"]
    result = run("convert", dino, tmp_path / "ours", *flags)
    assert "48 px (resized from 32) in patches of 8, 3 classes" in result.stdout
    model = ViT.from_pretrained(tmp_path / "ours")
    assert model.grid_size == (6, 6) and model.classes == ("class 0", "class 1", "class 2")
    report = json.loads(run("convert", dino, tmp_path / "again", "--json").stdout)
    assert report["config"]["embed_dim"] == 48 and report["classes"] == 0


def test_sizes_that_do_not_divide_are_refused_and_nothing_is_written(dino, tmp_path):
    fails_with_one_line(run("convert", dino, tmp_path / "ours", "--img-size", 30), "img_size=30", "patch_size")
    fails_with_one_line(run("convert", dino, tmp_path / "ours", "--img-size", 0), "must be 1 or more pixels, got 0")
    assert not (tmp_path / "ours").exists()


def test_a_checkpoint_or_an_unfinished_run_is_not_overwritten(dino, tmp_path):
    vit_live_patch(embed_dim=16, depth=1, num_heads=2).save_pretrained(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    fails_with_one_line(run("convert", dino, tmp_path), "already holds a checkpoint", "another folder")
    assert (tmp_path / "model.safetensors").read_bytes() == before
    (tmp_path / "state.safetensors").touch()
    fails_with_one_line(run("convert", dino, tmp_path), "unfinished run", "train --resume")


def test_a_model_without_a_head_shows_its_attention_and_names_nothing(dino, photo, tmp_path):
    report = json.loads(run("attention", dino, photo, "--out", tmp_path / "map.png", "--json").stdout)
    assert report["prediction"] is None and len(report["grid"]) == 4 and report["layer"] == 2
    assert (tmp_path / "map.png").stat().st_size > 1000
    fails_with_one_line(run("predict", dino, photo), "has no class head", "names nothing")
    fails_with_one_line(run("attention", dino, photo, "--relevance", "cat", "--json"), "no class head")
