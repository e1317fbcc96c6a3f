"""What a model makes of a picture of the page: analyzed once for all, kept for a while, packed for the script."""

import base64
import secrets
import threading
import time
import zlib
from collections import OrderedDict
from dataclasses import asdict

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.data.pictures import fit, read_picture
from vit.interpret import describe
from vit.interpret.analysis import Analysis, Prediction
from vit.interpret.statistics import TABLE, finite, listed, row_stride
from vit.interpret.telling import telling_heads
from vit.live import models, uploads
from vit.live.datasets import SOURCES
from vit.ui import pictures, theme
from vit.ui.errors import BadInput, as_bad_input
from vit.ui.pictures import Picture

ENDPOINT = {"concurrency_id": "picture", "concurrency_limit": 2}  # all that ask of one picture: others wait their turn
KEPT_BYTES = 64_000_000  # of maps: some 150 pictures through the shipped models, and always the last one
FREE_WEIGHTS = 1_000_000_000  # bytes of the weights of their models, which count among those from here on
KEPT_TOKENS = 1000
ROBUST = 0.99  # quantile of the weights at which a shared scale ends: one lone peak must not darken every map
MAX_BYTES = 3_000_000  # of maps before compression; above it the patch queries are pooled

_predictions: OrderedDict[tuple[str | None, Picture], Prediction] = OrderedDict()
_tokens: OrderedDict[str, tuple[str, Picture]] = OrderedDict()
_lock = threading.Lock()


def analyze(key: str | None, picture: Picture) -> Analysis:
    """What all that is asked of a picture is made from. Raises BadInput, for a model without attention, too."""
    prediction = predict(key, picture)
    if not isinstance(prediction, Analysis):
        raise BadInput(models.NO_ATTENTION)
    return prediction


def predict(key: str | None, picture: Picture) -> Prediction:
    """What a model says of a picture, an Analysis where it has attention; the same object while it is kept.

    key: of the model. Raises BadInput on a model or picture that can't be had.
    """
    if pictures.outdated(picture, time.time()):
        raise BadInput(
            f"Your picture is not here any more: each is deleted {uploads.MINUTES} minutes after it was sent "
            "at the latest; send it again."
        )
    with as_bad_input():
        model = models.find(key)
        with _lock:
            prediction = _predictions.get((key, picture))
        if prediction is None or prediction.model is not model:  # a run's model may have been loaded anew
            looks = Analysis if model.has_attention else Prediction
            prediction = looks(model, *_pixels(picture, model.config["img_size"]))
    with _lock:
        grown = _predictions.get((key, picture)) is not prediction
        _predictions[key, picture] = prediction
        _predictions.move_to_end((key, picture))
        while grown and _kept() > KEPT_BYTES and len(_predictions) > 1:
            _predictions.popitem(last=False)
    return prediction


def sweep(now: float) -> None:
    """Lets go of all that was made of uploads that are to be gone by now, as time.time() says it."""
    with _lock:
        for kept in [kept for kept in _predictions if pictures.outdated(kept[1], now)]:
            del _predictions[kept]
        for token in [token for token, (_, picture) in _tokens.items() if pictures.outdated(picture, now)]:
            del _tokens[token]


def forget(key: str) -> None:
    """Lets go of all that a model said, which is deleted."""
    with _lock:
        for kept in [kept for kept in _predictions if kept[0] and models.own_size(kept[0]) == key]:
            del _predictions[kept]


def _kept() -> int:
    """Bytes, about, of all that is kept: a model stays in memory for as long as one of its predictions does."""
    kept = _predictions.values()
    each = {id(prediction.model): prediction.model for prediction in kept}.values()
    # By where they are: at another size of pictures, a model has the same.
    weights = {tensor.data_ptr(): tensor.nbytes for model in each for tensor in model.state_dict().values()}
    return sum(map(_size, kept)) + max(0, sum(weights.values()) - FREE_WEIGHTS)


def _size(prediction: Prediction) -> int:
    """Bytes, about: those of the picture, and of all maps."""
    return prediction.images.nbytes + (prediction.maps.nbytes if isinstance(prediction, Analysis) else 0)


