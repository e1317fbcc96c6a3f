"""What the Attention tab sends to the page: all maps of one picture, packed; every head's numbers and sentences."""

import base64
import secrets
import threading
import zlib
from collections import OrderedDict
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.interpret.attention import HeadStatistics, describe_view, early_against_late, head_statistics, rollout
from vit.interpret.probing import central_region
from vit.live import models
from vit.ui import pictures, theme
from vit.ui.errors import BadInput
from vit.ui.pictures import Look, Picture

ROBUST = 0.99  # quantile of the weights at which a shared scale ends: one lone peak must not darken every map
MAX_BYTES = 1_600_000  # of maps before compression; above it the patch queries are pooled
REMEMBERED = 1000

_views: OrderedDict[str, tuple[str, Picture]] = OrderedDict()
_lock = threading.Lock()


def remember(key: str, picture: Picture) -> str:
    """A token by which the page asks for more about a picture: it never names files of the server."""
    token = secrets.token_urlsafe(12)
    with _lock:
        _views[token] = (key, picture)
        while len(_views) > REMEMBERED:
            _views.popitem(last=False)
    return token


def recall(token: str) -> tuple[str, Picture]:
    """What `remember` was told. Raises BadInput once it is forgotten."""
    if token not in _views:
        raise BadInput("The server has forgotten this picture, it was restarted perhaps; choose the picture again.")
    return _views[token]


def payload(seen: Look, key: str, picture: Picture) -> dict:
    """All that the page needs to draw any layer, head and query, and to say what is in it."""
    model = seen.model
    (h, w), (_, L, heads, *_) = model.grid_size, seen.maps.shape
    reached = rollout(seen.maps)
    objects, region = object_of(seen)
    statistics = view_statistics(seen, objects)
    per_head = heads_only(statistics, heads)
    cls = seen.maps[0, :, :, 0, model.num_prefix_tokens :]
    best = seen.probabilities.topk(min(5, len(model.classes)))
    return {
        "token": remember(key, picture),
        "model": key,
        "title": models.name(model),
        "picture": None if picture[0] == "upload" else f"{picture[0]}-{picture[1]}",
        "image": pictures.data_uri(seen.pixels),
        "shape": [L, heads, h, w],
        "prefix": model.num_prefix_tokens,
        "maps": pack(torch.cat([seen.maps, reached[:, :, None]], dim=2)[0], (h, w), model.num_prefix_tokens),
        "tops": {
            "heads": max(cls.quantile(ROBUST).item(), 2 / (h * w)),
            "rollout": reached[0, :, 0, model.num_prefix_tokens :].quantile(ROBUST).item(),
        },
        "statistics": _numbers(statistics, heads),
        "similarity": _bytes(per_head.similarity.mul(255).round().clamp(0, 255).byte()),
        "sentences": [
            [name_region(describe_view(statistics, layer, view), region) for view in range(heads + 2)]
            for layer in range(L)
        ],
        "comparison": _comparison(per_head, region),
        "region": region,
        "classes": list(model.classes),
        "colours": [theme.class_colour(i) for i in range(len(model.classes))],
        "best": [[i, p] for i, p in zip(best.indices.tolist(), best.values.tolist())],
        "truth": seen.truth,
    }


