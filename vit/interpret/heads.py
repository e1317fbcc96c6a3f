"""What each head of a model is for, measured over a set: what is lost without it, and where it looks.

The model is a `vit.model.ViT`, the dataset a `vit.data.Dataset`; both come as arguments and are left as they were.
Each study is a generator that yields its estimate so far; whoever iterates shows it, or stops by not asking for more.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.interpret.describe import layer_names
from vit.interpret.intervals import mean_interval, samples_needed
from vit.interpret.probing import evaluating
from vit.interpret.views import fixed_regions
from vit.model import ViT

FEW_PICTURES = 10  # a mean over fewer is an anecdote, and left out where heads are ranked
SURE = 0.05  # chance at most that a head is picked that is no better than another
SHUFFLES = 200


@dataclass(frozen=True)
class HeadImportance:
    """What switching off each head alone does to the true class's probability, over the pictures so far.

    done: share of the work, in [0, 1]. drops: (n, L, heads), of each picture, probability with all heads less
    probability without this one, in [-1, 1]; positive where the head helps. has_readout: whether the last layer is one.
    """

    done: float
    drops: Tensor
    has_readout: bool = False

    @property
    def n(self) -> int:
        """Pictures in the estimate."""
        return len(self.drops)

    @property
    def drop(self) -> Tensor:
        """(L, heads), the mean over pictures; NaN before the first."""
        return self.drops.mean(0)

    @cached_property
    def interval(self) -> tuple[Tensor, Tensor]:
        """Ends of each mean's 95% interval, (L, heads) each; of each head by itself."""
        return mean_interval(self.drops, -1, 1)

    @cached_property
    def sure(self) -> tuple[Tensor, Tensor]:
        """As interval, but all of them hold at once with 95%: what a sentence that picks heads has to go by."""
        return mean_interval(self.drops, -1, 1, SURE / self.drops[0].numel()) if self.n else self.interval

    @cached_property
    def best(self) -> "BestHead":
        """The head whose mean drop is largest, and whether that is more than luck."""
        L, heads = self.drops.shape[1:]
        drops, first = self.drops.flatten(1), int(self.drop.argmax())
        lead = (drops[:, first, None] - drops)[:, [i for i in range(L * heads) if i != first]]
        lead = lead if lead.shape[1] else drops  # of a single head: whether it does anything
        alpha = SURE / max(1, L * heads * (L * heads - 1))  # any head might have come out first, before any other
        clear = bool((mean_interval(lead, -1, 1, alpha)[0] > 0).all())  # a lead is a difference of two probabilities
        closest = int(lead.mean(0).argmin())
        return BestHead(*divmod(first, heads), clear, samples_needed(lead[:, closest], -1, 1, alpha))


class BestHead(NamedTuple):
    """layer, head: from 0. clear: whether its drop is above every other head's, with 95%, for all choices at once.

    pictures: about how many it would take to tell it from the second, were both as they look now.
    """

    layer: int
    head: int
    clear: bool
    pictures: float


def head_importance(model: ViT, dataset, batch_size: int = 32) -> Iterator[HeadImportance]:
    """Yields the importance of all heads after each layer of each batch; the estimate grows with each whole batch.

    Michel et al. 2019 (arXiv:1905.10650), section 3.2, with the true class's probability for the score. dataset: the
    part to measure on, `dataset.take(slice(200))`; images are normalized with the model's mean and std. A layer's
    tokens are kept while its heads are tried, so a picture costs about L * heads / 2 forward passes. Raises
    ValueError on an empty dataset, or labels the model has no output for.
    """
    _check_dataset(model, dataset)
    L, heads, n = model.num_maps, model.num_heads, len(dataset.images)
    drops = torch.empty(0, L, heads)
    starts = range(0, n, batch_size)
    for i, start in enumerate(starts):
        images, labels = _batch(model, dataset, slice(start, start + batch_size))
        x, without = images, []
        for layer in range(L):
            x, probabilities = _switch_off_each(model, x, layer, labels)
            without.append(probabilities)
            if layer < L - 1:
                yield HeadImportance((i + (layer + 1) / L) / len(starts), drops, model.has_readout)
        with_all = _true_probability(model, x, labels)
        drops = torch.cat([drops, (with_all[:, None, None] - torch.stack(without, dim=1)).cpu()])
        yield HeadImportance((i + 1) / len(starts), drops, model.has_readout)


