"""Every kind of model (class token, registers, distilled, read-outs, conv stem, gates) through all that looks in."""

import io
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import KINDS, of_kind
from tests.ui.test_attention_view import unpack
from vit.cli import main
from vit.interpret import heads, probing
from vit.interpret.attention import attention_entropy, attention_maps, head_similarity, read_attention, rollout
from vit.interpret.cover import cover
from vit.interpret.statistics import head_statistics
from vit.interpret.trace import trace
from vit.live import models, settings
from vit.live.datasets import SOURCES
from vit.report import card
from vit.report import maps as worth
from vit.training import moments
from vit.training.spec import RunSpec
from vit.ui import analysis
from vit.ui.attention import api, probes, studies
from vit.ui.errors import BadInput
from vit.ui.heads_off import without_heads
from vit.ui.train import view


@pytest.fixture(params=KINDS)
def model(request, shapes):
    model = of_kind(request.param)
    model.classes, model.trained = shapes.test.classes, {"dataset": "shapes"}
    return model


@pytest.fixture
def images(model, shapes):
    return model.normalize(shapes.test.images[:3])


@pytest.fixture
def picture(model, shapes, monkeypatch, tmp_path) -> str:
    """A picture's file; the model is a shipped one called m."""
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path / "checkpoints")
    model.save_pretrained(tmp_path / "checkpoints" / "m")
    Image.fromarray(shapes.test.images[17].permute(1, 2, 0).numpy()).save(tmp_path / "picture.png")
    return str(tmp_path / "picture.png")


def test_a_trace_is_the_forward_pass_and_its_rows_are_what_is_read(model, images):
    record, (logits, maps) = trace(model, images), model(images, return_attention=True)
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(record.logits, logits, **close)
    assert record.num_maps == len(maps) and record.rows.shape == (3, len(maps), 3, record.maps.shape[-1])
    for i, layer in enumerate(record.layers):
        torch.testing.assert_close(layer.map, maps[i], **close)
        torch.testing.assert_close(layer.output, model.blocks[i](layer.input), **close)
        asked = maps[i][:, :, model.num_prefix_tokens :].mean(2) if model.has_readout else maps[i][:, :, 0]
        torch.testing.assert_close(record.rows[:, i], asked, **close)
    if model.has_readout:
        torch.testing.assert_close(record.readout.map, maps[-1], **close)
        assert torch.equal(record.rows[:, -1], record.readout.map[:, :, 0])
        x, block = record.layers[-1].output, model.blocks[-1]
        written = record.readout.heads.transpose(1, 2).flatten(2)
        if model.attn_pool is not None:
            expected = written
        else:
            attended = model.cls_token + block.attn.proj(written)
            expected = model.norm(attended + block.mlp(block.norm2(attended)))
        torch.testing.assert_close(model.read_out(x)[0], expected, **close)


def test_what_is_read_of_a_rollout_goes_through_all_layers(model, images):
    logits, rows, rolled = read_attention(model, images)
    torch.testing.assert_close(logits, model(images), atol=1e-5, rtol=1e-5)
    _, maps = attention_maps(model, images)
    through = rollout(maps)
    torch.testing.assert_close(rolled.sum(-1), torch.ones(3, model.num_maps))
    if model.has_readout:
        torch.testing.assert_close(rolled[:, -1], (rows[:, -1].mean(1)[:, None] @ through[:, -1])[:, 0])
    else:
        assert torch.equal(rolled, through[:, :, 0])


def test_relevance_is_the_row_of_the_product_of_all_maps(model, images):
    """Against Chefer's update of whole matrices, with the read-out's map as the last factor."""
    found = probing.relevance(model, images, [2])
    logits, maps = model(images.clone().requires_grad_(), return_attention=True)
    gradients = torch.autograd.grad(logits[:, 2].sum(), maps)
    weighted = [(gradient * attn).clamp_min(0).mean(1).detach() for gradient, attn in zip(gradients, maps)]
    R = torch.eye(maps[0].shape[-1]).expand(3, -1, -1)
    for attn in weighted[: len(model.blocks)]:
        R = R + attn @ R
    rows = weighted[-1] @ R if model.has_readout else R[:, : model.num_class_tokens]
    expected = rows.mean(1)[:, model.num_prefix_tokens :].view(3, 1, 8, 8)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert found.sum() > 0