def pack(maps: Tensor, grid_size: tuple[int, int], prefix: int, limit: int = MAX_BYTES) -> dict:
    """Maps (L, C, N, N) as compressed bytes: each row a byte a patch, of its own largest weight.

    Two blocks. rows: (L, C, Q, h*w), what each query gives to the patches; columns: (L, C, prefix, N), what each
    token gives to the prefix tokens, and both in 255ths of peaks (L, C, Q) and (L, C, prefix), float32. The queries
    are the prefix tokens, then the patches; where that makes more than `limit` bytes, the patch queries are pooled
    over pool x pool patches, the least that fits, while the prefix tokens' rows and columns stay exact. So 12 layers
    of 12 heads and a rollout on 14 x 14 patches are 156 * (50 * 196 + 197) bytes, pooled 2 x 2.
    bytes: base64 of zlib of rows, columns, peaks of rows, peaks of columns.
    """
    (h, w), (L, C, *_) = grid_size, maps.shape
    pool = 1
    while L * C * (prefix + -(-h // pool) * -(-w // pool)) * h * w > limit and pool < max(h, w):
        pool += 1
    patches = maps[:, :, prefix:, prefix:]
    if pool > 1:
        by_key = patches.transpose(-1, -2).reshape(-1, 1, h, w)
        patches = F.avg_pool2d(by_key, pool, ceil_mode=True, count_include_pad=False)
        patches = patches.reshape(L, C, h * w, -1).transpose(-1, -2)
    rows, row_peaks = quantise(torch.cat([maps[:, :, :prefix, prefix:], patches], dim=2))
    columns, column_peaks = quantise(maps[..., :prefix].transpose(-1, -2))
    raw = b"".join(part.contiguous().numpy().tobytes() for part in (rows, columns, row_peaks, column_peaks))
    return {"channels": C, "pool": pool, "bytes": base64.b64encode(zlib.compress(raw, 6)).decode()}


def quantise(weights: Tensor) -> tuple[Tensor, Tensor]:
    """(..., n) -> uint8 255ths of the peak (...): at most half a 255th of it is lost."""
    peaks = weights.amax(-1).clamp_min(1e-9).float()
    return (weights / peaks[..., None] * 255).round().to(torch.uint8), peaks


def object_of(seen: Look) -> tuple[Tensor, str]:
    """(1, h, w), how much of each patch is object, and what to call it.

    The true mask where there is one; else the k-means region of the last layer's patch tokens nearest to the centre.
    """
    if seen.mask is not None:
        return F.adaptive_avg_pool2d(seen.mask[None].float(), seen.model.grid_size), "the object"
    images = seen.model.normalize(seen.pixels)[None]
    return central_region(seen.model, images), "the central region"


def view_statistics(seen: Look, objects: Tensor) -> HeadStatistics:
    """Numbers of all heads, then of their mean, then of rollout: (L, heads + 2)."""
    model = seen.model
    views = torch.cat([seen.maps, seen.maps.mean(2, keepdim=True), rollout(seen.maps)[:, :, None]], dim=2)
    patch_size = model.config["patch_size"]
    return head_statistics(views, model.grid_size, model.num_prefix_tokens, patch_size, objects)


def heads_only(statistics: HeadStatistics, heads: int) -> HeadStatistics:
    """Without the columns of mean and rollout that `view_statistics` adds."""
    L, views = statistics.distance.shape
    kept = (torch.arange(L)[:, None] * views + torch.arange(heads)).flatten()
    names = ("distance", "entropy", "cls_entropy", "attention_to_cls", "cls_to_itself", "object_share")
    cut = {name: getattr(statistics, name)[:, :heads] for name in names}
    return replace(statistics, **cut, similarity=statistics.similarity[kept][:, kept])


def _numbers(statistics: HeadStatistics, heads: int) -> dict:
    """Rows of (L, heads + 2) by name, each with what uniform attention has and the end of its scale."""
    shown = {
        "distance": (statistics.distance, statistics.uniform_distance, 1.6 * statistics.uniform_distance),
        "entropy": (statistics.entropy, statistics.max_entropy, 1.1 * statistics.max_entropy),
        "attention_to_cls": (statistics.attention_to_cls, statistics.uniform_share, None),
        "object_share": (statistics.object_share, statistics.object_area, 1.0),
    }
    return {
        name: {
            "values": [[round(v, 5) for v in row] for row in values.tolist()],
            "uniform": uniform,
            "top": top or max(2 * uniform, 1.1 * values[:, :heads].max().item()),
        }
        for name, (values, uniform, top) in shown.items()
    }


def _comparison(statistics: HeadStatistics, region: str) -> dict:
    compared = early_against_late(statistics)
    return {
        "layers": compared.layers,
        "early": compared.early,
        "late": compared.late,
        "sentence": name_region(compared.sentence, region),
    }


def name_region(sentence: str, region: str) -> str:
    """vit.interpret.attention speaks of the object; without a mask nothing says that the region is one."""
    return sentence.replace("the object", region)


def _bytes(tensor: Tensor) -> str:
    return base64.b64encode(tensor.contiguous().numpy().tobytes()).decode()