def _pixels(picture: Picture, img_size: int) -> tuple[Tensor, Tensor | None, str | None]:
    """(3, H, W) uint8, the object's mask and the true class, where they are known."""
    source, which = picture[:2]
    if source == "upload":
        return read_picture(which, img_size, *picture[2:]), None, None
    test = (SOURCES[source].splits or SOURCES[source].load()).test
    images, masks = fit(test.images[[which]], None if test.masks is None else test.masks[[which]], img_size)
    return images[0], None if masks is None else masks[0], test.classes[test.labels[which]]


def remember(key: str, picture: Picture) -> str:
    """A token by which the page asks for more about a picture: it never names files of the server."""
    token = secrets.token_urlsafe(12)
    with _lock:
        _tokens[token] = (key, picture)
        while len(_tokens) > KEPT_TOKENS:
            _tokens.popitem(last=False)
    return token


def recall(token: str) -> tuple[str, Picture]:
    """What `remember` was told. Raises BadInput once it is forgotten."""
    if token not in _tokens:
        raise BadInput("The server has forgotten this picture, it was restarted perhaps; choose the picture again.")
    return _tokens[token]


def told(prediction: Prediction, key: str, picture: Picture) -> dict:
    """What every tab is told of a model and a picture, and the token by which it asks for more."""
    return {
        "token": remember(key, picture),
        "model": key,
        "title": models.name(prediction.model),
        "picture": pictures.name_of(picture),
        "image": (pictures.data_uri if picture[0] == "upload" else pictures.shared_uri)(prediction.pixels),
    }


def payload(analysis: Analysis, key: str, picture: Picture) -> dict:
    """All that the page needs to draw any layer, head and query, and to say what is in it."""
    model, depth = analysis.model, analysis.depth
    (h, w), heads, has_readout = model.grid_size, model.num_heads, model.has_readout
    rows, rolled = (read[..., model.num_prefix_tokens :] for read in analysis.read)
    drawn, prefix = _drawn(analysis)
    best = analysis.probabilities.topk(min(5, len(model.classes)))
    maps = pack(drawn, (h, w), prefix, MAX_BYTES)
    return {
        **told(analysis, key, picture),
        "shape": [depth, heads, h, w],
        "layers": describe.layer_names(depth, has_readout),
        "askers": describe.asker_names(depth, has_readout),
        "readout": has_readout,
        "tokens": analysis.statistics.tokens,
        "prefix": prefix,
        "maps": maps,
        "tops": {
            "heads": max(rows.quantile(ROBUST).item(), 2 / (h * w)),
            "rollout": rolled.quantile(ROBUST).item(),
        },
        "statistics": _numbers(analysis),
        "sampled": row_stride(model.grid_size),
        "sentences": analysis.sentences,
        "telling": [asdict(head) for head in telling_heads(analysis)],
        "patches": _patches(analysis) if maps["pool"] == 1 else None,
        "reach": [describe.LOCAL, describe.GLOBAL],
        "unread": describe.nothing_reads(analysis.statistics),
        "comparison": asdict(analysis.comparison),
        "middle": analysis.mask is None,
        "classes": list(model.classes),
        "colors": theme.class_colors(len(model.classes)),
        "best": [[i, p] for i, p in zip(best.indices.tolist(), best.values.tolist())],
        "truth": analysis.truth,
    }


def _drawn(analysis: Analysis) -> tuple[list[Tensor], int]:
    """All heads' maps (depth, heads, N, N) and the rollout (depth, 1, N, N), and how many tokens are no patches.

    Where no class token is, one is drawn in its place: it asks what is read (`read_rows`), and nothing asks it.
    """
    prefix = analysis.record.num_prefix_tokens
    parts = [analysis.maps[0], analysis.rollout[0][:, None]]
    if analysis.record.readout is None:
        return parts, prefix
    maps = torch.cat(parts, dim=1)
    L, channels, patches = len(maps), maps.shape[1], maps.shape[-1] - prefix
    drawn = maps.new_zeros(analysis.depth, channels, 1 + patches, 1 + patches)
    drawn[:L, :, 1:, 1:] = maps[..., prefix:, prefix:]
    rows, rolled = analysis.read
    drawn[:, :, 0, 1:] = torch.cat([rows, rolled[:, None]], dim=1)[..., prefix:]
    return [drawn], 1


