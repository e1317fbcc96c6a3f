"""What a model shows when it is run on purpose: for one class or another, layer by layer, by its parts.

The model is a `vit.model.ViT` and comes as an argument; nothing but torch is imported. Nothing here changes the model:
not its weights, their .grad, nor the mode of any module.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vit.interpret.trace import evaluating


def relevance(model: nn.Module, images: Tensor, classes: Sequence[int]) -> Tensor:
    """How much each patch speaks for each class, by the gradient of the class's logit through all attention maps.

    Chefer et al. 2021 (arXiv:2103.15679), Eq. 5 and 6: R <- R + mean_heads((dlogit/dA * A)^+) R from the first layer
    to the last, starting from the identity; here is the class token's row of R. In a distilled model both prefix
    tokens are read, and the mean of their rows is taken.

    images: normalised, (B, C, H, W). classes: K of the model's, the same for all images; one forward pass, K
    backward. Returns (B, K, h, w), not negative and without unit: compare patches, or classes through the logit's
    gradient, but not pictures. Taking one of its five highest patches away lowers the true class's logit in 88% of
    cases, of rollout's five in 70% (the shipped Shapes model, 200 test pictures, test_probing.py); before a conv stem,
    which spreads the edges of removed pixels to neighbours, it has no such lead. Raises ValueError on no class or one
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
def _relevance_rows(maps: Sequence[Tensor], gradients: Sequence[Tensor], model: nn.Module) -> Tensor:
    """The prefix tokens' mean row of R: (I + A_L) ... (I + A_1), multiplied from the left so that it stays a row."""
    prefix = model.num_prefix_tokens
    row = torch.eye(maps[0].shape[-1])[:prefix].mean(0).to(maps[0]).expand(len(maps[0]), 1, -1)  # (B, 1, N)
    for attn, gradient in zip(reversed(maps), reversed(gradients)):
        row = row + row @ (gradient * attn).clamp_min(0).mean(dim=1)
    return row[:, 0, prefix:].unflatten(1, tuple(model.grid_size))


@torch.no_grad()
def logit_lens(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """What the classifier would say of the tokens as they are after the embedding and after each layer.

    nostalgebraist 2020; for Vision Transformers Vilas et al. 2023 (arXiv:2310.18969). The final norm and head are
    applied as they are. images: normalised, (B, C, H, W). Returns logits of the class token, (B, L + 1, classes),
    whose last are the model's, and of each patch, (B, L + 1, h*w, classes). In a distilled model the first are the
    mean of both heads, as the model predicts, and patches are read by the class token's head.
    """
    with evaluating(model):
        x = model.embed(images)
        layers = [x]
        for block in model.blocks:
            x = block(x)
            layers.append(x)
        cls = torch.stack([model.classify(x) for x in layers], dim=1)
        patches = [model.head(model.norm(x[:, model.num_prefix_tokens :])) for x in layers]
        return cls, torch.stack(patches, dim=1)


@torch.no_grad()
def patch_regions(model: nn.Module, images: Tensor, k: int = 3) -> Tensor:
    """Parts a picture into k regions of alike patches: k-means on the directions of the last layer's patch tokens.

    Directions, since a few tokens of large norm would otherwise be regions of their own. Region 0 is the one nearest
    to the picture's centre on average, k - 1 the farthest: often object and background, but nothing says so.
    images: normalised, (B, C, H, W). Returns (B, h, w) int64. Raises ValueError unless 1 <= k <= h*w.
    """
    with evaluating(model):
        x = model.embed(images)
        for block in model.blocks:
            x = block(x)
        tokens = F.normalize(model.norm(x[:, model.num_prefix_tokens :]), dim=-1)  # (B, h*w, D)
    h, w = model.grid_size
    y, x = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
    from_centre = (y**2 + x**2).sqrt().flatten().to(tokens)
    regions = []
    for points in tokens:
        labels = kmeans(points, k)
        members = F.one_hot(labels, k).to(tokens)  # (h*w, k)
        away = (from_centre @ members) / members.sum(0)
        rank = away.nan_to_num(torch.inf).argsort(stable=True).argsort()  # an empty region comes last
        regions.append(rank[labels].unflatten(0, (h, w)))
    return torch.stack(regions)


def central_region(model: nn.Module, images: Tensor) -> Tensor:
    """Where there is no mask of the object: the most central of three regions of alike patches, (B, h, w)."""
    h, w = model.grid_size
    return (patch_regions(model, images, min(3, h * w)) == 0).float()


def kmeans(points: Tensor, k: int, iterations: int = 50) -> Tensor:
    """Lloyd's algorithm from farthest-point starts (Gonzalez 1985): labels (n,) in [0, k), the same at every call.

    points: (n, D). The first start is the point nearest to the mean, each next the one farthest from all before.
    With fewer than k distinct points some labels stay unused. Raises ValueError unless 1 <= k <= n.
    """
    if not 1 <= k <= len(points):
        raise ValueError(f"k must be 1 to the number of points, {len(points)}, got {k}.")
    chosen = (points - points.mean(0)).norm(dim=1).argmin()[None]
    while len(chosen) < k:
        nearest = torch.cdist(points, points[chosen]).amin(dim=1)
        chosen = torch.cat([chosen, nearest.argmax()[None]])
    centres = points[chosen]
    labels = torch.cdist(points, centres).argmin(dim=1)
    for _ in range(iterations):
        members = F.one_hot(labels, k).to(points)  # (n, k)
        sizes = members.sum(0)[:, None]
        centres = torch.where(sizes > 0, members.T @ points / sizes.clamp_min(1), centres)
        moved = torch.cdist(points, centres).argmin(dim=1)
        if torch.equal(moved, labels):
            break
        labels = moved
    return labels


@torch.no_grad()
def position_similarity(model: nn.Module) -> Tensor:
    """Cosine of each patch's position embedding with every other's, in [-1, 1] (Dosovitskiy et al. 2021, Fig. 7).

    Returns (h*w, h, w): [i] is the map of patch i, 1 at i itself.
    """
    positions = F.normalize(model.pos_embed[0, model.num_prefix_tokens :], dim=-1)
    return (positions @ positions.T).unflatten(1, tuple(model.grid_size))


def patch_filters(model: nn.Module) -> Tensor:
    """What the model looks for first: the patch projection's filters, or the conv stem's first convolution's.

    A copy, (D, C, P, P), or (channels, C, 3, 3) from a conv stem; weights of normalised pixels.
    """
    convs = [module for module in model.patch_embed.modules() if isinstance(module, nn.Conv2d)]
    return convs[0].weight.detach().clone()


def _check_classes(classes: Sequence[int], num_classes: int) -> None:
    wrong = [c for c in classes if not 0 <= c < num_classes]
    if wrong or not len(classes):
        raise ValueError(f"classes must be of 0 to {num_classes - 1}, at least one, got {list(classes)}.")
