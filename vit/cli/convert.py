"""python -m vit convert: a ViT of timm, transformers or torchvision as a folder of ours."""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from vit.cli.flags import JSON, print_report
from vit.model import ViT
from vit.training.run import Run
from vit.weights.checkpoint import from_pretrained
from vit.weights.pretrained import with_new_head
from vit.weights.resize import set_image_size


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    parser.add_argument("source", help="OWNER/NAME on the Hub, a folder, or a .safetensors file; no pickle")
    parser.add_argument("out", type=Path, help="where weights, config and card are written")
    parser.add_argument("--img-size", type=int, help="resize the position embeddings for images of this size")
    parser.add_argument("--num-classes", type=int, help="start the head anew for so many classes; 0 leaves it out")
    parser.add_argument("--float16", action="store_true", help="store the weights in half the size")
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    Run.check_new(arguments.out)
    if arguments.img_size is not None and arguments.img_size < 1:
        raise ValueError(f"--img-size must be 1 or more pixels, got {arguments.img_size}.")
    with tqdm(unit="B", unit_scale=True, delay=1, leave=False) as bar:

        def show(here: int, total: int) -> None:
            bar.total, bar.n = total, here
            bar.refresh()

        again = arguments.num_classes is not None
        model = from_pretrained(arguments.source, kind=ViT, progress=show, headless=again)
    before = model.config["img_size"]
    if again:
        model = with_new_head(model, arguments.num_classes)
    if arguments.img_size:
        set_image_size(model, arguments.img_size)
    model.save_pretrained(arguments.out, torch.float16 if arguments.float16 else None)
    config = model.config
    head = f"{len(model.classes)} classes" if model.classes else "no class head"
    resized = f" (resized from {before})" if config["img_size"] != before else ""
    print_report(
        arguments.json,
        {"source": arguments.source, "out": str(arguments.out), "config": config, "classes": len(model.classes)},
        f"{arguments.out}: {config['depth']} layers of {config['num_heads']} heads, {config['embed_dim']} wide, "
        f"{config['img_size']} px{resized} in patches of {config['patch_size']}, {head}.",
    )
