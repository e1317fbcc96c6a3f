"""python -m vit train: a model from scratch, saved with its validation accuracy, resumable."""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed
from tqdm import tqdm

from vit import data
from vit.cli.flags import DEVICE, JSON, SUPPRESS, add_flags, percent, print_report
from vit.cli.inputs import check_same, load
from vit.data.own import is_own
from vit.data.registry import DATASETS, entry, preferred
from vit.device import choose_device, is_first_process, join_processes
from vit.model import Classifier
from vit.training import TrainConfig, processes
from vit.training.config import LENGTHS, SETTINGS, defaults
from vit.training.presets import SIZED, Preset, fitting
from vit.training.run import Run, unfinished
from vit.training.spec import RUN_SETTINGS, SHAPE, RunSpec, recipe
from vit.variants import LARGE_IMAGES, MODELS

PRESET = "vit_live"  # what is trained where no model was chosen
LARGE = 64  # pixels of a side from which large models keep the patches that they are named after
DECODING = timedelta(days=2)  # that processes wait for the one that decodes


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags; one that is left out stays out of the parsed arguments, as its default may be the dataset's."""
    names = ", ".join(f"{entry.name} ({entry.label})" for entry in DATASETS.values())
    own = "; or a folder with a folder of pictures for each class, a zip of such, or hub:USER/NAME[:CONFIG]"
    usual = f" (default: {preferred().name})"
    parser.add_argument("--dataset", metavar="DATA", help=names + own + usual, default=SUPPRESS)
    parser.add_argument(
        "--model",
        choices=list(MODELS),
        help="if not given, vit_live, which learns in minutes, as wide as suits this machine",
    )
    length = parser.add_mutually_exclusive_group()
    for name, setting in SETTINGS.items():
        add_flags(length if name in LENGTHS else parser, {name: setting}, defaults(TrainConfig))
    for former, meaning in (("--autocast", "auto"), ("--no-autocast", "fp32")):
        kept = {"action": "store_const", "const": meaning, "default": SUPPRESS}
        parser.add_argument(former, dest="precision", **kept, help=SUPPRESS)
    add_flags(parser, SHAPE, {})
    add_flags(parser, RUN_SETTINGS, {})
    parser.add_argument("--classes", nargs="+", metavar="CLASS", default=SUPPRESS, help="learn only these")
    parser.add_argument("--device", **DEVICE)
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder to save to; runs/DATASET-MODEL if not given")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with the interrupted run in this folder")
    parser.add_argument("--save-every", type=float, default=60.0, help="seconds between two savings of the run's state")
    parser.add_argument("--json", **JSON)


def read(arguments: argparse.Namespace) -> RunSpec:
    """The run that the flags say. Raises WrongSetting, a ValueError."""
    values = {name: value for name, value in vars(arguments).items() if value is not None}
    dataset = values.setdefault("dataset", preferred().name)
    if "parent" in values and is_own(dataset) and "img_size" not in values:
        values["img_size"] = Classifier.from_pretrained(values["parent"]).config["img_size"]
    about = entry(dataset, values.get("img_size"))
    own = recipe(about, {}, values.get("parent"))
    if not (values.keys() | own.keys()) & LENGTHS:
        values["minutes"] = 2.0
    size = values.get("img_size") or about.size
    if "parent" not in values and values.setdefault("model", PRESET) in LARGE_IMAGES and size < LARGE:
        values.setdefault("patch_size", 4)
    return RunSpec.make({**values, "processes": processes()})


def run(arguments: argparse.Namespace) -> None:
    device = join_processes(choose_device(arguments.device))
    training = _resumed(arguments, device) if arguments.resume else _new(arguments, device)
    precision = training.settle()
    if is_first_process():
        print(f"Computes in {precision} (--precision).", file=sys.stderr)
    try:
        with tqdm(
            total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}{postfix}", disable=not is_first_process()
        ) as bar:

            def show(done: float, desc: str) -> None:
                bar.set_postfix_str(f"{desc}, {done:.0%}")

            for progress in _unbroken(training.steps(arguments.save_every, show)):
                if training.recorder and training.recorder.left_out:
                    bar.write(training.recorder.left_out, file=sys.stderr)
                    training.recorder.left_out = ""
                bar.update(100 * progress.done - bar.n)
                bar.set_postfix_str(_status(progress, training.accuracy))
    except KeyboardInterrupt:
        if training.progress is not None:
            training.finish()
            print(_stopped(training), file=sys.stderr)
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
        "precision": str(precision),
        "folder": str(training.folder),
    }
    learned = (
        f"Validation accuracy {percent(training.accuracy)} on {n:,} held-out images" if n else "No image was held out"
    )
    test = f"Test it with: python -m vit evaluate {shlex.quote(str(training.folder))}"
    print_report(arguments.json, result, f"{learned}; saved in {training.folder}.\n{test}")


