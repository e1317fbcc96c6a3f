"""Weights for another grid of patches: position embeddings and patch kernels resized, so a run may begin coarser."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vit.model import Model, ViT


def resize_positions(
    pos_embed: Tensor, grid_size: tuple[int, int], new_grid_size: tuple[int, int], num_prefix_tokens: int
) -> Tensor:
    """Position embeddings for another grid, by antialiased bicubic interpolation (Dosovitskiy et al. 2021, Sec. 3.2).

    pos_embed: (1, num_prefix_tokens + h*w, D) of a grid (h, w); those of the prefix tokens stay as they are. Returns
    (1, num_prefix_tokens + h'*w', D) in the same dtype. Raises ValueError where tokens and grid do not fit.
    """
    expected = num_prefix_tokens + math.prod(grid_size)
    if pos_embed.ndim != 3 or len(pos_embed) != 1 or pos_embed.shape[1] != expected:
        raise ValueError(
            f"Expected position embeddings (1, {expected}, D) of {num_prefix_tokens} prefix tokens and a grid of "
            f"{grid_size[0]} x {grid_size[1]}, got {tuple(pos_embed.shape)}; take both from the model they come from."
        )
    _check_size("new_grid_size", new_grid_size)
    if tuple(grid_size) == tuple(new_grid_size):
        return pos_embed
    prefix, patches = pos_embed[:, :num_prefix_tokens], pos_embed[:, num_prefix_tokens:]
    grid = patches.float().unflatten(1, tuple(grid_size)).permute(0, 3, 1, 2)  # (1, D, h, w)
    resized = F.interpolate(grid, tuple(new_grid_size), mode="bicubic", antialias=True)
    return torch.cat([prefix, resized.flatten(2).transpose(1, 2).to(pos_embed.dtype)], dim=1)


def resize_patches(kernel: Tensor, new_size: tuple[int, int]) -> Tensor:
    """The patch projection's kernel for patches of another size (FlexiViT, Beyer et al. 2023, arXiv:2212.08013, Eq. 4).

    The pseudo-inverse of resizing: where patches are resized to new_size by antialiased bicubic interpolation, the new
    kernel gives what the old one gave, exactly if they grew, else as nearly as can be. kernel: (D, C, P, P'). Returns
    (D, C, *new_size) in the same dtype. Raises ValueError on another shape.
    """
    if kernel.ndim != 4:
        raise ValueError(f"Expected a kernel (D, C, height, width), got {tuple(kernel.shape)}.")
    _check_size("new_size", new_size)
    old_size = kernel.shape[-2:]
    if tuple(old_size) == tuple(new_size):
        return kernel
    pixels = torch.eye(math.prod(old_size), device=kernel.device).view(-1, 1, *old_size)  # each alone in a patch
    resizing = F.interpolate(pixels, tuple(new_size), mode="bicubic", antialias=True).flatten(1)  # (old, new) pixels
    new = kernel.float().flatten(2) @ torch.linalg.pinv(resizing).T
    return new.unflatten(2, tuple(new_size)).to(kernel.dtype)


@torch.no_grad()
def resized(model: ViT, img_size: int | None = None, patch_size: int | None = None) -> ViT:
    """A new model for images or patches of another size, with this one's weights, to be trained on.

    What was measured of the model, its accuracies and temperature, is not handed on. Raises ValueError on sizes of
    which no model can be made, and on another patch size of a conv stem, which pools and has no kernel of that size.
    """
    old = model.config
    if old["stem"] == "conv" and patch_size not in (None, old["patch_size"]):
        raise ValueError(
            f"A conv stem is made for its patch_size of {old['patch_size']}; it has no kernel to be resized to "
            f"{patch_size}; resize img_size alone, or train a model with stem='patch'."
        )
    new = ViT(**{**old, "img_size": img_size or old["img_size"], "patch_size": patch_size or old["patch_size"]})
    weights = dict(model.state_dict())
    prefix = model.num_prefix_tokens
    weights["pos_embed"] = resize_positions(weights["pos_embed"], model.grid_size, new.grid_size, prefix)
    if old["stem"] == "patch":
        side = new.config["patch_size"]
        weights["patch_embed.proj.weight"] = resize_patches(weights["patch_embed.proj.weight"], (side, side))
    parameter = next(model.parameters())
    new.to(parameter.device, parameter.dtype).load_state_dict(weights, strict=True)
    new.classes, new.mean, new.std = model.classes, model.mean, model.std
    new.trained = _unmeasured(model.trained)
    return new.train(model.training)


@torch.no_grad()
def set_image_size(model: Model, img_size: int) -> Model:
    """Changes the model in place to images of another size, and returns it: a ViT's position embeddings are resized.

    Its other weights stay the same tensors. What was measured of the model, its accuracies, temperature and doubt, is
    dropped.
    Raises ValueError, before anything is changed, on a size that its patches do not divide, or below a CNN's least.
    """
    with torch.device("meta"):
        other = type(model)(**{**model.config, "img_size": img_size})
    if isinstance(model, ViT) and isinstance(other, ViT):
        prefix = model.num_prefix_tokens
        model.pos_embed = nn.Parameter(resize_positions(model.pos_embed, model.grid_size, other.grid_size, prefix))
        model.patch_embed.img_size, model.patch_embed.grid_size = img_size, other.grid_size
    model.config, model.trained = other.config, _unmeasured(model.trained)
    model.temperature, model.doubt = 1.0, None
    return model


def _unmeasured(trained: dict) -> dict:
    return {name: value for name, value in trained.items() if not name.startswith(("test_", "validation_"))}


def _check_size(name: str, size: tuple[int, int]) -> None:
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"{name} must be a height and a width of 1 or more, got {size}.")
