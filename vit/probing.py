"""What a model shows when it is run on purpose: with heads off, layer by layer, for one class or another, over a set.

The model is a `vit.model.ViT`, the dataset a `vit.data.Dataset`; both come as arguments and nothing but torch is
imported. Nothing here changes the model: not its weights, their .grad, nor the mode of any module. What runs over a
set is a generator that yields its estimate so far; whoever iterates shows it, or stops by not asking for the next.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEW_PICTURES = 10  # a mean over fewer is an anecdote, and left out where heads are ranked


def relevance(model: nn.Module, images: Tensor, classes: Sequence[int]) -> Tensor:
    """How much each patch speaks for each class, by the gradient of the class's logit through all attention maps.

    Chefer et al. 2021 (arXiv:2103.15679), Eq. 5 and 6: R <- R + mean_heads((dlogit/dA * A)^+) R from the first layer
    to the last, starting from the identity; here is the class token's row of R. In a distilled model both prefix
    tokens are read, and the mean of their rows is taken.

    images: normalised, (B, C, H, W). classes: K of the model's, the same for all images; one forward pass, K
    backward. Returns (B, K, h, w), not negative and without unit: compare patches, or classes through the logit's
    gradient, but not pictures. Taking one of its five highest patches away lowers the true class's logit in 88% of
    cases, of rollout's five in 70% (the shipped Shapes model, 200 test pictures, tests/test_probing.py); before a conv
    stem, which spreads the edges of removed pixels to neighbours, it has no such lead. Raises ValueError on no class
    or one that is not there.
    """
    with _evaluating(model), torch.inference_mode(False), torch.enable_grad():
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


@dataclass(frozen=True)
class HeadImportance:
    """What switching off each head alone does to the true class's probability, over the pictures so far.

    done: share of the work, in [0, 1]. n: pictures in the estimate. drop: (L, heads), mean of probability with all
    heads less probability without this one, in [-1, 1]; positive where the head helps. interval: (L, heads), half
    the width of the mean's 95% confidence interval, 1.96 standard errors over pictures (normal approximation, fair
    from some 30 pictures on). drop is NaN at n = 0 and interval below n = 2.
    """

    done: float
    n: int
    drop: Tensor
    interval: Tensor


def head_importance(model: nn.Module, dataset, batch_size: int = 32) -> Iterator[HeadImportance]:
    """Yields the importance of all heads after each layer of each batch; the estimate grows with each whole batch.

    Michel et al. 2019 (arXiv:1905.10650), section 3.2, with the true class's probability for the score. dataset: the
    part to measure on, `dataset.take(slice(200))`; images are normalised with the model's mean and std. A layer's
    tokens are kept while its heads are tried, so a picture costs about L * heads / 2 forward passes. Raises
    ValueError on an empty dataset, or labels the model has no output for.
    """
    _check_dataset(model, dataset)
    L, heads, n = len(model.blocks), model.num_heads, len(dataset.images)
    drops = [torch.empty(0, L, heads)]
    starts = range(0, n, batch_size)
    for i, start in enumerate(starts):
        images, labels = _batch(model, dataset, slice(start, start + batch_size))
        x, without = None, []
        for layer in range(L):
            x, probabilities = _switch_off_each(model, images if layer == 0 else x, layer, labels)
            without.append(probabilities)
            if layer < L - 1:
                yield _importance((i + (layer + 1) / L) / len(starts), drops)
        whole = _true_probability(model, x, labels)
        drops.append((whole[:, None, None] - torch.stack(without, dim=1)).cpu())
        yield _importance((i + 1) / len(starts), drops)


def _importance(done: float, drops: list[Tensor]) -> HeadImportance:
    drop = torch.cat(drops)  # (n, L, heads)
    mean = drop.mean(0) if len(drop) else torch.full(drop.shape[1:], torch.nan)
    return HeadImportance(done, len(drop), mean, _interval(drop))


@torch.no_grad()
def _switch_off_each(model: nn.Module, x: Tensor, layer: int, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's output, (B, N, D), and the true class's probability with each of its heads off, (B, heads).

    x: the layer's input; before layer 0, the images.
    """
    with _evaluating(model):
        x = model.embed(x) if layer == 0 else x
        without = []
        for mask in 1 - torch.eye(model.num_heads, device=x.device):
            tokens = model.blocks[layer](x, head_mask=mask)
            for block in model.blocks[layer + 1 :]:
                tokens = block(tokens)
            without.append(_true_probability(model, tokens, labels))
        return model.blocks[layer](x), torch.stack(without, dim=1)


