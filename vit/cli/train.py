"""python -m vit train: a model from scratch, saved with its validation accuracy, resumable."""

import argparse
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import torch
from torch import distributed
from tqdm import tqdm

from vit import data
from vit.cli.flags import DEVICE, JSON, Command, percent, print_report
from vit.cli.inputs import load
from vit.device import choose_device, is_first_process, join_processes
from vit.training import TrainConfig, processes
from vit.training.optim import OPTIMIZERS, SCHEDULES
from vit.training.presets import fitting_width
from vit.training.run import Run, unfinished
from vit.variants import LARGE_IMAGES, MODELS

CONFIG_FLAGS = {  # the fields of TrainConfig that train has a flag for
    "epochs": (float, "passes over the training images"),
    "minutes": (float, "time to train; 2 if neither is given"),
    "batch_size": (int, "images a step"),
    "optimizer": (str, f"one of {', '.join(OPTIMIZERS)}; muon learns more from as many images"),
    "lr": (float, "peak learning rate"),
    "weight_decay": (float, "pulls matrices towards zero"),
    "warmup": (float, "share of the run over which the rate rises"),
    "schedule": (str, f"shape in which the rate falls: {', '.join(SCHEDULES)}"),
    "label_smoothing": (float, "share of the target spread over all classes"),
    "crop": (int, "largest shift of an image, in pixels"),
    "mixup": (float, "alpha of mixup; 0 for none"),
    "cutmix": (float, "alpha of cutmix; 0 for none"),
    "patch_dropout": (float, "share of the patches left out of each image, which saves time"),
    "strong_until": (float, "share of the run after which images are no longer mixed, nor patches left out"),
    "erase": (float, "probability of erasing a box of an image"),
    "colour": (float, "strength of random brightness, contrast and saturation"),
    "accumulate": (int, "parts that a batch is cut into where memory is short"),
    "ema": (float, "decay of the weights' moving average, which is then kept; 0 for none"),
    "seed": (int, "the same seed gives the same losses"),
}

PRESET = "vit_live"  # what is trained where no model was chosen

SHAPE_FLAGS = {  # the arguments of ViT that train has a flag for; the model's own where not given
    "patch_size": (int, "pixels along a patch's side"),
    "embed_dim": (int, "width: values a token"),
    "depth": (int, "layers"),
    "num_heads": (int, "heads a layer; divides the width"),
    "stem": (str, "patch, the paper's, or conv"),
    "drop_rate": (float, "dropout"),
    "drop_path_rate": (float, "stochastic depth: rate of the last layer"),
}


def add(command: Command) -> None:
    """Names the flags."""
    sub = command("train", run, "train a model from scratch and save it with its validation accuracy")
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
    sub.add_argument("--device", **DEVICE)
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder to save to; runs/DATASET-MODEL if not given")
    sub.add_argument("--float16", action="store_true", help="store the weights in half the size")
    sub.add_argument("--resume", type=Path, metavar="DIR", help="go on with the interrupted run in this folder")
    sub.add_argument("--save-every", type=float, default=60.0, help="seconds between two savings of the run's state")
    sub.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    device = join_processes(choose_device(arguments.device))
    training = _resumed(arguments, device) if arguments.resume else _new(arguments, device)
    try:
        with tqdm(
            total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}{postfix}", disable=not is_first_process()
        ) as bar:
            for progress in _whole(training.steps(arguments.save_every)):
                bar.update(100 * progress.done - bar.n)
                bar.set_postfix_str(_status(progress, training.accuracy))
    except KeyboardInterrupt:
        if training.progress is not None:
            training.finish()
            words = f"What it learned is in {training.folder}. Go on with: python -m vit train --resume"
            print(
                f"Stopped at step {training.progress.step}. {words} {shlex.quote(str(training.folder))}",
                file=sys.stderr,
            )
        raise
    if distributed.is_initialized():
        distributed.destroy_process_group()
    if training.progress is None:  # not the first of several processes
        return
    training.finish()
    n = len(training.splits.validation)
    result = {
        "accuracy": training.accuracy,
        "n": n,
        "images_per_second": training.progress.images_per_second,
        "folder": str(training.folder),
    }
    learned = (
        f"Validation accuracy {percent(training.accuracy)} on {n:,} held-out images" if n else "No image was held out"
    )
    test = f"Test it with: python -m vit evaluate {shlex.quote(str(training.folder))}"
    print_report(arguments.json, result, f"{learned}; saved in {training.folder}.\n{test}")


