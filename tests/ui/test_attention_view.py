"""What the Attention tab sends: bytes that decode to the maps, numbers and sentences that are vit.interpret's own."""

import base64
import io
import json
import math
import zlib

import numpy as np
import pytest
import torch

from vit.data.pictures import fit
from vit.interpret.analysis import Analysis
from vit.interpret.attention import rollout
from vit.interpret.statistics import TABLE
from vit.model import ViT
from vit.ui import analysis, asking
from vit.ui.attention import probes
from vit.ui.errors import BadInput
from vit.ui.heads_off import without_heads


def looked(model: ViT, mask: bool = True) -> Analysis:
    """Of noise."""
    generator = torch.Generator().manual_seed(0)
    size = model.config["img_size"]
    model.classes = tuple(f"class {i}" for i in range(model.head.out_features))
    pixels = torch.randint(0, 256, (3, size, size), generator=generator, dtype=torch.uint8)
    covered = torch.zeros(size, size, dtype=torch.bool)
    covered[: size // 2, : size // 2] = True
    return Analysis(model, pixels, covered if mask else None, "class 0")


def unpack(packed: dict, shape: tuple[int, int, int, int], prefix: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (L, C, Q, P) and columns (L, C, prefix, N), as the page reads them."""
    L, _, h, w = shape
    C, pool, P = packed["channels"], packed["pool"], h * w
    Q, N = prefix + math.ceil(h / pool) * math.ceil(w / pool), prefix + P
    raw = zlib.decompress(base64.b64decode(packed["bytes"]))
    sizes = [L * C * Q * P, L * C * prefix * N, 4 * L * C * Q, 4 * L * C * prefix]
    assert len(raw) == sum(sizes)
    rows, columns, row_peaks, column_peaks = np.split(np.frombuffer(raw, np.uint8), np.cumsum(sizes)[:-1])
    row_peaks, column_peaks = (peaks.tobytes() for peaks in (row_peaks, column_peaks))
    rows = rows.reshape(L, C, Q, P) / 255 * np.frombuffer(row_peaks, "<f4").reshape(L, C, Q, 1)
    columns = columns.reshape(L, C, prefix, N) / 255 * np.frombuffer(column_peaks, "<f4").reshape(L, C, prefix, 1)
    return rows, columns


@pytest.mark.parametrize("distilled", [False, True])
def test_bytes_decode_to_the_maps_within_half_a_step(distilled):
    torch.manual_seed(0)
    model = ViT(img_size=24, patch_size=4, embed_dim=24, depth=2, num_heads=3, distilled=distilled)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    seen, prefix = looked(model), 1 + distilled
    sent = analysis.payload(seen, "m", ("shapes", 3))
    assert sent["shape"] == [2, 3, 6, 6] and sent["prefix"] == prefix and sent["maps"]["pool"] == 1
    rows, columns = unpack(sent["maps"], sent["shape"], prefix)
    true = torch.cat([seen.maps, rollout(seen.maps)[:, :, None]], 2)[0].numpy()  # (L, C, N, N)
    patches, given = true[..., prefix:], np.swapaxes(true[..., :prefix], -1, -2)
    assert (abs(rows - patches) <= patches.max(-1, keepdims=True) / 509).all()
    assert (abs(columns - given) <= given.max(-1, keepdims=True) / 509).all()


def test_a_model_of_12_layers_12_heads_and_14_x_14_patches_is_sent_in_less_than_2_mb():
    """Queries are pooled 2 x 2 there; the class token's row and column stay exact."""
    torch.manual_seed(0)
    model = ViT(img_size=56, patch_size=4, embed_dim=96, depth=12, num_heads=12)
    for block in model.blocks:
        torch.nn.init.normal_(block.attn.qkv.weight, std=0.3)  # sharp, varied maps: the hardest to compress
    seen = looked(model)
    sent = analysis.payload(seen, "m", ("shapes", 3))
    assert len(json.dumps(sent)) < 2_000_000
    rows, columns = unpack(sent["maps"], sent["shape"], 1)
    assert sent["maps"]["pool"] == 2 and rows.shape == (12, 13, 1 + 49, 196)
    maps = seen.maps[0].numpy()
    step = maps.max(-1) / 509
    assert (abs(rows[:, :12, 0] - maps[:, :, 0, 1:]) <= step[:, :, 0, None]).all()
    assert abs(columns[:, :12, 0] - maps[..., 0]).max() <= maps[..., 0].max() / 509
    block = maps[:, :, [1, 2, 15, 16], 1:].mean(2)  # the upper left 2 x 2 patches
    assert (abs(rows[:, :12, 1] - block) <= block.max(-1, keepdims=True) / 509).all()


def test_each_row_of_the_table_comes_with_its_numbers_and_none_is_nan(small_vit):
    seen = looked(small_vit)
    sent = analysis.payload(seen, "m", ("shapes", 3))
    json.dumps(sent, allow_nan=False)
    assert [row["name"] for row in sent["statistics"]] == [row.name for row in TABLE]
    for row, sent_row in zip(TABLE, sent["statistics"]):
        assert {"title", "unit", "digits", "meaning", "reference", "top"} <= sent_row.keys()
        assert np.array(sent_row["values"]).shape == (3, 5)
        largest = max(v for layer in sent_row["values"] for v in layer[:3] if v is not None)
        assert sent_row["top"] >= largest, row.name
    assert sent["sentences"] == seen.sentences
    assert len({sentence for row in sent["sentences"]["to"] for sentence in row}) > 9  # they change with the view
    assert len(sent["sentences"]["by"]) == 3 and not set(sent["sentences"]["by"][0]) & set(sent["sentences"]["to"][0])


def test_what_is_said_of_patches_comes_exactly_unless_they_are_pooled(small_vit, monkeypatch):
    seen = looked(small_vit)
    sent = analysis.payload(seen, "m", ("shapes", 3))
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(sent["patches"])), "<f4").reshape(4, 2, 3, 5, 64)
    told = seen.patches
    assert (numbers[0] == told.distance.numpy()).all() and (numbers[2] == told.peak.numpy()).all()
    assert (numbers[3] == told.place.numpy()).all()
    monkeypatch.setattr(analysis, "MAX_BYTES", 1000)
    assert analysis.payload(seen, "m", ("shapes", 3))["patches"] is None