@torch.no_grad()
def _true_probability(model: nn.Module, tokens: Tensor, labels: Tensor) -> Tensor:
    return model.classify(tokens).softmax(dim=-1).gather(1, labels[:, None])[:, 0]


@dataclass(frozen=True)
class HeadRegions:
    """Where each head's class token looks, over the pictures so far: a row of the tables below for each region.

    done: share of the work, in [0, 1]. n: pictures so far. names: the R regions. counts: (R,), pictures each is
    measured on. areas: (R,), its mean share of the picture. shares: (R, L, heads), mean share of the class token's
    attention to patches that falls on it. interval: (R, L, heads), half the width of the 95% confidence interval of
    shares, 1.96 standard errors over pictures. examples: (R, L, heads, top), indices into the dataset of the
    pictures where the share exceeds the area most, best first; -1 where there are not as many. Rows of regions
    without a picture yet are NaN.
    """

    done: float
    n: int
    names: tuple[str, ...]
    counts: Tensor
    areas: Tensor
    shares: Tensor
    interval: Tensor
    examples: Tensor

    @property
    def ratios(self) -> Tensor:
        """(R, L, heads): share over area, so 1 for a head that attends everywhere alike."""
        return self.shares / self.areas[:, None, None]

    def ranked(self, limit: int = 20) -> list[dict]:
        """The (region, head) pairs most above chance, by ratio: dicts that name a row of a table.

        Regions with fewer than FEW_PICTURES pictures are left out. layer and head count from 0.
        """
        ratios = self.ratios.masked_fill((self.counts < FEW_PICTURES)[:, None, None], -1).nan_to_num(-1)
        rows = []
        for flat in ratios.flatten().argsort(descending=True, stable=True)[:limit].tolist():
            layer, head = divmod(flat % ratios[0].numel(), ratios.shape[2])
            region = flat // ratios[0].numel()
            at = (region, layer, head)
            if ratios[at] < 0:
                break
            rows.append(
                {
                    "region": self.names[region],
                    "layer": layer,
                    "head": head,
                    "share": self.shares[at].item(),
                    "interval": self.interval[at].item(),
                    "area": self.areas[region].item(),
                    "ratio": ratios[at].item(),
                    "n": self.counts[region].item(),
                    "examples": [i for i in self.examples[at].tolist() if i >= 0],
                }
            )
        return rows


def head_regions(model: nn.Module, dataset, batch_size: int = 32, top: int = 6) -> Iterator[HeadRegions]:
    """Yields, after each batch, which head favours which region over the pictures so far.

    Regions: with masks, object and background; always centre, the middle half of each side, a quarter of the
    picture, and border, the outer eighth of each side, 44% of it; then for each class the object (or the centre,
    without masks) in that class's pictures alone. dataset and errors: as `head_importance`.
    """
    _check_dataset(model, dataset)
    coverage = _fixed_regions(model.grid_size)
    base = ["centre", "border"] if dataset.masks is None else ["object", "background", "centre", "border"]
    shares, areas, n = [], [], len(dataset.images)
    for start in range(0, n, batch_size):
        part = slice(start, start + batch_size)
        images, labels = _batch(model, dataset, part)
        regions = coverage.expand(len(labels), -1, -1, -1)
        if dataset.masks is not None:
            objects = F.adaptive_avg_pool2d(dataset.masks[part].float().cpu(), model.grid_size)[:, None]
            regions = torch.cat([objects, 1 - objects, regions], dim=1)
        attended = _cls_to_patches(model, images).cpu()  # (B, L, heads, h*w)
        shares.append(torch.einsum("blhp,brp->brlh", attended, regions.flatten(2)))
        areas.append(regions.mean(dim=(-2, -1)))
        done = min(1.0, (start + batch_size) / n)
        yield _regions(done, base, dataset, torch.cat(shares), torch.cat(areas), top)


