"""transformers' ViT, DeiT, DINOv2 and DINOv2 with registers, which have query, key and value apart."""

import re
from typing import Any

import torch

from vit.weights.families import Foreign, Tensors, check_outputs, read_arguments, spread_positions

TYPES = ("vit", "deit", "dinov2", "dinov2_with_registers")
UNREAD = ("pooler.", "mask_token")  # parts that neither logits nor maps depend on; by the names of RENAMED
RENAMED = [  # whole parts of their names, in this order
    (r"^(vit|deit|dinov2|dinov2_with_registers)\.", ""),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.distillation_token$", "dist_token"),
    (r"^embeddings\.register_tokens$", "reg_token"),
    (r"^embeddings\.", ""),
    (r"^encoder\.layer\.", "blocks."),
    (r"\.attention\.attention\.", ".attn."),
    (r"\.attention\.output\.dense\.", ".attn.proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"\.output\.dense\.", ".mlp.fc2."),
    (r"\.layernorm_before\.", ".norm1."),
    (r"\.layernorm_after\.", ".norm2."),
    (r"\.layer_scale([12])\.lambda1$", r".ls\1.gamma"),
    (r"^layernorm\.", "norm."),
    (r"^(cls_)?classifier\.", "head."),
    (r"^distillation_classifier\.", "head_dist."),
]


def translate(config: dict[str, Any], preprocessor: dict[str, Any] | None, tensors: Tensors) -> Foreign:
    """config: config.json with a model_type. preprocessor: preprocessor_config.json, None where there is none."""
    kind, built = config["model_type"], (config.get("architectures") or ["?"])[0]
    if kind not in TYPES:
        raise ValueError(f"transformers' model_type {kind!r:.60} is no plain ViT; what fits are {', '.join(TYPES)}")
    if config.get("use_swiglu_ffn"):
        raise ValueError("its MLP is a SwiGLU (use_swiglu_ffn), as DINOv2's giant has; the smaller sizes fit")
    if kind.startswith("dinov2") and "classifier.weight" in tensors:
        raise ValueError(f"{built}'s head reads class token and patches together; load the DINOv2 without a head")
    heads, eps = _number(config, "num_attention_heads"), _number(config, "layer_norm_eps")
    if (act := config.get("hidden_act")) != "gelu":
        raise ValueError(f"hidden_act is {act!r:.40}, and only 'gelu' fits: the same weights answer otherwise")
    renamed = _join_queries_keys_values(_renamed(tensors))
    if "dist_token" in renamed and "head.weight" in renamed and "head_dist.weight" not in renamed:
        raise ValueError(f"{built} reads one of DeiT's two heads; load DeiTForImageClassificationWithTeacher")
    registers = "reg_token" in renamed
    arguments = read_arguments(renamed, int(heads), eps, 1 if registers else None)
    if registers:
        spread_positions(renamed, 1)
    mean, std = ((preprocessor or {}).get(key) for key in ("image_mean", "image_std"))
    if not isinstance(mean, list) or not isinstance(std, list) or (preprocessor or {}).get("do_normalize") is False:
        raise ValueError(
            "preprocessor_config.json, with image_mean and image_std, must say how pictures are normalized"
        )
    return Foreign(arguments, _classes(config, arguments["num_classes"]), tuple(mean), tuple(std), renamed)


def _renamed(tensors: Tensors) -> Tensors:
    renamed = {}
    for name, tensor in tensors.items():
        for old, new in RENAMED:
            name = re.sub(old, new, name)
        if not name.startswith(UNREAD):
            renamed[name] = tensor
    return renamed


def _join_queries_keys_values(tensors: Tensors) -> Tensors:
    """Three projections of each layer, one upon the other, as our qkv has them."""
    joined = {}
    for name, tensor in tensors.items():
        if ".attn.query." in name:
            names = [name.replace("query", part) for part in ("query", "key", "value")]
            if missing := [part for part in names if part not in tensors]:
                raise ValueError(f"{missing[0]} is missing")
            joined[name.replace("query", "qkv")] = torch.cat([tensors[part] for part in names])
        elif ".attn.key." not in name and ".attn.value." not in name:
            joined[name] = tensor
    return joined


def _classes(config: dict, outputs: int) -> tuple[str, ...]:
    names = config.get("id2label")
    if not isinstance(names, dict) or not outputs:
        return ()
    check_outputs("id2label", len(names), outputs)
    return tuple(str(names.get(str(i), f"class {i}")) for i in range(outputs))


def _number(config: dict, key: str) -> float:
    value = config.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"config.json must have a number for {key}, which no weight shows, got {value!r:.40}")
    return float(value)
