"""What covering parts of a picture does to a prediction: whether a map shows what the model relies on.

After deletion and insertion (Petsiuk et al. 2018, arXiv:1806.07421). A map's costs mean something only beside those of
random patches, which come with them: many published maps hardly beat random ones (SaCo, arXiv:2404.01415). Images are
normalized (B, C, H, W), maps (B, M, h*w) hold M maps a picture over its patches, larger is brighter, and classes (B,)
are the outputs whose probability counts.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vit.device import images_at_once
from vit.interpret.probing import evaluating
from vit.model import ViT

FILLS = ("mean", "blur")


@dataclass(frozen=True)
class Covered:
    """What covering costs the class's probability: before less after, in [-1, 1]; positive where it falls.

    brightest: (B, M), with each map's brightest patches covered. random: (B, draws), with as many random ones.
    """

    brightest: Tensor
    random: Tensor


def cover(
    model: ViT,
    images: Tensor,
    maps: Tensor,
    classes: Tensor,
    generator: torch.Generator,
    share: float = 0.2,
    fill: str = "mean",
    draws: int = 5,
) -> Covered:
    """Covers each map's brightest share of patches, and as many random ones.

    The generator draws the random patches once, so they are in the same places for each picture and map. fill: "mean"
    puts the data's mean color on a patch, "blur" the picture blurred. Raises ValueError on anything that doesn't fit.
    """
    _check(model, images, maps, classes, fill)
    if not 0 <= share <= 1:
        raise ValueError(f"share must be 0 to 1, got {share}.")
    patches = maps.shape[2]
    random = torch.rand(draws, patches, generator=generator).to(maps).expand(len(maps), -1, -1)
    hidden = _brightest(torch.cat([maps, random], dim=1), round(share * patches))
    after = _probability(model, images, filled(model, images, fill), hidden, classes)
    before = _probability(model, images, images, hidden[:, :1] & False, classes)
    brightest, drawn = (before - after).split([maps.shape[1], draws], dim=1)
    return Covered(brightest, drawn)


def points(model: ViT, image: Tensor, grid: Tensor, chosen: int) -> dict:
    """For one picture and one map, in points: {"class", "brightest", "random" with its 5 draws, always the same}."""
    found = cover(model, image, grid, torch.tensor([chosen], device=image.device), torch.Generator().manual_seed(0))
    brightest, random = 100 * found.brightest, 100 * found.random
    return {"class": chosen, "brightest": brightest.item(), "random": random.mean().item(), "draws": random[0].tolist()}


def occlusion(model: ViT, images: Tensor, classes: Tensor, places: tuple[int, int]) -> Tensor:
    """What covering each place by itself costs, (B, rows*columns), in the data's mean color; as in `Covered`.

    After Zeiler & Fergus 2014 (arXiv:1311.2901). places: (rows, columns) into which the grid of patches is parted;
    where they do not divide it some are a patch larger.
    """
    count, shape = math.prod(places), model.grid_size
    hidden = F.interpolate(torch.eye(count, device=images.device).view(-1, 1, *places), shape).flatten(1) > 0
    covered = filled(model, images, "mean")
    after = _probability(model, images, covered, hidden.expand(len(images), -1, -1), classes)
    before = _probability(model, images, covered, hidden[None, :1].expand(len(images), -1, -1) & False, classes)
    return before - after


def deletion_insertion(
    model: ViT, images: Tensor, maps: Tensor, classes: Tensor, fill: str = "mean", steps: int = 8
) -> tuple[Tensor, Tensor]:
    """Areas, each (B, M) in [0, 1], under the probability as patches are deleted, and inserted, brightest first.

    Trapezoid rule over steps equal shares of the patches. A map that shows what matters has a small first area and a
    large second one.
    """
    _check(model, images, maps, classes, fill)
    cover_with, patches, nothing = filled(model, images, fill), maps.shape[2], _brightest(maps[:, :1], 0)
    before, after = (  # what all maps begin and end with
        _probability(model, images, cover_with, hidden, classes).expand(maps.shape[:2])
        for hidden in (nothing, ~nothing)
    )
    deleted, inserted = [before], [after]
    for step in range(1, steps):
        hidden = _brightest(maps, round(step * patches / steps))
        deleted.append(_probability(model, images, cover_with, hidden, classes))
        inserted.append(_probability(model, images, cover_with, ~hidden, classes))
    deleted.append(after)
    inserted.append(before)
    deletion, insertion = (torch.trapezoid(torch.stack(curve), dx=1 / steps, dim=0) for curve in (deleted, inserted))
    return deletion, insertion


def filled(model: ViT, images: Tensor, fill: str) -> Tensor:
    """The images with every patch covered. "mean" is 0, which normalization gives the data's mean; "blur" is Gaussian,
    of a patch's size in standard deviation, without the picture's edges."""
    if fill == "mean":
        return torch.zeros_like(images)
    sigma = model.config["patch_size"]
    reach = min(2 * sigma, min(images.shape[-2:]) - 1)
    kernel = torch.exp(-(torch.arange(-reach, reach + 1, device=images.device) ** 2) / (2 * sigma**2)).to(images)
    kernel = kernel / kernel.sum()
    channels = images.shape[1]
    padded = F.pad(images, [reach] * 4, mode="reflect")
    rows = F.conv2d(padded, kernel.view(1, 1, 1, -1).expand(channels, -1, -1, -1), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, -1, 1).expand(channels, -1, -1, -1), groups=channels)


def _brightest(maps: Tensor, count: int) -> Tensor:
    """Where each map has its count largest values: bool, (B, M, h*w). Of equals, the first."""
    order = maps.argsort(dim=-1, descending=True, stable=True)[..., :count]
    return torch.zeros_like(maps, dtype=torch.bool).scatter(-1, order, True)


@torch.no_grad()
def _probability(model: ViT, images: Tensor, covers: Tensor, hidden: Tensor, classes: Tensor) -> Tensor:
    """The class's probability, (B, M), with each map's hidden patches, (B, M, h*w), taken from the covers."""
    B, M, _ = hidden.shape
    pixels = hidden.unflatten(2, model.grid_size)
    pixels = pixels.repeat_interleave(model.config["patch_size"], -1).repeat_interleave(model.config["patch_size"], -2)
    chosen = classes.repeat_interleave(M)
    views = torch.where(pixels[:, :, None], covers[:, None], images[:, None]).flatten(0, 1)
    with evaluating(model):
        shares = torch.cat([model.probabilities(model(part)) for part in views.split(images_at_once(views.device))])
    return shares.gather(1, chosen[:, None]).view(B, M)


def _check(model: ViT, images: Tensor, maps: Tensor, classes: Tensor, fill: str) -> None:
    patches = math.prod(model.grid_size)
    if maps.dim() != 3 or len(maps) != len(images) or maps.shape[2] != patches:
        raise ValueError(f"Expected maps ({len(images)}, M, {patches}), one value a patch, got {tuple(maps.shape)}.")
    if not maps.isfinite().all():
        raise ValueError("A map must be finite numbers; got NaN or infinity.")
    if tuple(classes.shape) != (len(images),):
        raise ValueError(f"Expected one class a picture, ({len(images)},), got {tuple(classes.shape)}.")
    if fill not in FILLS:
        raise ValueError(f"fill must be one of {', '.join(FILLS)}, got {fill!r}.")
