"""Models from elsewhere: fetched, sent as a zip, or given to the app; each is found, named, bounded, or refused."""

import atexit
import zipfile
from functools import partial
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub import constants
from huggingface_hub.utils import build_hf_headers

from tests.weights import foreign
from tests.weights.small_hub import hub_in_this_process
from vit import ViT
from vit.cnn import CNN
from vit.live import bounds, elsewhere, fetched, models, uploads
from vit.weights import fetch

NAME = "somebody/vit_tiny_patch16_224.dino"
SHAPE = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 4, "num_classes": 0}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    theirs = foreign.redraw(timm.create_model("vit_tiny_patch16_224", **SHAPE))
    return foreign.save_timm(theirs, tmp_path_factory.mktemp("repository"), SHAPE)


@pytest.fixture
def hub(tmp_path, saved, monkeypatch):
    monkeypatch.setattr(elsewhere, "GIVEN", [])
    monkeypatch.setattr(elsewhere, "_folders", type(elsewhere._folders)())
    elsewhere._load.cache_clear()
    with hub_in_this_process(tmp_path) as hub:
        hub.folders[NAME] = saved
        yield hub
    elsewhere._load.cache_clear()


def packed(tmp_path, folder, inside="my-vit/", more=()):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, inside + file.name)
        for name, content in more:
            archive.writestr(name, content)
    return str(path)


def test_a_repository_is_a_model_once_it_is_fetched(hub):
    assert not models.available(NAME)
    with pytest.raises(ValueError, match=r"is not on this server yet; fetch it"):
        models.find(NAME)
    assert elsewhere.size(NAME)[1] is False
    told = []
    elsewhere.download(NAME, lambda here, total: told.append(here / total))
    assert told[-1] == 1 and models.available(NAME)
    asked = len(hub.asked)
    model = models.find_vit(NAME)
    assert model is models.find(NAME) and len(hub.asked) == asked  # from then on the Hub is not asked
    assert models.title(NAME, {NAME: "From the Hub"}) == "From the Hub: vit-tiny-patch16-224.dino · no class head"
    assert models.choices({NAME: "From the Hub"})[0][1] == NAME
    with pytest.raises(ValueError, match="names nothing"):
        models.named(model)


def test_what_is_no_plain_vit_or_too_large_is_refused_before_it_is_a_choice(hub, saved, monkeypatch):
    hub.sizes[NAME] = 600_000_000
    with pytest.raises(ValueError, match=r"600 MB of weights, here 500 MB are the most"):
        elsewhere.download(NAME, lambda *_: None)
    with pytest.raises(ValueError, match="no repository of the Hub"):
        elsewhere.size("../etc")
    with pytest.raises(ValueError, match="no such model"):
        elsewhere.size("no/body")
    assert not [path for method, path, _ in hub.asked if method == "GET" and path.endswith("safetensors")]


def test_at_most_so_many_are_kept_in_memory(hub, saved):
    for i in range(elsewhere.KEEP_MODELS + 2):
        hub.folders[f"a/model{i}"] = saved
        elsewhere.download(f"a/model{i}", lambda *_: None)
    assert elsewhere._load.cache_info().currsize == elsewhere.KEEP_MODELS
    assert models.find("a/model0").config["depth"] == 2  # those on disk come back


def test_what_visitors_fetched_is_bounded_on_disk_and_what_the_host_had_stays(hub, saved, monkeypatch):
    names = ["the/hosts", "the/given", *(f"a/visitors{i}" for i in range(3))]
    hub.folders |= dict.fromkeys(names, saved)
    fetch.files(names[0])
    monkeypatch.setattr(elsewhere, "GIVEN", [names[1]])
    monkeypatch.setattr(fetched, "MAX_GIGABYTES", 2.5 * sum(file.stat().st_size for file in saved.iterdir()) / 1e9)
    for name in names:
        elsewhere.download(name, lambda *_: None)
    assert [models.available(name) for name in names] == [True, True, False, True, True]
    with pytest.raises(ValueError, match="is not on this server yet; fetch it"):
        models.find(names[2])
    elsewhere.download(names[2], lambda *_: None)
    assert [models.available(name) for name in names] == [True, True, True, False, True]


