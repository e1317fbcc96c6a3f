"""What timm needs to know of a model of ours, so that timm.create_model("hf-hub:...") loads it."""

from vit.model import Classifier, ViT

EPS = 1e-6  # what timm's VisionTransformer has, and JSON can't change


def timm_config(model: Classifier) -> dict:
    """timm's keys of config.json: architecture, model_args, pretrained_cfg; empty for a model that timm does not have.

    The architecture is any that model_args override; which one says no more than whether there are two heads.
    """
    config = model.config
    if not isinstance(model, ViT) or not _plain(config):
        return {}
    distilled, size = config["distilled"], config["img_size"]
    taken = ("img_size", "patch_size", "in_chans", "embed_dim", "depth", "num_heads", "mlp_ratio", "qkv_bias")
    more = {"init_values": config["init_values"] or None} | ({} if distilled else {"reg_tokens": config["reg_tokens"]})
    return {
        "architecture": "deit_base_distilled_patch16_224" if distilled else "vit_base_patch16_224",
        "num_classes": config["num_classes"],
        "num_features": config["embed_dim"],
        "global_pool": "token",
        "model_args": {**{name: config[name] for name in taken}, **more},
        "pretrained_cfg": {
            "num_classes": config["num_classes"],
            "input_size": [config["in_chans"], size, size],
            "fixed_input_size": True,
            "mean": list(model.mean),
            "std": list(model.std),
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "first_conv": "patch_embed.proj",
            "classifier": ["head", "head_dist"] if distilled else "head",
        },
    }


def _plain(config: dict) -> bool:
    return (
        config["stem"] == "patch"
        and config["global_pool"] == "token"
        and config["norm_eps"] == EPS
        and not (config["distilled"] and config["reg_tokens"])
    )
