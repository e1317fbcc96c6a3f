"""Models from the Hub, by the Hub's own client, from a small Hub on this machine."""

import json
import shutil

import pytest
import timm
import torch
from huggingface_hub import constants

from tests.weights import foreign
from tests.weights.small_hub import hub_in_this_process
from vit import ViT
from vit.weights import fetch
from vit.weights.checkpoint import CheckpointError, from_pretrained

NAME = "somebody/vit_tiny_patch16_224.dino"
SHAPE = {"img_size": 32, "embed_dim": 48, "depth": 2, "num_heads": 4, "num_classes": 0}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    theirs = foreign.redraw(timm.create_model("vit_tiny_patch16_224", **SHAPE))
    return foreign.save_timm(theirs, tmp_path_factory.mktemp("repository"), SHAPE)


@pytest.fixture
def hub(tmp_path, saved):
    with hub_in_this_process(tmp_path) as hub:
        hub.folders[NAME] = saved
        yield hub


def refused(source, *words):
    with pytest.raises(CheckpointError) as error:
        ViT.from_pretrained(source)
    assert all(word in str(error.value) for word in words), error.value


def test_a_repository_is_downloaded_and_its_progress_told(hub, saved):
    total = (saved / "model.safetensors").stat().st_size
    assert fetch.size(NAME) == (total, False)
    told = []
    model = from_pretrained(NAME, kind=ViT, progress=lambda here, of: told.append((here, of)))
    assert told[0] == (0, total) and told[-1] == (total, total)
    assert [here for here, _ in told] == sorted(here for here, _ in told)
    expected = ViT.from_pretrained(saved).state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())
    assert model.trained == {"model": "vit_tiny_patch16_224.dino", "pretrained": NAME}
    assert fetch.size(NAME) == (total, True)


def test_a_download_that_broke_off_goes_on_where_it_stopped(hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    hub.break_after = 40_000
    assert ViT.from_pretrained(NAME).num_heads == 4
    ranges = [wanted for method, path, wanted in hub.asked if method == "GET" and path.endswith("safetensors")]
    assert ranges[0] is None and ranges[-1] == "bytes=40000-"


def test_what_is_cached_needs_no_network(hub, monkeypatch):
    ViT.from_pretrained(NAME)
    asked = len(hub.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert ViT.from_pretrained(NAME).config["embed_dim"] == 48
    assert len(hub.asked) == asked
    refused("somebody/else", "can't be reached and nothing of it is cached")


def test_a_hub_out_of_reach_is_said(hub, monkeypatch):
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", "http://127.0.0.1:9/{repo_id}/{revision}/{filename}")
    refused(NAME, "can't be reached", "Check the name and the connection")


def test_what_the_hub_refuses_is_said_with_the_remedy(hub, saved, tmp_path):
    hub.refused |= {"a/gated": (403, "GatedRepo"), "a/private": (401, "RepoNotFound"), "a/broken": (500, "")}
    hub.datasets.add("a/dataset")
    refused("a/gated", "gated", "Accept its terms", "hf auth login")
    refused("a/private", "no such model, or it is private", "hf auth login")
    refused("a/nothing", "no such model")
    refused("a/dataset", "it is a dataset, not a model")
    refused("a/b c", "Check the name")
    for name in ("config.json", "model.safetensors"):
        folder = tmp_path / f"without {name}"
        shutil.copytree(saved, folder)
        (folder / name).unlink()
        hub.folders["a/part"] = folder
        refused("a/part", f"has no {name}")


def test_a_file_of_five_gigabytes_is_refused_before_it_is_downloaded(hub):
    hub.sizes[NAME] = 5_000_000_000
    refused(NAME, "5.0 GB of weights")
    assert not [path for method, path, _ in hub.asked if method == "GET" and path.endswith("safetensors")]


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_description_of_more_than_a_megabyte_is_refused_before_it_is_downloaded(hub, saved, tmp_path, name):
    shutil.copytree(saved, tmp_path / "padded")
    config = json.loads((saved / "config.json").read_text())
    (tmp_path / "padded" / name).write_text(json.dumps({**config, "more": "x" * fetch.MAX_JSON}))
    hub.folders["a/padded"] = tmp_path / "padded"
    refused("a/padded", f"1.0 MB of {name}, and 1 MB are the most")
    assert not [path for method, path, _ in hub.asked if method == "GET" and path.endswith(name)]
    refused(tmp_path / "padded", f"{name} has 1.0 MB, expected 1 at most")


def test_what_is_cached_is_no_answer_to_whether_the_hub_hands_it_out(hub):
    ViT.from_pretrained(NAME)
    fetch.check_handed_out(NAME)
    hub.refused[NAME] = (401, "RepoNotFound")
    assert fetch.size(NAME)[1]
    with pytest.raises(CheckpointError, match=f"doesn't hand {NAME} out to everybody"):
        fetch.check_handed_out(NAME)
