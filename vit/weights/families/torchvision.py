"""torchvision's ViTs. They have no config: a builder's name stands for all of it, and each has a shape of its own."""

import re
from typing import Any

from vit.weights.families import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Foreign,
    Tensors,
    imagenet_classes,
    read_arguments,
)

HEADS = {  # of width, depth: vit_b_16 and vit_b_32, vit_l_16 and vit_l_32
    (768, 12): 12,
    (1024, 24): 16,
}
EPS = 1e-6
RENAMED = [
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^class_token$", "cls_token"),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^encoder\.layers\.encoder_layer_", "blocks."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.self_attention\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.(linear_1|0)\.", ".mlp.fc1."),
    (r"\.mlp\.(linear_2|3)\.", ".mlp.fc2."),
    (r"^encoder\.ln\.", "norm."),
    (r"^heads\.head\.", "head."),
]


def recognizes(tensors: Tensors) -> bool:
    return {"conv_proj.weight", "encoder.pos_embedding"} <= tensors.keys()


def translate(config: dict[str, Any] | None, tensors: Tensors) -> Foreign:
    """config: a config.json with mean and std, which a head of other classes than ImageNet's needs beside it."""
    renamed = {}
    for name, tensor in tensors.items():
        for old, new in RENAMED:
            name = re.sub(old, new, name)
        renamed[name] = tensor
    arguments = read_arguments(renamed, 1, EPS)
    shape = arguments["embed_dim"], arguments["depth"]
    if shape not in HEADS:
        raise ValueError(
            f"torchvision has no ViT of width {shape[0]} and {shape[1]} layers that fits; vit_b_16, vit_b_32, "
            "vit_l_16 and vit_l_32 do"
        )
    arguments["num_heads"] = HEADS[shape]
    if arguments["num_classes"] == 1000:
        return Foreign(arguments, imagenet_classes(), IMAGENET_MEAN, IMAGENET_STD, renamed)
    mean, std = ((config or {}).get(key) for key in ("mean", "std"))
    if not isinstance(mean, list) or not isinstance(std, list):
        raise ValueError(
            "torchvision's files do not say how pictures are normalized; a head of other classes than ImageNet's needs "
            'a config.json beside it with "mean" and "std", a value a channel'
        )
    return Foreign(arguments, (), tuple(mean), tuple(std), renamed)
