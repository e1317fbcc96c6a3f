"""Weights of timm, transformers and torchvision as a model of ours: recognized, described, or refused by name."""

import inspect
from typing import Any

import torch

from vit.model import Model, ViT
from vit.weights import description
from vit.weights.description import Description
from vit.weights.families import Foreign, Tensors, timm, torchvision, transformers

WRAPPERS = ("module.", "_orig_mod.", "model.", "state_dict.")  # what DataParallel, torch.compile and loops put before
AVERAGED = ("model_ema.", "state_dict_ema.", "ema_model.", "ema.")  # of two copies the one that answers are made with
COUNTERS = ("n_averaged",)  # what torch's AveragedModel keeps beside the weights
FITTING = (
    "timm's ViT, DeiT, DINO and DINOv2, transformers' vit, deit, dinov2 and dinov2_with_registers, torchvision's vit"
)
HEADS = ("head.", "head_dist.", "classifier.", "cls_classifier.", "distillation_classifier.", "heads.head.")
SHOWN = 5  # names of tensors in a refusal


def describe(
    config: dict[str, Any] | None,
    preprocessor: dict[str, Any] | None,
    tensors: Tensors,
    source: str,
    headless: bool = False,
) -> tuple[Description, Tensors]:
    """What a foreign model is, and its tensors as float32 by our names.

    config, preprocessor: the JSON files beside the weights, None where there are none. source: said in `trained`.
    headless: its head is left out.
    Nothing of the repository's own code is run. Raises ValueError, naming what does not fit and what would.
    """
    if config and "auto_map" in config:
        raise ValueError(
            "its config names code of its own (auto_map, for trust_remote_code), which is never run here; what fits is "
            + FITTING
        )
    tensors = {name: tensor.float() for name, tensor in unwrapped(tensors).items()}
    if headless:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(HEADS)}
    foreign = _translate(config or {}, config is not None, preprocessor, tensors)
    described = description.parse(
        {
            "arguments": {**_defaults(), **foreign.arguments},
            "classes": list(foreign.classes),
            "mean": list(foreign.mean),
            "std": list(foreign.std),
            "trained": {"model": source.rstrip("/").split("/")[-1], "pretrained": source},
        }
    )
    return described, foreign.tensors


def unwrapped(tensors: Tensors) -> Tensors:
    """The tensors without what wrappers put before their names; of weights and their average the average."""
    tensors = {name: tensor for name, tensor in tensors.items() if name not in COUNTERS}
    while True:
        averaged = next((p for p in AVERAGED if any(name.startswith(p) for name in tensors)), None)
        common = next((p for p in WRAPPERS if tensors and all(name.startswith(p) for name in tensors)), None)
        prefix = averaged or common
        if prefix is None:
            return tensors
        tensors = {
            name.removeprefix(prefix): tensor
            for name, tensor in tensors.items()
            if name.startswith(prefix) and name.removeprefix(prefix) not in COUNTERS
        }


def _translate(config: dict, described: bool, preprocessor: dict | None, tensors: Tensors) -> Foreign:
    if torchvision.recognizes(tensors):
        return torchvision.translate(config, tensors)
    if not described:
        raise ValueError(
            "it has no config.json, and the weights alone do not say how many heads there are nor how pictures are "
            "normalized; take it from where the weights are from"
        )
    if isinstance(config.get("model_type"), str):
        return transformers.translate(config, preprocessor, tensors)
    if isinstance(config.get("architecture"), str):
        return timm.translate(config, tensors)
    keys = ", ".join(list(tensors)[:SHOWN])
    raise ValueError(f"config.json is of no family known here, and tensors are such as {keys}; what fits is {FITTING}")


def is_foreign(config: dict[str, Any]) -> bool:
    """Whether a config.json is another library's, and not one that our save_pretrained wrote."""
    named = isinstance(config.get("model_type"), str) or isinstance(config.get("architecture"), str)
    bare = {"mean", "std"} == config.keys()  # what a torchvision file may have beside it
    return not {"classes", "arguments"} & config.keys() and (named or bare or "auto_map" in config)


@torch.no_grad()
def with_new_head(model: Model, num_classes: int, generator: torch.Generator | None = None) -> Model:
    """A new model with this one's weights but for a head of num_classes, drawn anew; 0 leaves a ViT's head out.

    What was measured of the model, and its temperature, is not handed on. Raises ValueError below 0.
    """
    new = type(model)(**{**model.config, "num_classes": num_classes})
    new.reset_parameters(generator)
    kept = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(HEADS)}
    new.load_state_dict(kept, strict=False)
    new.mean, new.std = model.mean, model.std
    new.classes = tuple(f"class {i}" for i in range(num_classes))
    new.trained = {
        name: value for name, value in model.trained.items() if not name.startswith(("test_", "validation_", "dataset"))
    }
    return new.train(model.training)


def _defaults() -> dict:
    return {name: argument.default for name, argument in inspect.signature(ViT).parameters.items()}