def _regions(done: float, base: list[str], dataset, shares: Tensor, areas: Tensor, top: int) -> HeadRegions:
    """shares: (n, R, L, heads) and areas: (n, R) of the base regions; a class's row is the first, in its own."""
    n = len(shares)
    labels = dataset.labels[:n].cpu()
    rows = [(name, r, torch.arange(n)) for r, name in enumerate(base)]
    rows += [(f"{base[0]} of {name}", 0, (labels == c).nonzero()[:, 0]) for c, name in enumerate(dataset.classes)]
    examples = torch.full((len(rows), *shares.shape[2:], top), -1)
    for i, (_, r, pictures) in enumerate(rows):
        excess = shares[pictures, r] - areas[pictures, r, None, None]
        best = excess.topk(min(top, len(pictures)), dim=0).indices  # (top, L, heads)
        examples[i, ..., : len(best)] = pictures[best].movedim(0, -1)
    return HeadRegions(
        done=done,
        n=n,
        names=tuple(name for name, _, _ in rows),
        counts=torch.tensor([len(pictures) for _, _, pictures in rows]),
        areas=torch.stack([areas[pictures, r].mean(0) for _, r, pictures in rows]),
        shares=torch.stack([shares[pictures, r].mean(0) for _, r, pictures in rows]),
        interval=torch.stack([_interval(shares[pictures, r]) for _, r, pictures in rows]),
        examples=examples,
    )


def _fixed_regions(grid_size: tuple[int, int]) -> Tensor:
    """How much of each patch lies in the centre and in the border: (2, h, w), in [0, 1]."""

    def middle(size: int, margin: float) -> Tensor:  # share of each of `size` slots inside [margin, 1 - margin]
        return torch.arange(size + 1.0).clamp(margin * size, (1 - margin) * size).diff()

    def box(margin: float) -> Tensor:
        return torch.outer(middle(grid_size[0], margin), middle(grid_size[1], margin))

    return torch.stack([box(1 / 4), 1 - box(1 / 8)])


@torch.no_grad()
def _cls_to_patches(model: nn.Module, images: Tensor) -> Tensor:
    """The class token's attention to patches, summing to 1: (B, L, heads, h*w). Keeps one layer's maps at a time."""
    with _evaluating(model):
        x, rows = model.embed(images), []
        for block in model.blocks:
            x, attn = block(x, return_attention=True)
            rows.append(attn[:, :, 0, model.num_prefix_tokens :])
        rows = torch.stack(rows, dim=1)
        return rows / rows.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)


@torch.no_grad()
def logit_lens(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """What the classifier would say of the tokens as they are after the embedding and after each layer.

    nostalgebraist 2020; for Vision Transformers Vilas et al. 2023 (arXiv:2310.18969). The final norm and head are
    applied as they are. images: normalised, (B, C, H, W). Returns logits of the class token, (B, L + 1, classes),
    whose last are the model's, and of each patch, (B, L + 1, h*w, classes). In a distilled model the first are the
    mean of both heads, as the model predicts, and patches are read by the class token's head.
    """
    with _evaluating(model):
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
    with _evaluating(model):
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


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode, and afterwards each module in the mode it was in. Never held across a yield to the caller."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _batch(model: nn.Module, dataset, part: slice) -> tuple[Tensor, Tensor]:
    """Normalised images and labels of a part of the dataset, on the model's device."""
    device = next(model.parameters()).device
    pixels = dataset.images[part].to(device).float() / 255
    mean, std = (pixels.new_tensor(values).view(-1, 1, 1) for values in (model.mean, model.std))
    return (pixels - mean) / std, dataset.labels[part].to(device)


def _interval(samples: Tensor) -> Tensor:
    """Half the width of the 95% confidence interval of the mean over dim 0; NaN below two samples."""
    if len(samples) < 2:
        return torch.full(samples.shape[1:], torch.nan)
    return 1.96 * samples.std(dim=0) / len(samples) ** 0.5


def _check_classes(classes: Sequence[int], num_classes: int) -> None:
    wrong = [c for c in classes if not 0 <= c < num_classes]
    if wrong or not len(classes):
        raise ValueError(f"classes must be of 0 to {num_classes - 1}, at least one, got {list(classes)}.")


def _check_dataset(model: nn.Module, dataset) -> None:
    if not len(dataset.images):
        raise ValueError("There is nothing to measure: the dataset has no pictures; take at least one.")
    num_classes = model.head.out_features
    if dataset.labels.max() >= num_classes:
        raise ValueError(
            f"The model has {num_classes} classes, the dataset has labels up to {dataset.labels.max().item()}; "
            f"use the data that the model was trained on."
        )
    if dataset.masks is not None and dataset.masks.shape[-2:] != dataset.images.shape[-2:]:
        raise ValueError(
            f"Masks must have the pictures' size, {tuple(dataset.images.shape[-2:])}, "
            f"got {tuple(dataset.masks.shape[-2:])}."
        )