def test_a_model_for_too_many_patches_is_read_at_another_size_and_that_is_said(hub, saved, tmp_path):
    model = ViT(img_size=608, patch_size=16, embed_dim=24, depth=1, num_heads=3)
    model.save_pretrained(tmp_path / "large")
    key = elsewhere.unpack(packed(tmp_path, tmp_path / "large"))
    assert models.find(key).config["img_size"] == 224
    assert "read at 224 px, made for 608" in models.choices({key: "Your own"})[0][0]


SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 3, "num_classes": 2}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: CNN(img_size=20_000, width=8, num_classes=2), "20,000 pixels a side, here 1,024 are the most"),
        (lambda: CNN(img_size=1024, width=400, num_classes=2), "104,857,600 numbers in its widest layer"),
        (lambda: ViT(**{**SMALL, "embed_dim": 48, "depth": 9, "num_heads": 48}), "432 heads in all layers, here 400"),
        (lambda: ViT(**{**SMALL, "img_size": 80, "patch_size": 1}), "6,400 tokens, here 5,000"),
        (lambda: ViT(**{**SMALL, "reg_tokens": 100}), "100 registers, here 64"),
        (lambda: ViT(**{**SMALL, "img_size": 64, "patch_size": 1, "mlp_ratio": 1000.0}), "98,304,000 numbers"),
    ],
)
def test_a_small_zip_of_a_model_that_would_fill_the_memory_is_refused_before_it_is_run(
    hub, tmp_path, monkeypatch, model, words
):
    model().save_pretrained(tmp_path / "huge")
    monkeypatch.setattr(elsewhere, "from_pretrained", lambda *_, **__: pytest.fail("it was run"))
    with pytest.raises(ValueError, match=f"The model has {words}.*; take a smaller model"):
        elsewhere.unpack(packed(tmp_path, tmp_path / "huge"))
    assert not elsewhere._folders


def test_a_repository_is_bounded_by_its_shapes_and_what_the_app_is_given_is_not(hub, saved, monkeypatch):
    monkeypatch.setattr(bounds, "HEADS", 7)
    with pytest.raises(ValueError, match=f"{NAME} has 8 heads in all layers, here 7 are the most"):
        elsewhere.download(NAME, lambda *_: None)
    assert elsewhere.give(NAME) == NAME and models.find(NAME).config["num_heads"] == 4