def test_the_logit_lens_ends_in_what_the_model_says(model, images):
    read, patches = probing.logit_lens(model, trace(model, images))
    torch.testing.assert_close(read[:, -1], model(images), atol=1e-5, rtol=1e-5)
    assert patches.shape == (3, len(model.blocks), 64, 10) and probing.position_similarity(model).shape == (64, 8, 8)


def test_a_heads_importance_is_what_switching_it_off_costs(model, shapes):
    part = shapes.test.take(slice(4))
    *_, found = heads.head_importance(model, part)
    images = model.normalize(part.images)

    def of_true(logits):
        return model.probabilities(logits)[torch.arange(4), part.labels]

    for layer, head in ((0, 1), (model.num_maps - 1, 2)):
        mask = torch.ones(model.num_maps, 3)
        mask[layer, head] = 0
        with torch.no_grad():
            lost = of_true(model(images)) - of_true(model(images, head_mask=mask))
        torch.testing.assert_close(found.drops[:, layer, head], lost, atol=1e-5, rtol=0)
    assert studies.importance_table(found).count("Read-out") == model.has_readout
    *_, regions = heads.head_regions(model, part)
    weights = trace(model, images).rows[..., model.num_prefix_tokens :]
    share = (weights / weights.sum(-1, keepdim=True)).unflatten(-1, (8, 8))[..., 2:6, 2:6].sum((-2, -1)).mean(0)
    torch.testing.assert_close(regions.shares[regions.names.index("center")], share, atol=1e-5, rtol=1e-5)
    assert isinstance(studies.regions_table(regions, part), str)


def test_statistics_count_what_is_read(model, images):
    record = trace(model, images)
    found = head_statistics(record, torch.rand(3, 8, 8))
    assert found.depth == model.num_maps
    torch.testing.assert_close(
        found.similarity, head_similarity(record.rows[..., None, :], model.num_prefix_tokens).mean(0)
    )
    values = {name: found.of_heads(name) for name in found.values}
    assert values["entropy"].isfinite().all() and values["distance"][-1].isnan().all()
    asked = attention_entropy(record.rows[..., None, :])[..., 0].mean(0)
    torch.testing.assert_close(values["cls_entropy"][-1], asked[-1])
    if model.has_readout:
        torch.testing.assert_close(values["entropy"][-1], asked[-1])
        assert values["cls_entropy"][:-1].isnan().all() and values["distance"][:-1].isfinite().all()
        assert values["cls_to_itself"].isnan().all() and values["attention_to_cls"].isnan().all()
        assert values["object_share"][-1].isfinite().all() and values["output_rank"][-2].isfinite().all()
    else:
        torch.testing.assert_close(values["cls_entropy"], asked)
        rows = record.layers[-1].map[:, :, : model.num_class_tokens]
        torch.testing.assert_close(values["entropy"][-1], -torch.xlogy(rows, rows).sum(-1).mean((0, 2)))
    assert values["prefix_share"].isnan().all() == (model.num_prefix_tokens == 0)


def test_the_page_draws_what_is_read_and_its_words_fit_the_model(model, picture):
    seen = analysis.analyze("m", ("upload", picture))
    sent = json.loads(json.dumps(analysis.payload(seen, "m", ("upload", picture)), allow_nan=False))
    depth, prefix = model.num_maps, sent["prefix"]
    assert sent["shape"] == [depth, 3, 8, 8] and len(sent["layers"]) == len(sent["askers"]) == depth
    rows, _ = unpack(sent["maps"], sent["shape"], prefix)
    for layer in range(depth):
        for channel in range(4):
            drawn = seen.grid(layer, channel if channel < 3 else None, rolled=channel == 3).flatten().numpy()
            assert np.abs(rows[layer, channel, 0] - drawn).max() <= drawn.max() / 509
    patch = seen.grid(0, 1, patch=9).flatten().numpy()
    assert np.abs(rows[0, 1, prefix + 9] - patch).max() <= patch.max() / 509
    words = json.dumps({k: sent[k] for k in ("layers", "askers", "statistics", "sentences", "unread", "comparison")})
    assert ("read-out" in words) == model.has_readout != ("lass token" in words)
    assert all(
        sentence and "nan" not in sentence for part in sent["sentences"].values() for row in part for sentence in row
    )
    assert all(
        0 < row["top"] < math.inf for row in sent["statistics"] if any(v is not None for r in row["values"] for v in r)
    )
    token = {"token": sent["token"]}
    off = without_heads({**token, "off": [[depth - 1, 1]]})["probabilities"]
    assert off != seen.probabilities.tolist()
    assert len(probes.lens(token)["cls"]) == len(model.blocks) and "positions" in probes.weights(token)
    assert len(probes.relevance({**token, "classes": [3]})["grids"][0]) == 64
    assert "brightest" in probes.cover({**token, "grid": rows[-1, 0, 0].tolist()})
    saved = np.load(io.BytesIO(probes.arrays(seen)))
    assert saved["maps"].shape[0] == len(model.blocks) and ("readout" in saved) == model.has_readout