@torch.no_grad()
def _switch_off_each(model: ViT, x: Tensor, layer: int, labels: Tensor) -> tuple[Tensor, Tensor]:
    """A layer's output, (B, N, D), and the true class's probability with each of its heads off, (B, heads).

    x: the layer's input; before layer 0, the images. A read-out, the last layer then, hands on what it gets.
    """
    with evaluating(model):
        x = model.embed(x) if layer == 0 else x
        without, blocks = [], model.blocks
        for mask in 1 - torch.eye(model.num_heads, device=x.device):
            if layer == len(blocks):
                without.append(_true_probability(model, x, labels, mask))
                continue
            tokens = blocks[layer](x, head_mask=mask)
            for block in blocks[layer + 1 :]:
                tokens = block(tokens)
            without.append(_true_probability(model, tokens, labels))
        return x if layer == len(blocks) else blocks[layer](x), torch.stack(without, dim=1)


@torch.no_grad()
def _true_probability(model: ViT, tokens: Tensor, labels: Tensor, head_mask: Tensor | None = None) -> Tensor:
    """head_mask: (heads,), of the read-out."""
    return model.probabilities(model.classify(tokens, head_mask)).gather(1, labels[:, None])[:, 0]


@dataclass(frozen=True)
class HeadRegions:
    """Where each head's class token looks, over the pictures so far: a row of the tables below for each region.

    done: share of the work, in [0, 1]. n: pictures so far. names: the R regions. counts: (R,), pictures each is
    measured on. areas: (R,), its mean share of the picture. shares: (R, L, heads), mean share of the class token's
    attention to patches that falls on it. low, high: (R, L, heads), ends of the 95% interval of shares. clear: (R, L,
    heads), whether the share is above the area by more than the best of so many would be by luck (5%): for the
    regions of all pictures by intervals that hold at once, for a class's by shuffling the labels, since the best of
    many classes and heads is far above 1 anyhow. examples: (R, L, heads, top), indices into the dataset of the
    pictures where the share exceeds the area most, best first; -1 where there are not as many. Rows of regions
    without a picture yet are NaN. has_readout: whether the last layer is one; before it are the patches' mean rows.
    """

    done: float
    n: int
    names: tuple[str, ...]
    counts: Tensor
    areas: Tensor
    shares: Tensor
    low: Tensor
    high: Tensor
    clear: Tensor
    examples: Tensor
    has_readout: bool = False

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
                    "layer_name": layer_names(self.shares.shape[1], self.has_readout)[layer],
                    "head": head,
                    "share": self.shares[at].item(),
                    "low": self.low[at].item(),
                    "high": self.high[at].item(),
                    "clear": self.clear[at].item(),
                    "area": self.areas[region].item(),
                    "ratio": ratios[at].item(),
                    "n": self.counts[region].item(),
                    "examples": [i for i in self.examples[at].tolist() if i >= 0],
                }
            )
        return rows


