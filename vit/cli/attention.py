"""python -m vit attention: a map of one image as a figure, as raw numbers, or in JSON."""

import argparse
from pathlib import Path

import numpy as np
import torch

from vit.cli.flags import CHECKPOINT, JSON, print_report
from vit.data.pictures import read_picture
from vit.interpret.analysis import Analysis
from vit.interpret.probing import position_similarity
from vit.model import ViT


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    parser.add_argument("folder", help=CHECKPOINT)
    parser.add_argument("image", type=Path, metavar="IMAGE", help="cut to a square and resized")
    parser.add_argument("--layer", type=int, help="1 is the first; the last if not given, which may be a read-out")
    parser.add_argument("--head", type=int, help="1 is the first; the mean of all heads if not given")
    asker = "the patch that attends, from 1,1; the class token or the read-out if not given"
    parser.add_argument("--query", metavar="ROW,COL", help=asker)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--rollout", action="store_true", help="attention through all layers up to this one")
    kind.add_argument("--relevance", metavar="CLASS", help="what speaks for a class (Chefer et al. 2021)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="map.png, .svg or .pdf; .npz keeps the raw maps")
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    _check_idle_flags(arguments)
    model = ViT.from_pretrained(arguments.folder)
    depth, heads = model.num_maps, model.num_heads
    layer = depth if arguments.layer is None else arguments.layer
    if not 1 <= layer <= depth:
        raise ValueError(f"--layer must be 1 to {depth} for this model, got {layer}.")
    if arguments.head is not None and not 1 <= arguments.head <= heads:
        raise ValueError(f"--head must be 1 to {heads} here, got {arguments.head}; leave it out for their mean.")
    analysis = Analysis(
        model, read_picture(arguments.image, model.config["img_size"], channels=model.config["in_chans"])
    )
    grid, which = _attention_grid(arguments, analysis, layer)
    said = model.classes[analysis.probabilities.argmax()] if model.classes else None
    last = layer == depth and model.has_readout
    place = "" if arguments.relevance else "read-out, " if last else f"layer {layer} of {depth}, "
    title = f"{said or 'no class head'} · {place}{which}"
    if arguments.out is not None:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        if not arguments.out.suffix:
            arguments.out = arguments.out.with_suffix(".png")
        _save_attention(arguments.out, analysis, grid, title)
    report = {
        "prediction": said,
        "view": which,
        "layer": None if arguments.relevance else layer,
        "grid": grid.tolist(),
        **analysis.report(),
        "logit_lens": [dict(zip(model.classes, row)) for row in analysis.lens[0].tolist()],
    }
    print_report(arguments.json, report, f"{title}: {arguments.out}")


def _check_idle_flags(arguments: argparse.Namespace) -> None:
    """Raises ValueError where there is nothing to do, or where a flag would do nothing beside another."""
    if arguments.out is None and not arguments.json:
        raise ValueError("There is nothing to do: give --out FILE for a figure or the raw maps, --json for numbers.")
    idle = {"--relevance": ("layer", "head", "query"), "--rollout": ("head",)}
    for flag, names in idle.items():
        beside = [f"--{name}" for name in names if getattr(arguments, name) is not None]
        if getattr(arguments, flag[2:]) and beside:
            what = "a class's map goes through all layers and heads" if flag == "--relevance" else "it is of all heads"
            raise ValueError(f"{', '.join(beside)} would do nothing beside {flag}: {what}; leave out one of them.")


def _attention_grid(arguments, analysis: Analysis, layer: int) -> tuple[torch.Tensor, str]:
    """The map that was asked for, (h, w), and what to call it."""
    model = analysis.model
    if arguments.relevance:
        if not model.classes:
            raise ValueError("--relevance needs classes, and this model has no class head; leave it out.")
        if arguments.relevance not in model.classes:
            classes = ", ".join(model.classes)
            raise ValueError(f"--relevance must be one of {classes}, got {arguments.relevance!r}.")
        return analysis.relevance([model.classes.index(arguments.relevance)])[0], f"why {arguments.relevance}"
    (h, w), patch, asker = model.grid_size, None, ""
    if arguments.query:
        row, _, column = arguments.query.partition(",")
        if not (row.isdecimal() and column.isdecimal() and 1 <= int(row) <= h and 1 <= int(column) <= w):
            raise ValueError(f"--query must be ROW,COL from 1,1 to {h},{w}, got {arguments.query!r}.")
        patch = (int(row) - 1) * w + int(column) - 1
        asker = f", query {arguments.query}"
    head = None if arguments.head is None else arguments.head - 1
    which = "rollout" if arguments.rollout else "mean of heads" if head is None else f"head {head + 1}"
    return analysis.grid(layer - 1, head, patch, arguments.rollout), which + asker


def _save_attention(out: Path, analysis: Analysis, grid, title: str) -> None:
    """A figure; or with .npz `Analysis.arrays`, the grid asked for and position similarity."""
    model = analysis.model
    picture = analysis.pixels.expand(3, -1, -1).permute(1, 2, 0).numpy()  # a gray one, too
    if out.suffix == ".npz":
        more = {"grid": grid.numpy(), "position_similarity": position_similarity(model).numpy()}
        np.savez_compressed(out, **analysis.arrays, **more, picture=picture)
        return
    from vit.figures import attention_figure

    attention_figure(picture, grid.numpy(), title, name="map").savefig(out)