def pack(parts: list[Tensor], grid_size: tuple[int, int], prefix: int, limit: int) -> dict:
    """Maps (L, C, N, N), in parts of some channels each, as compressed bytes: each row a byte a patch, of its own
    largest weight.

    Two blocks. rows: (L, C, Q, h*w), what each query gives to the patches; columns: (L, C, prefix, N), what each
    token gives to the prefix tokens, and both in 255ths of peaks (L, C, Q) and (L, C, prefix), float32. The queries
    are the prefix tokens, then the patches; where that makes more than `limit` bytes, the patch queries are pooled
    over pool x pool patches, the least that fits, while the prefix tokens' rows and columns stay exact. So 12 layers
    of 12 heads and a rollout on 14 x 14 patches are 156 * (50 * 196 + 197) bytes, pooled 2 x 2.
    bytes: base64 of zlib of rows, columns, peaks of rows, peaks of columns.
    """
    (h, w), L, C = grid_size, len(parts[0]), sum(maps.shape[1] for maps in parts)
    pool = 1
    while L * C * (prefix + -(-h // pool) * -(-w // pool)) * h * w > limit and pool < max(h, w):
        pool += 1
    pooling = _pooling(grid_size, pool)
    asked = [
        torch.cat([maps[:, :, :prefix, prefix:], _pooled(maps[:, :, prefix:, prefix:], pooling)], dim=2)
        for maps in parts
    ]
    rows, row_peaks = quantize(torch.cat(asked, dim=1))
    columns, column_peaks = quantize(torch.cat([maps[..., :prefix] for maps in parts], dim=1).transpose(-1, -2))
    raw = b"".join(part.contiguous().numpy().tobytes() for part in (rows, columns, row_peaks, column_peaks))
    return {"channels": C, "pool": pool, "bytes": base64.b64encode(zlib.compress(raw, 4)).decode()}


def _pooling(grid_size: tuple[int, int], pool: int) -> Tensor | None:
    """(pools, h*w): the means over pool x pool patches, fewer at the edges; None for single ones."""
    if pool == 1:
        return None
    each = torch.eye(grid_size[0] * grid_size[1]).unflatten(1, grid_size)
    return F.avg_pool2d(each, pool, ceil_mode=True, count_include_pad=False).flatten(1).T


def _pooled(patches: Tensor, pooling: Tensor | None) -> Tensor:
    """(L, C, h*w, h*w) -> (L, C, pools, h*w). A layer at a time: all together would be copied."""
    return patches if pooling is None else torch.stack([pooling.to(layer) @ layer for layer in patches])


def quantize(weights: Tensor) -> tuple[Tensor, Tensor]:
    """(..., n) -> uint8 255ths of the peak (...): at most half a 255th of it is lost."""
    peaks = weights.amax(-1).clamp_min(1e-9).float()
    return (weights / peaks[..., None] * 255).round().to(torch.uint8), peaks


def _numbers(analysis: Analysis) -> list[dict]:
    """The table's rows with their values: (L, heads + 2), what uniform attention has, and the end of the scale."""
    statistics, rows = analysis.statistics, []
    for row in TABLE:
        uniform, values = statistics.uniform[row.name], statistics.values[row.name]
        rows.append(
            {
                "name": row.name,
                "title": describe.worded(row.title.replace("the object", statistics.region), statistics.has_readout),
                "unit": row.unit,
                "digits": row.digits,
                "meaning": describe.worded(row.meaning, statistics.has_readout),
                "reference": row.reference,
                "values": listed(values),
                "uniform": finite(uniform),
                "top": finite(row.top(uniform, statistics.of_heads(row.name).nan_to_num(0).max().item())),
            }
        )
    return rows


def _patches(analysis: Analysis) -> str:
    """Of each patch: distance, entropy, peak, place, each float32 (2, L, heads + 2, h*w); base64 of zlib of them.

    L counts a read-out, of which all are 0.
    """
    numbers = analysis.patches
    parts = torch.stack([numbers.distance, numbers.entropy, numbers.peak, numbers.place]).float()
    parts = torch.cat([parts, parts.new_zeros(4, 2, analysis.depth - parts.shape[2], *parts.shape[3:])], dim=2)
    return base64.b64encode(zlib.compress(parts.numpy().tobytes(), 6)).decode()