def test_what_the_host_has_in_the_hubs_cache_is_no_visitors_before_one_could_have_fetched_it(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    monkeypatch.setenv("HF_TOKEN", "hf_of_the_host")
    assert build_hf_headers()["authorization"] == "Bearer hf_of_the_host"
    fetch.files(NAME)
    assert not models.available(NAME)
    with pytest.raises(ValueError, match="is not on this server yet; fetch it"):
        models.find(NAME)
    elsewhere.lend_no_token()
    assert "authorization" not in build_hf_headers()
    hub.refused[NAME] = (401, "RepoNotFound")
    with pytest.raises(ValueError, match=r"doesn't hand .* out to everybody"):
        elsewhere.download(NAME, lambda *_: None)
    assert not models.available(NAME)
    del hub.refused[NAME]
    elsewhere.download(NAME, lambda *_: None)
    assert models.available(NAME)


def test_a_zip_of_ones_own_is_a_model_and_nothing_else_in_it_is_kept(hub, small_vit, tmp_path):
    small_vit.save_pretrained(tmp_path / "mine")
    archive = packed(tmp_path, tmp_path / "mine", more=[("../evil.py", "x"), ("b/model.safetensors", "second")])
    key = elsewhere.unpack(archive)
    assert torch.equal(models.find(key).head.weight, small_vit.head.weight)
    folder = elsewhere._folders[key]
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert not (tmp_path / "evil.py").exists()


def test_zips_that_hold_no_model_are_refused_and_leave_nothing(hub, small_vit, tmp_path, monkeypatch):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(elsewhere, "_root", lambda: tmp_path / "temporary")
    (tmp_path / "no.zip").write_bytes(b"PK no")
    with pytest.raises(ValueError, match="no zip that can be read"):
        elsewhere.unpack(str(tmp_path / "no.zip"))
    with pytest.raises(ValueError, match=r"The zip has no .*model.safetensors") as error:
        elsewhere.unpack(packed(tmp_path, tmp_path / "temporary", more=[("readme.txt", "hello")]))
    assert str(tmp_path) not in str(error.value)
    small_vit.save_pretrained(tmp_path / "mine")
    monkeypatch.setattr(elsewhere, "MAX_ZIP", 1000)
    with pytest.raises(ValueError, match="send a smaller model"):
        elsewhere.unpack(packed(tmp_path, tmp_path / "mine"))
    assert not elsewhere._folders and not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("damage", ["encrypted", "torn", "an unknown way of packing", "a huge table of contents"])
def test_a_zip_that_breaks_off_while_it_is_read_is_refused_and_leaves_nothing(
    hub, small_vit, tmp_path, monkeypatch, damage
):
    small_vit.save_pretrained(tmp_path / "mine")
    for name in ("README.md", "config.json"):  # so that the damage is to the weights
        (tmp_path / "mine" / name).unlink()
    archive = Path(packed(tmp_path, tmp_path / "mine"))
    content = bytearray(archive.read_bytes())
    table, end = content.index(b"PK\1\2"), content.rindex(b"PK\5\6")
    if damage == "encrypted":
        content[6] |= 1
        content[table + 8] |= 1
    elif damage == "torn":
        content[200:260] = bytes(60)
    elif damage == "an unknown way of packing":
        content[8] = content[table + 10] = 99
    else:
        content[end + 12 : end + 16] = (10**9).to_bytes(4, "little")
    archive.write_bytes(content)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(elsewhere, "_root", lambda: tmp_path / "temporary")
    with pytest.raises(ValueError, match="no zip that can be read"):
        elsewhere.unpack(str(archive))
    assert not elsewhere._folders and not list((tmp_path / "temporary").iterdir())


def test_a_zip_is_unpacked_while_the_disk_has_room_and_goes_once_or_with_the_process(
    hub, small_vit, tmp_path, monkeypatch
):
    at_end = []
    monkeypatch.setattr(atexit, "register", lambda *call, **options: at_end.append(partial(*call, **options)))
    root = elsewhere._root.__wrapped__()
    monkeypatch.setattr(elsewhere, "_root", lambda: root)
    small_vit.save_pretrained(tmp_path / "mine")
    archive = packed(tmp_path, tmp_path / "mine")
    first, second = elsewhere.unpack(archive), elsewhere.unpack(archive)
    elsewhere._forget(first)
    elsewhere._forget(first)
    assert list(root.iterdir()) == [elsewhere.folder(second)]
    monkeypatch.setattr(uploads, "LEAST_FREE", 10**18)
    with pytest.raises(ValueError, match="disk is full; try again later"):
        elsewhere.unpack(archive)
    at_end[0]()
    assert not root.exists()


def test_the_oldest_zips_go_first(hub, small_vit, tmp_path, monkeypatch):
    monkeypatch.setattr(elsewhere, "KEEP_ZIPS", 2)
    small_vit.save_pretrained(tmp_path / "mine")
    keys = [elsewhere.unpack(packed(tmp_path, tmp_path / "mine")) for _ in range(3)]
    assert [models.available(key) for key in keys] == [False, True, True]


def test_what_the_app_is_given_comes_first(hub, small_vit, tmp_path):
    small_vit.save_pretrained(tmp_path / "mine")
    assert elsewhere.give(str(tmp_path / "mine")) == "mine"
    assert elsewhere.give(NAME) == NAME
    assert models.shipped()[:2] == ["mine", NAME] and models.default() in ("mine", NAME)
    with pytest.raises(ValueError, match="no folder"):
        elsewhere.give(str(tmp_path / "nothing"))
