"""The command line: python -m vit train | evaluate | predict | attention | benchmark."""

import argparse
import sys
from pathlib import Path

from vit import benchmark, data
from vit.commands import (
    CONFIG_FLAGS,
    SHAPE_FLAGS,
    benchmark_command,
    evaluate_command,
    predict_command,
    train_command,
)
from vit.config import TrainConfig
from vit.look import attention_command
from vit.training import TrainingDiverged
from vit.variants import MODELS


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit status; a mistake of the caller's is one line on stderr, status 2."""
    arguments = build_parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, data.DatasetUnavailable, TrainingDiverged) as error:
        print(f"{arguments.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vit",
        description="Train a Vision Transformer from scratch, test it, use it, and look at its attention.",
        epilog="Start with: python -m vit train --dataset shapes --minutes 1 --out runs/first",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    as_json = {"action": "store_true", "help": "print one JSON object instead of text"}
    device = {"default": "auto", "choices": ["auto", "cpu", "cuda"], "help": "auto takes the GPU where there is one"}

    def command(name: str, run, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        sub.set_defaults(run=run)
        return sub

    sub = command("train", train_command, "train a model from scratch and save it with its validation accuracy")
    sub.add_argument("--dataset", default="cifar10", choices=data.DATASETS, help="shapes is built in, needs no network")
    sub.add_argument(
        "--model",
        choices=list(MODELS),
        help="if not given, vit_live, which learns in minutes, as wide as suits this machine",
    )
    length = sub.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, help=CONFIG_FLAGS["epochs"][1])
    length.add_argument("--minutes", type=float, help=CONFIG_FLAGS["minutes"][1])
    for name, (kind, help_text) in CONFIG_FLAGS.items():
        if name not in ("epochs", "minutes"):
            flag, default = "--" + name.replace("_", "-"), getattr(TrainConfig, name)
            sub.add_argument(flag, type=kind, default=default, help=help_text)
    sub.add_argument("--compile", action="store_true", help="torch.compile the model: a minute first, then faster")
    sub.add_argument("--no-autocast", dest="autocast", action="store_false", help="float32 even where bfloat16 is fast")
    sub.add_argument("--no-flip", dest="flip", action="store_false", help="never mirror an image")
    for name, (kind, help_text) in SHAPE_FLAGS.items():
        sub.add_argument("--" + name.replace("_", "-"), type=kind, help=help_text)
    sub.add_argument("--classes", nargs="+", metavar="CLASS", help="learn only these of the dataset's classes")
    sub.add_argument("--validation-size", type=int, help="training images held out to measure on; a tenth if not given")
    sub.add_argument("--device", **device)
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder to save to; runs/DATASET-MODEL if not given")
    sub.add_argument("--float16", action="store_true", help="store the weights in half the size")
    sub.add_argument("--resume", type=Path, metavar="DIR", help="go on with the interrupted run in this folder")
    sub.add_argument("--save-every", type=float, default=60.0, help="seconds between two savings of the run's state")
    sub.add_argument("--json", **as_json)

    sub = command("evaluate", evaluate_command, "accuracy on the test images: overall, per class, confusion matrix")
    sub.add_argument("folder", help="a checkpoint folder, or OWNER/NAME on the Hub")
    sub.add_argument("--dataset", choices=data.DATASETS, help="the one it was trained on if not given")
    sub.add_argument("--card", action="store_true", help="measure much more and write it into the folder's card")
    sub.add_argument("--device", **device)
    sub.add_argument("--json", **as_json)

    sub = command("benchmark", benchmark_command, "how fast this trains on CIFAR-10, beside other libraries' ViTs")
    everybody, ours = list(benchmark.CONTENDERS), ["vit_live", "vit_live_patch"]
    sub.add_argument("--only", nargs="*", default=everybody, choices=everybody, help="whose images/s to measure")
    sub.add_argument("--repeats", type=int, default=5, help="of each measurement")
    sub.add_argument("--steps", type=int, default=4, help="of 128 images in one repeat")
    sub.add_argument("--minutes", type=float, nargs="*", default=[], help="train so long and report the test accuracy")
    sub.add_argument(
        "--accuracy-of", nargs="+", default=[*ours, "tutorial"], metavar="NAME", help="what to train so long"
    )
    sub.add_argument("--seeds", type=int, default=3, help="of each such training")
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder for benchmark.json and benchmark.png")
    sub.add_argument("--device", **device)
    sub.add_argument("--json", **as_json)

    sub = command("predict", predict_command, "name what is in your own images: the five likeliest classes of each")
    sub.add_argument("folder", help="a checkpoint folder, or OWNER/NAME on the Hub")
    sub.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="cut to a square and resized")
    sub.add_argument("--json", **as_json)

    sub = command("attention", attention_command, "draw or save attention: input, map, overlay")
    sub.add_argument("folder", help="a checkpoint folder, or OWNER/NAME on the Hub")
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
    sub.add_argument("--json", **as_json)
    return parser


if __name__ == "__main__":
    sys.exit(main())