def test_endpoint_and_command_line_give_the_same_map_of_every_layer(model, picture, capsys, tmp_path):
    folder = str(models.CHECKPOINTS / "m")
    for layer in range(1, model.num_maps + 1):
        numbers, _ = api.attention(picture, "m", layer, 2, figure=layer == 1)
        main(["attention", folder, picture, "--json", "--layer", str(layer), "--head", "2"])
        said = json.loads(capsys.readouterr().out)
        assert np.allclose(said["grid"], numbers["grid"], atol=1e-6) and sum(map(sum, numbers["grid"])) > 0.01
        assert len(said["entropy"]) == model.num_maps
    rolled = api.attention(picture, "m", model.num_maps, 0, "", "rollout")[0]["grid"]
    main(["attention", folder, picture, "--json", "--rollout", "--out", str(tmp_path / "map.npz")])
    assert np.allclose(json.loads(capsys.readouterr().out)["grid"], rolled, atol=1e-6)
    assert np.load(tmp_path / "map.npz")["maps"].shape[0] == len(model.blocks)
    assert (
        api.attention(picture, "m", 1, 0, "2,3")[0]["grid"]
        == analysis.analyze("m", ("upload", picture)).grid(0, patch=8 + 2).tolist()
    )
    if model.has_readout:
        with pytest.raises(BadInput, match="no patch asks; leave out the query, or choose a layer from 1"):
            api.attention(picture, "m", model.num_maps, 0, "2,3")
        assert main(["attention", folder, picture, "--json", "--query", "2,3"]) == 2
        assert "no patch asks" in capsys.readouterr().err
    assert len(api.logit_lens(picture, "m")["class_token"]) == len(model.blocks)
    assert len(api.without_heads(picture, "m", f"{model.num_maps}.1")) == 10
    assert len(api.attention_statistics(picture, "m")["entropy"]) == model.num_maps


@pytest.mark.parametrize("global_pool", ["token", "attn"])
def test_a_run_says_what_is_drawn_as_it_forms(global_pool, monkeypatch, shapes):
    monkeypatch.setattr(SOURCES["shapes"], "splits", shapes)
    shape = {"global_pool": global_pool, "embed_dim": 24, "num_heads": 3}
    sent = view.untrained(RunSpec("shapes", "vit_live", settings.DEFAULTS, shape=shape))
    layers, tokens = (4, 64) if global_pool == "attn" else (3, 65)
    assert (sent["readout"], sent["tokens"]) == (global_pool == "attn", tokens)
    assert sent["inline"][0]["shapes"]["maps"][1:3] == (layers, 3)


def test_moments_and_reports_are_of_what_is_read(model, images, shapes):
    taken = moments.take(model, shapes.test.take(slice(3)))
    assert taken.shapes["maps"] == (3, model.num_maps, 3, 8, 8)
    held = np.frombuffer(taken.data, np.uint8, math.prod(taken.shapes["maps"])).reshape(taken.shapes["maps"])
    rows = trace(model, images).rows[..., model.num_prefix_tokens :].unflatten(-1, (8, 8))
    expected = (rows * 64 / moments.TOP).clamp(0, 1) * 255
    assert np.abs(held - expected.numpy()).max() <= 0.51
    classes = model(images).argmax(1)
    maps = worth._maps_of(model, images, classes)
    torch.testing.assert_close(maps[:, 0], rows[:, -1].mean(1).flatten(1))
    assert cover(model, images, maps, classes, torch.Generator().manual_seed(0)).brightest.shape == (3, 3)
    found = worth.heads(model, shapes.test.take(slice(5)), lambda done: None)
    assert len(found["sinks"]) == len(found["entropy_share"]) == model.num_maps
    text = card._heads(model, found)
    assert ("| read-out |" in text) == model.has_readout
    assert ("class token" in text) != model.has_readout
    pictures = shapes.test.take(slice(3))
    covering, areas = (part(model, pictures, 0, lambda done: None) for part in (worth.covering, worth.areas))
    told = card._covering(model, covering), card._areas(model, areas)
    assert [("| read-out |" in text) for text in told] == [model.has_readout] * 2