def head_regions(model: ViT, dataset, batch_size: int = 32, top: int = 6) -> Iterator[HeadRegions]:
    """Yields, after each batch, which head favors which region over the pictures so far.

    Regions: with masks, object and background; always center, the middle half of each side, a quarter of the
    picture, and border, the outer eighth of each side, 44% of it; then for each class the object (or the center,
    without masks) in that class's pictures alone. dataset and errors: as `head_importance`.
    """
    _check_dataset(model, dataset)
    coverage = fixed_regions(model.grid_size)
    base = ["center", "border"] if dataset.masks is None else ["object", "background", "center", "border"]
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
        found = _regions(done, base, dataset, torch.cat(shares), torch.cat(areas), top)
        yield replace(found, has_readout=model.has_readout)


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
    intervals = [mean_interval(shares[pictures, r], 0, 1) for _, r, pictures in rows]
    of_classes = _above_shuffled(shares[:, 0], areas[:, 0], labels, len(dataset.classes))
    return HeadRegions(
        done=done,
        n=n,
        names=tuple(name for name, _, _ in rows),
        counts=torch.tensor([len(pictures) for _, _, pictures in rows]),
        areas=torch.stack([areas[pictures, r].mean(0) for _, r, pictures in rows]),
        shares=torch.stack([shares[pictures, r].mean(0) for _, r, pictures in rows]),
        low=torch.stack([low for low, _ in intervals]),
        high=torch.stack([high for _, high in intervals]),
        clear=torch.cat([_above_area(shares, areas), of_classes]),
        examples=examples,
    )


def _above_area(shares: Tensor, areas: Tensor) -> Tensor:
    """(R, L, heads): where the mean share is above the mean area with 95%, for all regions and heads at once."""
    excess = shares - areas[..., None, None]
    low, _ = mean_interval(excess, -1, 1, SURE / excess[0].numel())
    return low > 0


def _above_shuffled(shares: Tensor, areas: Tensor, labels: Tensor, classes: int) -> Tensor:
    """(classes, L, heads): where a class's ratio is above the largest of any class and head under shuffled labels.

    shares: (n, L, heads) and areas: (n,) of one region. The 95th percentile of that largest, over SHUFFLES shuffles
    that are the same each time; classes of fewer than FEW_PICTURES pictures take no part.
    """
    member = F.one_hot(labels, classes).to(shares)  # (n, classes)
    counted = member.sum(0) >= FEW_PICTURES

    def ratios(member: Tensor) -> Tensor:  # (classes, L, heads)
        return torch.einsum("nc,nlh->clh", member, shares) / (member.T @ areas)[:, None, None]

    if not counted.any():
        return torch.zeros(classes, *shares.shape[1:], dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    shuffled = [torch.randperm(len(labels), generator=generator) for _ in range(SHUFFLES)]
    largest = torch.stack([ratios(member[order])[counted].max() for order in shuffled])
    return (ratios(member) > largest.quantile(1 - SURE)) & counted[:, None, None]


@torch.no_grad()
def _cls_to_patches(model: ViT, images: Tensor) -> Tensor:
    """The class token's attention to patches, summing to 1: (B, L, heads, h*w). Keeps one layer's maps at a time.

    Where a read-out takes its place: the patches' mean attention in each layer, then the read-out's, as `read_rows`.
    """
    with evaluating(model):
        x, rows, prefix = model.embed(images), [], model.num_prefix_tokens
        for block in model.blocks:
            x, attn = block(x, return_attention=True)
            rows.append(attn[:, :, prefix:].mean(2) if model.has_readout else attn[:, :, 0])
        if model.has_readout:
            _, attn = model.read_out(x)
            assert attn is not None
            rows.append(attn[:, :, 0])
        weights = torch.stack(rows, dim=1)[..., prefix:]
        return weights / weights.sum(dim=-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)


def _batch(model: ViT, dataset, part: slice) -> tuple[Tensor, Tensor]:
    """Normalized images and labels of a part of the dataset, on the model's device."""
    device = next(model.parameters()).device
    return model.normalize(dataset.images[part].to(device)), dataset.labels[part].to(device)


def _check_dataset(model: ViT, dataset) -> None:
    if not len(dataset.images):
        raise ValueError("There is nothing to measure: the dataset has no pictures; take at least one.")
    num_classes = model.config["num_classes"]
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
