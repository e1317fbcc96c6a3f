"""Randomly initialized models of other libraries, written as those libraries write them, every tensor drawn anew."""

import json
from pathlib import Path

import timm
import torch
import torchvision
import transformers
from safetensors.torch import save_file
from torch import Tensor, nn

IMAGE_PROCESSOR = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "do_normalize": True}


def redraw(model: nn.Module, seed: int = 0) -> nn.Module:
    """Normal of std 0.05, about 1 for norms and layer scale: timm's layer scale starts at 1e-5."""
    generator = torch.Generator().manual_seed(seed)
    ones = [m.weight for m in model.modules() if isinstance(m, nn.LayerNorm)]
    ones += [p for name, p in model.named_parameters() if name.endswith(("gamma", "lambda1"))]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.05, generator=generator)
        for parameter in ones:
            parameter.add_(1)
    return model.eval()


def save_timm(model: nn.Module, folder: Path, model_args: dict | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    timm.models.save_for_hf(model, folder, model_args=model_args, safe_serialization=True)
    return folder


def save_transformers(model: transformers.PreTrainedModel, folder: Path) -> Path:
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(IMAGE_PROCESSOR))
    return folder


def save_torchvision(model: nn.Module, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder


def run_timm(model: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits, and the maps of each layer with timm's fused attention switched off."""
    maps: list[Tensor] = []
    for block in model.blocks:
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_hook(lambda module, inputs, output: maps.append(inputs[0]))
    with torch.no_grad():
        return model(images), maps


def run_torchvision(model: torchvision.models.VisionTransformer, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Logits, and the maps of each layer, asked of its nn.MultiheadAttention by the tokens that it was given."""
    maps: list[Tensor] = []

    def ask(module, inputs):
        maps.append(attend(module, *inputs[:3], need_weights=True, average_attn_weights=False)[1])

    attend = nn.MultiheadAttention.forward
    for layer in model.encoder.layers:
        layer.self_attention.register_forward_pre_hook(ask)
    with torch.no_grad():
        return model(images), maps