def test_without_a_mask_nothing_is_called_an_object(small_vit):
    sent = analysis.payload(looked(small_vit, mask=False), "m", ("upload", "/tmp/secret.png"))
    said = json.dumps([sent["sentences"], sent["comparison"], [row["title"] for row in sent["statistics"]]])
    assert "the object" not in said and "the middle of the picture" in said and sent["middle"]
    assert sent["picture"] is None and "secret" not in json.dumps(sent)
    assert not analysis.payload(looked(small_vit), "m", ("shapes", 3))["middle"]


def test_pictures_and_masks_take_the_models_size(shapes):
    part = shapes.test.take(slice(3))
    assert fit(part.images, part.masks, 32) == (part.images, part.masks)
    images, masks = fit(part.images, part.masks, 56)
    assert images.shape == (3, 3, 56, 56) and images.dtype == torch.uint8
    assert masks.float().mean().item() == pytest.approx(part.masks.float().mean().item(), abs=0.01)


def test_a_forgotten_picture_is_refused_with_a_remedy(monkeypatch):
    monkeypatch.setattr(analysis, "KEPT_TOKENS", 1)
    token = analysis.remember("a", ("shapes", 0))
    assert analysis.recall(token) == ("a", ("shapes", 0))
    analysis.remember("b", ("shapes", 1))
    with pytest.raises(BadInput, match="choose the picture again"):
        analysis.recall(token)
    assert "choose the picture again" in probes.lens({"token": token})["error"]


@pytest.fixture
def asked(small_vit, monkeypatch):
    """Asks a probe about noise through a small model."""
    seen = looked(small_vit)
    monkeypatch.setattr(asking, "analyze", lambda key, picture: seen)
    token = analysis.remember("m", ("shapes", 3))
    return lambda probe, **question: probe({"token": token, **question}), seen


def test_a_head_off_is_the_models_own_mask(asked):
    ask, seen = asked
    assert ask(without_heads, off=[])["probabilities"] == pytest.approx(seen.probabilities.tolist(), abs=1e-6)
    mask = torch.ones(3, 3)
    mask[1, 2] = 0
    with torch.no_grad():
        expected = seen.model((seen.pixels[None] / 255 - 0.5) / 0.5, head_mask=mask)[0].softmax(0)
    assert ask(without_heads, off=[[1, 2]])["probabilities"] == pytest.approx(expected.tolist(), abs=1e-6)


def test_probes_answer_for_every_class_layer_and_patch(asked):
    ask, seen = asked
    answer = ask(probes.relevance, classes=[3, 7])
    assert answer["classes"] == [3, 7] and [len(grid) for grid in answer["grids"]] == [64, 64]
    for grid, sentence, c in zip(answer["grids"], answer["sentences"], (3, 7)):
        assert f"Total {sum(grid):.3g} for class {c}" in sentence
    lens = ask(probes.lens)
    assert len(lens["cls"]) == 3 and [len(row) for row in lens["patches"]] == [64] * 3
    last = dict(lens["cls"][-1])
    assert last[seen.probabilities.argmax().item()] == pytest.approx(seen.probabilities.max().item(), abs=1e-6)
    weights = ask(probes.weights)
    cosine = np.frombuffer(base64.b64decode(weights["positions"]), np.uint8).reshape(64, 64)
    assert (cosine.diagonal() >= 254).all() and len(weights["filters"]) == 24


def test_mistakes_come_back_as_words(asked):
    ask, _ = asked
    assert "class must be a whole number from 0 to 9" in ask(probes.relevance, classes=[99])["error"]
    assert "layer must be a whole number from 0" in ask(without_heads, off=[[9, 9]])["error"]
    assert "png, svg, pdf" in ask(probes.export, format="exe")["error"]
    assert "numbers, got 2; send one for each patch" in ask(probes.export, format="png", grid=[1, 2])["error"]


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_figures_are_saved_in_each_format(asked, kind, magic):
    ask, _ = asked
    view = {"grid": [0.1] * 64, "top": 0.2, "title": "t", "name": "n", "colormap": "viridis"}
    answer = ask(probes.export, format=kind, **view)
    assert answer["name"].endswith(f"shapes-3.{kind}") and base64.b64decode(answer["content"]).startswith(magic)


def test_raw_maps_are_saved_exactly(asked):
    ask, seen = asked
    saved = np.load(io.BytesIO(base64.b64decode(ask(probes.export, format="npz")["content"])))
    assert (saved["maps"] == seen.maps[0].numpy()).all()
    assert saved["rollout"].shape == (3, 65, 65) and saved["num_prefix_tokens"] == 1
