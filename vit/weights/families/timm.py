"""timm's ViT, DeiT, DeiT III, DINO and DINOv2: our names are timm's, so what is left is to read the config."""

import re
from typing import Any

from vit.weights.families import Foreign, Tensors, check_outputs, imagenet_classes, read_arguments, spread_positions

WIDTHS = {"tiny": 192, "small": 384, "medium": 512, "base": 768, "large": 1024}  # each has heads of 64 channels
NAME = re.compile(
    r"(?P<family>vit|deit3|deit)_(?P<size>tiny|small|medium|base|large)(?P<distilled>_distilled)?_patch(?P<patch>\d+)"
    r"(_(?P<registers>reg4)?_?(?P<dino>dinov2)|_\d+)"
)
KNOWN = (  # arguments that are read here, or from the weights
    {"img_size", "patch_size", "in_chans", "num_classes", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias"}
    | {"init_values", "reg_tokens", "no_embed_class", "global_pool", "class_token"}
)
IDLE = {"drop_rate", "pos_drop_rate", "patch_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"} | {
    "weight_init",  # these and dropout do nothing to a trained model
    "dynamic_img_size",
    "strict_img_size",
}
EPS = 1e-6  # of all of timm's VisionTransformer, unless norm_layer says otherwise, which is refused


def translate(config: dict[str, Any], tensors: Tensors) -> Foreign:
    """config: timm's config.json, with architecture, global_pool, pretrained_cfg and perhaps model_args."""
    name, about = config["architecture"], config.get("pretrained_cfg")
    given = config.get("model_args") or {}
    if not isinstance(about, dict) or not isinstance(given, dict):
        raise ValueError("timm's config.json has objects pretrained_cfg and model_args, and here is another value")
    match = NAME.fullmatch(name.split(".")[0])
    if not match:
        raise ValueError(
            f"timm's {name!r:.80} is no plain ViT; what fits are ViT, DeiT, DINO and DINOv2 of the sizes "
            f"{', '.join(WIDTHS)}, such as vit_small_patch16_224"
        )
    if other := [key for key, value in given.items() if key not in KNOWN | IDLE and value not in (None, False)]:
        raise ValueError(f"model_args has {other[0]}={given[other[0]]!r:.60}, which our model has no part for")
    pools = [place["global_pool"] for place in (given, config) if place.get("global_pool") is not None]
    others = [pool for pool in pools if pool != "token"]
    if others or not pools:
        said = f"has global_pool={others[0]!r:.40}" if others else "does not say what its head reads (global_pool)"
        raise ValueError(f"it {said}, and only 'token', the class token, fits: the same weights answer otherwise")
    if given.get("class_token", True) is not True:
        raise ValueError("it has no class token")
    tensors = dict(tensors)
    alone = given.get("no_embed_class", match["family"] == "deit3" or bool(match["registers"]))
    arguments = read_arguments(tensors, 1, EPS, 0 if alone else None)
    arguments["num_heads"] = _heads(match["size"], arguments["embed_dim"], given)
    if alone:
        spread_positions(tensors, 0)
    mean, std = about.get("mean"), about.get("std")
    if not isinstance(mean, list) or not isinstance(std, list):
        raise ValueError("pretrained_cfg does not say how pictures are normalized: mean and std are missing")
    return Foreign(
        arguments, _classes(config, about, given, arguments["num_classes"]), tuple(mean), tuple(std), tensors
    )


def _heads(size: str, width: int, given: dict) -> int:
    heads = given.get("num_heads", WIDTHS[size] // 64)
    if "num_heads" not in given and width != WIDTHS[size]:
        raise ValueError(f"{size} is {WIDTHS[size]} wide, the weights are {width}, and model_args has no num_heads")
    return heads


def _classes(config: dict, about: dict, given: dict, outputs: int) -> tuple[str, ...]:
    """The names that the config has; ImageNet's where the tag says that it was trained on its 1000 classes last."""
    told = given.get("num_classes", config.get("num_classes"))
    if outputs and isinstance(told, int):
        check_outputs("num_classes", told, outputs)
    names = config.get("label_names", about.get("label_names"))
    if isinstance(names, list) and len(names) == outputs and all(isinstance(name, str) for name in names):
        return tuple(names)
    return imagenet_classes() if outputs == 1000 and str(about.get("tag", "")).endswith("in1k") else ()
