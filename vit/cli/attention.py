"""python -m vit attention: a map of one image as a figure, as raw numbers, or in JSON."""

import argparse
from pathlib import Path

import numpy as np
import torch

from vit.cli.flags import CHECKPOINT, JSON, Command, print_report
from vit.cli.inputs import model_and_images
from vit.interpret.attention import attention_maps, early_against_late, head_statistics, rollout
from vit.interpret.probing import central_region, logit_lens, position_similarity, relevance
from vit.model import ViT


def add(command: Command) -> None:
    """Names the flags."""
    sub = command("attention", run, "draw or save attention: input, map, overlay")
    sub.add_argument("folder", help=CHECKPOINT)
    sub.add_argument("image", type=Path, metavar="IMAGE", help="cut to a square and resized")
    sub.add_argument("--layer", type=int, help="1 is the first; the last if not given")
    sub.add_argument("--head", type=int, help="1 is the first; the mean of all heads if not given")
    sub.add_argument(
        "--query", metavar="ROW,COL", help="the patch that attends, from 1,1; the class token if not given"
    )
    kind = sub.add_mutually_exclusive_group()
    kind.add_argument("--rollout", action="store_true", help="attention through all layers up to this one")
    kind.add_argument("--relevance", metavar="CLASS", help="what speaks for a class (Chefer et al. 2021)")
    sub.add_argument("--out", type=Path, metavar="FILE", help="map.png, .svg or .pdf; .npz keeps the raw maps")
    sub.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    arguments.images = [arguments.image]
    model, images = model_and_images(arguments)
    depth, heads = len(model.blocks), model.num_heads
    layer = depth if arguments.layer is None else arguments.layer
    if not 1 <= layer <= depth:
        raise ValueError(f"--layer must be 1 to {depth} for this model, got {layer}.")
    if arguments.head is not None and not 1 <= arguments.head <= heads:
        raise ValueError(f"--head must be 1 to {heads} here, got {arguments.head}; leave it out for their mean.")
    if arguments.out is None and not arguments.json:
        raise ValueError("There is nothing to do: give --out FILE for a figure or the raw maps, --json for numbers.")
    logits, maps = attention_maps(model, images)
    grid, which = _attention_grid(arguments, model, images, maps, layer)
    said = model.classes[logits.argmax()]
    title = f"{said} · {which}" if arguments.relevance else f"{said} · layer {layer} of {depth}, {which}"
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        _save_attention(arguments.out, model, images, maps, grid, title)
    centre = central_region(model, images)
    statistics = head_statistics(maps, model.grid_size, model.num_prefix_tokens, model.config["patch_size"], centre)
    lens = model.probabilities(logit_lens(model, images)[0][0])
    report = {
        "prediction": said,
        "view": which,
        "layer": layer,
        "grid": grid.tolist(),
        "distance": statistics.distance.tolist(),
        "entropy": statistics.entropy.tolist(),
        "attention_to_cls": statistics.attention_to_cls.tolist(),
        "central_region_share": statistics.object_share.tolist(),
        "central_region_area": statistics.object_area,
        "similarity": statistics.similarity.tolist(),
        "logit_lens": [dict(zip(model.classes, row)) for row in lens.tolist()],
        "uniform_distance": statistics.uniform_distance,
        "max_entropy": statistics.max_entropy,
        "early_against_late": early_against_late(statistics).sentence.replace("the object", "the central region"),
    }
    print_report(arguments.json, report, f"{title}: {arguments.out}")


def _attention_grid(arguments, model: ViT, images, maps, layer: int) -> tuple[torch.Tensor, str]:
    """The map that was asked for, (h, w), and what to call it."""
    if arguments.relevance:
        if arguments.relevance not in model.classes:
            known = ", ".join(model.classes)
            raise ValueError(f"--relevance must be one of {known}, got {arguments.relevance!r}.")
        return relevance(model, images, [model.classes.index(arguments.relevance)])[0, 0], f"why {arguments.relevance}"
    (h, w), token, asker = model.grid_size, 0, ""
    if arguments.query:
        row, _, column = arguments.query.partition(",")
        if not (row.isdecimal() and column.isdecimal() and 1 <= int(row) <= h and 1 <= int(column) <= w):
            raise ValueError(f"--query must be ROW,COL from 1,1 to {h},{w}, got {arguments.query!r}.")
        token = model.num_prefix_tokens + (int(row) - 1) * w + int(column) - 1
        asker = f", query {arguments.query}"
    if arguments.rollout:
        attn, which = rollout(maps)[0, layer - 1], "rollout"
    elif arguments.head is None:
        attn, which = maps[0, layer - 1].mean(0), "mean of heads"
    else:
        attn, which = maps[0, layer - 1, arguments.head - 1], f"head {arguments.head}"
    return attn[token, model.num_prefix_tokens :].unflatten(0, (h, w)), which + asker


def _save_attention(out: Path, model: ViT, images, maps, grid, title: str) -> None:
    """A figure; or with .npz raw maps (L, heads, N, N), rollout (L, N, N), the grid asked for, position similarity."""
    picture = model.denormalize(images)[0].permute(1, 2, 0).numpy()
    if out.suffix == ".npz":
        arrays = {"maps": maps[0].numpy(), "rollout": rollout(maps)[0].numpy(), "grid": grid.numpy()}
        arrays["position_similarity"] = position_similarity(model).numpy()
        np.savez_compressed(out, **arrays, picture=picture, num_prefix_tokens=model.num_prefix_tokens)
        return
    from vit.figures import attention_figure

    attention_figure(picture, grid.numpy(), title, name="map").savefig(out)