def _stopped(training: Run) -> str:
    if training.reached.done >= 1:
        return f"Finished; saved in {training.folder}."
    return (
        f"Stopped at step {training.reached.step}. What it learned is in {training.folder}. Go on with: "
        f"python -m vit train --resume {shlex.quote(str(training.folder))}"
    )


def _unbroken(steps: Iterator) -> Iterator:
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
    spec = read(arguments)
    folder = arguments.out or Path("runs") / f"{Path(spec.dataset).stem}-{spec.model}"
    Run.check_new(folder)
    splits = _data(spec)
    if "batch_size" not in arguments:
        spec = _bounded(spec, len(splits.train))
    if arguments.model is None and spec.parent is None:
        spec = _fitting(spec, device, len(splits.train), "batch_size" not in arguments)
    return Run(folder, spec, splits, device)


def _data(spec: RunSpec) -> data.Splits:
    """What is learned from; of several processes one decodes what is new, on each machine, and the others wait."""
    together = distributed.is_initialized()
    waiting = distributed.new_group(timeout=DECODING, backend="gloo") if together else None
    turn = 0 if is_first_process() else 1 if os.environ["LOCAL_RANK"] == "0" else 2
    for now in range(3 if together else 1):
        if now == turn:
            splits = load(spec.dataset, spec.validation_size, spec.img_size)
        if together:
            distributed.barrier(waiting)
    return data.select_classes(splits, spec.classes)


def _bounded(spec: RunSpec, pictures: int) -> RunSpec:
    """With a quarter of the pictures a step, where the usual batch, which nobody chose, is more than there are."""
    config = spec.config
    if config.accumulate > 1 or config.batch_size * spec.processes <= pictures:
        return spec
    return replace(spec, config=replace(config, batch_size=max(1, pictures // (4 * spec.processes))))


def _fitting(spec: RunSpec, device: torch.device, pictures: int, resize: bool) -> RunSpec:
    """The preset that suits this machine, where neither its size nor epochs, which fix the work, were chosen.

    resize: whether the batch may be another.
    """
    config = spec.config
    if config.minutes is None or spec.shape.keys() & set(SIZED) or distributed.is_initialized():
        return spec
    resize = resize and (config.batch_size, config.accumulate) == (TrainConfig.batch_size, 1)
    found = fitting(PRESET, config, device, pictures, resize, **spec.architecture)
    width, depth, heads = (found.shape[name] for name in SIZED)
    print(
        f"{PRESET} of width {width}, {depth} layers and {heads} heads, in batches of {found.batch_size}, suits "
        f"{config.minutes:g} minutes here (--embed-dim, --depth, --num-heads, --batch-size).",
        file=sys.stderr,
    )
    config = replace(config, batch_size=found.batch_size)
    others = {name: value for name, value in found.shape.items() if value != Preset().shape[name]}
    return replace(spec, config=config, shape={**spec.shape, **others})


def _resumed(arguments: argparse.Namespace, device: torch.device) -> Run:
    flags = {**SETTINGS, **SHAPE, **RUN_SETTINGS}
    del flags["precision"]  # another one goes on with the same run, but for rounding
    chosen = [flags[name].words(name, vars(arguments)[name])[0] for name in flags if name in arguments]
    chosen += [
        f"--{name}" for name in ("dataset", "model", "classes", "out") if getattr(arguments, name, None) is not None
    ]
    if chosen:
        raise ValueError(f"--resume takes all settings from {arguments.resume}; leave out {chosen[0]}.")
    spec, tensors, numbers = unfinished(arguments.resume)
    if "precision" in arguments:
        spec = replace(spec, config=replace(spec.config, precision=arguments.precision))
        numbers["precision"] = None
    if spec.processes != processes():
        raise ValueError(f"That run has {spec.processes} processes; resume it with as many, not {processes()}.")
    splits = _data(spec)
    check_same(spec.entry, numbers.get("pictures"))
    run = Run(arguments.resume, spec, splits, device)
    run.restore(tensors, numbers)
    return run


def _status(progress, accuracy: float | None) -> str:
    validation = "" if accuracy is None else f"val {percent(accuracy)}, "
    return (
        f"loss {progress.loss:.3f}, {validation}epoch {progress.epoch:.2f}, {progress.images_per_second:.0f} images/s, "
        f"{progress.remaining:.0f} s left"
    )
