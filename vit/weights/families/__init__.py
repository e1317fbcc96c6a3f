"""Other libraries' Vision Transformers: what their configs say and how their tensors are called, put into our words.

Each module's `translate` takes a config, and tensors by the library's names, and returns a Foreign in ours. What the
weights cannot tell and the config does not say, or what our model has no part for, raises ValueError with its name.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Foreign:
    """A model of another library in our words.

    arguments: of `vit.model.ViT`. classes: empty without a head. mean, std: a value a channel, of pixels in [0, 1].
    tensors: by our names, of the shapes that arguments ask for, if the config told the truth.
    """

    arguments: dict
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tensors: Tensors


@cache
def imagenet_classes() -> tuple[str, ...]:
    """The names of ImageNet's 1000 classes in the order of the challenge of 2012, short, as torchvision has them."""
    return tuple(Path(__file__).with_name("imagenet.txt").read_text(encoding="utf-8").splitlines())


def read_arguments(tensors: Mapping[str, Tensor], num_heads: int, norm_eps: float, prefix: int | None = None) -> dict:
    """The arguments that tensors of our names show; heads and eps are what no weight shows.

    prefix: how many position embeddings are not of patches; by default that of each prefix token. Raises ValueError
    where a tensor that tells is missing or of no such shape.
    """
    kernel, positions = (_shape(tensors, name) for name in ("patch_embed.proj.weight", "pos_embed"))
    if len(kernel) != 4 or kernel[2] != kernel[3] or len(positions) != 3:
        raise ValueError(f"patches must be squares in rows and columns, got kernel {kernel} and positions {positions}")
    depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
    registers = _shape(tensors, "reg_token")[1] if "reg_token" in tensors else 0
    distilled = "dist_token" in tensors
    own = 1 + distilled + registers if prefix is None else prefix
    side = math.isqrt(max(0, positions[1] - own))
    if not depth or not side or side**2 != positions[1] - own:
        raise ValueError(
            f"{positions[1]} position embeddings, {own} of them of no patch, are no square of patches; only square "
            "pictures can be read here"
        )
    return {
        "img_size": side * kernel[2],
        "patch_size": kernel[2],
        "in_chans": kernel[1],
        "num_classes": _shape(tensors, "head.weight")[0] if "head.weight" in tensors else 0,
        "embed_dim": kernel[0],
        "depth": depth,
        "num_heads": num_heads,
        "mlp_ratio": _shape(tensors, "blocks.0.mlp.fc1.weight")[0] / kernel[0],
        "qkv_bias": "blocks.0.attn.qkv.bias" in tensors,
        "norm_eps": norm_eps,
        "distilled": distilled,
        "reg_tokens": registers,
        "init_values": 1.0 if "blocks.0.ls1.gamma" in tensors else 0.0,
    }


def spread_positions(tensors: Tensors, of: int) -> None:
    """Gives each prefix token a position: those of which there were `of` keep theirs, the others get zeros.

    In place. The sum of token and position, which alone enters the model, stays what it was.
    """
    prefix = sum(tensors[name].shape[1] for name in ("cls_token", "dist_token", "reg_token") if name in tensors)
    positions = tensors["pos_embed"]
    zeros = positions.new_zeros(1, prefix - of, positions.shape[2])
    tensors["pos_embed"] = torch.cat([positions[:, :of], zeros, positions[:, of:]], dim=1)


def check_outputs(key: str, named: int, outputs: int) -> None:
    """Raises ValueError where config and head differ in the number of classes."""
    if named != outputs:
        raise ValueError(
            f"its head has {outputs} outputs, and {key} of config.json says {named}: correct the config, or start the "
            "head anew with `convert --num-classes`"
        )


def _shape(tensors: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    if name not in tensors:
        raise ValueError(f"{name} is missing")
    return tuple(tensors[name].shape)
