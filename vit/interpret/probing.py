"""What a model shows when it is run on purpose: for one class or another, layer by layer, by its parts.

The model is a `vit.model.ViT` and comes as an argument; nothing but torch is imported. Nothing here changes the model:
not its weights, their .grad, nor the mode of any module.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vit.interpret.trace import Trace, evaluating
from vit.model import ViT


def relevance(model: ViT, images: Tensor, classes: Sequence[int]) -> Tensor:
    """How much each patch speaks for each class, by the gradient of the class's logit through all attention maps.

    Chefer et al. 2021 (arXiv:2103.15679), Eq. 5 and 6: R <- R + mean_heads((dlogit/dA * A)^+) R from the first layer
    to the last, starting from the identity; here is the class token's row of R, or the read-out's, where it starts from
    nothing. In a distilled model both class and distillation token are read, and the mean of their rows is taken.

    images: normalized, (B, C, H, W). classes: K of the model's, the same for all images; one forward pass, K
    backward. Returns (B, K, h, w), not negative and without unit: compare patches, or classes through the logit's
    gradient, but not pictures. Taking one of its five highest patches away lowers the true class's logit in 88% of
    cases, of rollout's five in 70% (the shipped Shapes model, 200 test pictures, test_probing.py); before a conv stem,
    which spreads the edges of removed pixels to neighbors, it has no such lead. Raises ValueError on no class or one
    that is not there.
    """
    with evaluating(model), torch.inference_mode(False), torch.enable_grad():
        # The images carry the gradient's path, so that maps have one in a model with frozen weights too.
        logits, maps = model(images.detach().clone().requires_grad_(), return_attention=True)
        _check_classes(classes, logits.shape[1])
        rows = [
            _relevance_rows(maps, torch.autograd.grad(logits[:, c].sum(), maps, retain_graph=True), model)
            for c in classes
        ]
    return torch.stack(rows, dim=1)


@torch.no_grad()
def _relevance_rows(maps: Sequence[Tensor], gradients: Sequence[Tensor], model: ViT) -> Tensor:
    """Of what is read, the mean row of R: (I + A_L) ... (I + A_1), multiplied from the left so that it stays a row."""
    prefix = model.num_prefix_tokens
    weighted = [(gradient * attn).clamp_min(0).mean(dim=1) for attn, gradient in zip(maps, gradients)]
    if model.has_readout:
        row = weighted.pop()  # (B, 1, N)
    else:
        first = torch.eye(maps[0].shape[-1])[: model.num_class_tokens]
        row = first.mean(0).to(maps[0]).expand(len(maps[0]), 1, -1)
    for attn in reversed(weighted):
        row = row + row @ attn
    return row[:, 0, prefix:].unflatten(1, tuple(model.grid_size))


@torch.no_grad()
def logit_lens(model: ViT, record: Trace) -> tuple[Tensor, Tensor]:
    """What the classifier would say of the tokens as they are after each layer.

    nostalgebraist 2020; for Vision Transformers Vilas et al. 2023 (arXiv:2310.18969). The final norm and head are
    applied as they are. record: `trace` of the same model. Returns logits of the class token, (B, L, classes), whose
    last are the model's, and of each patch, (B, L, h*w, classes). Where a read-out takes the class token's place, it
    reads each layer's tokens as it would the last's. It begins after the first layer, since the class
    token's embedding is the same for every picture. In a distilled model the first are the mean of both heads, as the
    model predicts, and patches are read by the class token's head. A model without a head says nothing: classes is 0.
    """
    outputs = [layer.output for layer in record.layers]
    cls = torch.stack([model.classify(x) for x in outputs], dim=1)
    if model.head is None:
        patches = cls.new_empty(len(cls), len(outputs), math.prod(record.grid_size), 0)
        return cls, patches
    return cls, torch.stack([model.head(model.norm(x[:, record.num_prefix_tokens :])) for x in outputs], dim=1)


@torch.no_grad()
def position_similarity(model: ViT) -> Tensor:
    """Cosine of each patch's position embedding with every other's, in [-1, 1] (Dosovitskiy et al. 2021, Fig. 7).

    Returns (h*w, h, w): [i] is the map of patch i, 1 at i itself.
    """
    positions = F.normalize(model.pos_embed[0, model.num_prefix_tokens :], dim=-1)
    return (positions @ positions.T).unflatten(1, tuple(model.grid_size))


def patch_filters(model: ViT) -> Tensor:
    """What the model looks for first: the patch projection's filters, or the conv stem's first convolution's.

    A copy, (D, C, P, P), or (channels, C, 3, 3) from a conv stem; weights of normalized pixels.
    """
    convs = [module for module in model.patch_embed.modules() if isinstance(module, nn.Conv2d)]
    return convs[0].weight.detach().clone()


def _check_classes(classes: Sequence[int], num_classes: int) -> None:
    if not num_classes:
        raise ValueError("This model has no class head, so nothing speaks for a class; look at its attention instead.")
    wrong = [c for c in classes if not 0 <= c < num_classes]
    if wrong or not len(classes):
        raise ValueError(f"classes must be of 0 to {num_classes - 1}, at least one, got {list(classes)}.")