def _whole(steps: Iterator) -> Iterator:
    """The steps, none cut in two by Ctrl-C: it is held back until the step is done; a second one is not."""
    held = []

    def hold(*_) -> None:
        held.append(True)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    holds = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored, or somebody else's
    if holds:
        signal.signal(signal.SIGINT, hold)
    try:
        for step in steps:
            yield step
            if held:
                raise KeyboardInterrupt
    finally:
        steps.close()
        if holds:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _new(arguments: argparse.Namespace, device: torch.device) -> Run:
    folder = arguments.out or Path("runs") / f"{arguments.dataset}-{arguments.model or PRESET}"
    Run.check_new(folder)
    if arguments.epochs is None and arguments.minutes is None:
        arguments.minutes = 2.0
    config = TrainConfig(**{name: getattr(arguments, name) for name in (*CONFIG_FLAGS, "autocast", "compile", "flip")})
    splits = load(arguments.dataset, arguments.validation_size)
    if arguments.classes:
        splits = data.select_classes(splits, arguments.classes)
    shape = {"img_size": splits.train.images.shape[-1], "num_classes": len(splits.train.classes)}
    if arguments.model in LARGE_IMAGES:
        shape["patch_size"] = 4
    shape |= {name: getattr(arguments, name) for name in SHAPE_FLAGS if getattr(arguments, name) is not None}
    if arguments.model is None:
        shape |= _fitting_shape(shape, config, device)
    settings = {
        "dataset": arguments.dataset,
        "validation_size": arguments.validation_size,
        "classes": list(splits.train.classes),
        "model": arguments.model or PRESET,
        "shape": shape,
        "config": vars(config),
        "float16": arguments.float16,
        "processes": processes(),
        "command": "python -m vit " + shlex.join(sys.argv[1:]),
    }
    return Run(folder, settings, splits, device)


def _fitting_shape(shape: dict, config: TrainConfig, device: torch.device) -> dict:
    """The preset's width for this machine, where neither width nor epochs, which fix the work, were chosen."""
    if config.minutes is None or "embed_dim" in shape or distributed.is_initialized():
        return {}
    width = fitting_width(PRESET, config, device, **shape)
    print(f"{PRESET} with width {width} suits {config.minutes:g} minutes here (--embed-dim).", file=sys.stderr)
    return {"embed_dim": width}


def _resumed(arguments: argparse.Namespace, device: torch.device) -> Run:
    defaults = {field.name: field.default for field in fields(TrainConfig)}
    defaults |= dict.fromkeys((*SHAPE_FLAGS, "model", "classes", "validation_size", "out")) | {"float16": False}
    given = [name for name, default in defaults.items() if getattr(arguments, name, default) != default]
    if given:
        flag = given[0].replace("_", "-")
        raise ValueError(f"--resume takes all settings from {arguments.resume}; leave out --{flag}.")
    settings, tensors, numbers = unfinished(arguments.resume)
    if settings["processes"] != processes():
        raise ValueError(f"That run has {settings['processes']} processes; resume it with as many, not {processes()}.")
    splits = data.select_classes(load(settings["dataset"], settings["validation_size"]), settings["classes"])
    run = Run(arguments.resume, settings, splits, device)
    run.restore(tensors, numbers)
    return run


def _status(progress, accuracy: float | None) -> str:
    known = "" if accuracy is None else f"val {percent(accuracy)}, "
    return (
        f"loss {progress.loss:.3f}, {known}epoch {progress.epoch:.2f}, {progress.images_per_second:.0f} images/s, "
        f"{progress.remaining:.0f} s left"
    )
