"""What each command of python -m vit does, from parsed arguments to printed result."""

import argparse
import json
import shlex
import signal
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

import torch
from torch import distributed
from tqdm import tqdm

from vit import benchmark, data
from vit.config import TrainConfig
from vit.device import choose_device, device_name, is_first_process, join_processes
from vit.evaluation import evaluate
from vit.model import ViT
from vit.optim import OPTIMIZERS, SCHEDULES
from vit.pace import fitting_width
from vit.pictures import read_picture
from vit.run import Run, unfinished
from vit.training import processes
from vit.variants import LARGE_IMAGES

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


def train_command(arguments: argparse.Namespace) -> None:
    device = join_processes(choose_device(arguments.device))
    run = _resumed(arguments, device) if arguments.resume else _new(arguments, device)
    try:
        with tqdm(
            total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}{postfix}", disable=not is_first_process()
        ) as bar:
            for progress in _whole(run.steps(arguments.save_every)):
                bar.update(100 * progress.done - bar.n)
                bar.set_postfix_str(_status(progress, run.accuracy))
    except KeyboardInterrupt:
        if run.progress is not None:
            run.finish()
            words = f"What it learned is in {run.folder}. Go on with: python -m vit train --resume"
            print(f"Stopped at step {run.progress.step}. {words} {shlex.quote(str(run.folder))}", file=sys.stderr)
        raise
    if distributed.is_initialized():
        distributed.destroy_process_group()
    if run.progress is None:  # not the first of several processes
        return
    run.finish()
    n = len(run.splits.validation)
    result = {
        "accuracy": run.accuracy,
        "n": n,
        "images_per_second": run.progress.images_per_second,
        "folder": str(run.folder),
    }
    learned = f"Validation accuracy {percent(run.accuracy)} on {n:,} held-out images" if n else "No image was held out"
    test = f"Test it with: python -m vit evaluate {shlex.quote(str(run.folder))}"
    print_report(arguments.json, result, f"{learned}; saved in {run.folder}.\n{test}")


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


def evaluate_command(arguments: argparse.Namespace) -> None:
    device = choose_device(arguments.device)
    model = ViT.from_pretrained(arguments.folder).to(device)
    splits = load(arguments.dataset or model.trained.get("dataset", "cifar10"))
    if set(model.classes) < set(splits.test.classes):
        splits = data.select_classes(splits, model.classes)
    test = splits.test
    if model.classes != test.classes:
        raise ValueError(f"The model's classes, {', '.join(model.classes)}, are not those of {test.name}.")
    folder = Path(arguments.folder)
    if arguments.card and not folder.is_dir():
        raise ValueError(f"--card writes into the checkpoint's folder, and {folder} is none; download it first.")
    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}") as bar:
        result = evaluate(
            model, test, lambda done, desc: (bar.set_description(desc), bar.update(100 * done - bar.n)), autocast=False
        )
    if arguments.card:
        _write_card(model, test, folder)
    per_class = dict(zip(test.classes, result.per_class))
    report = {
        "accuracy": result.accuracy,
        "n": result.n,
        "images_per_second": result.images_per_second,
        "loss": result.loss,
        "dataset": test.name,
        "split": test.split,
        "per_class": per_class,
        "confusion": result.confusion.tolist(),
    }
    width = max(map(len, test.classes))
    lines = [f"Test accuracy {percent(result.accuracy)} on {result.n:,} images of {test.name}.", ""]
    lines += [f"{'':>{width}}  recognised  taken for (rows: true class, counts)"]
    for (name, share), row in zip(per_class.items(), result.confusion.tolist()):
        lines.append(f"{name:>{width}}  {percent(share):>10}  {' '.join(f'{count:5}' for count in row)}")
    print_report(arguments.json, report, "\n".join(lines))


def _write_card(model: ViT, test: data.Dataset, folder: Path) -> None:
    from vit.report import measure, write_card

    foreign = load("shapes" if test.name == "cifar10" else "cifar10").test
    with tqdm(bar_format="{desc} {elapsed}", leave=False) as bar:
        write_card(model, measure(model, test, foreign, lambda what: bar.set_description_str(f"Card: {what}")), folder)


def predict_command(arguments: argparse.Namespace) -> None:
    model, images = model_and_images(arguments)
    with torch.no_grad():
        probabilities = model(images).softmax(dim=1)
    report = {}
    for path, row in zip(arguments.images, probabilities):
        best = row.topk(min(5, len(row)))
        report[str(path)] = {model.classes[i]: p for p, i in zip(best.values.tolist(), best.indices.tolist())}
    lines = [f"{path}: " + ", ".join(f"{name} {percent(p)}" for name, p in top.items()) for path, top in report.items()]
    print_report(arguments.json, report, "\n".join(lines))


def benchmark_command(arguments: argparse.Namespace) -> None:
    benchmark.check(arguments.repeats, arguments.steps, arguments.minutes, arguments.accuracy_of, arguments.seeds)
    device = choose_device(arguments.device)
    splits = load("cifar10")
    rates, timed = [], []
    with tqdm(total=0, bar_format="{desc} {elapsed}", leave=False) as bar:
        for rate in benchmark.rates(splits, device, arguments.only, arguments.repeats, arguments.steps):
            rates.append(rate)
            bar.set_description_str(f"{rate.contender}, {rate.row}, {rate.precision}")
        for minutes in arguments.minutes:
            for name in arguments.accuracy_of:
                bar.set_description_str(f"{name}, {minutes:g} minutes, {arguments.seeds} seeds")
                timed.append(benchmark.accuracy_after(name, minutes, arguments.seeds, splits, device))
    report = {
        "command": "python -m vit " + shlex.join(sys.argv[1:]),
        "device": device_name(device),
        "torch": torch.__version__,
        "batch_size": benchmark.BATCH,
        "rates": [{**asdict(rate), "median": rate.median} for rate in rates],
        "accuracies": [asdict(row) for row in timed],
    }
    text = "\n\n".join([f"{report['device']}, torch {torch.__version__}", *benchmark.tables(rates, timed)])
    if arguments.out is not None:
        from vit.figures import rates_figure

        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "benchmark.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        if measured := [rate for rate in rates if rate.rates]:
            rates_figure(measured).savefig(arguments.out / "benchmark.png")
    print_report(arguments.json, report, text)


def load(name: str, validation_size: int | None = None) -> data.Splits:
    """The dataset, with a progress bar once loading takes a while."""
    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}", delay=1, leave=False) as bar:

        def show(done: float, desc: str) -> None:
            bar.set_description(desc)
            bar.update(100 * done - bar.n)

        return data.load(name, validation_size=validation_size, progress=show)


def model_and_images(arguments: argparse.Namespace) -> tuple[ViT, torch.Tensor]:
    """The checkpoint, and its normalised images (B, C, H, W)."""
    model = ViT.from_pretrained(arguments.folder)
    images = torch.stack([read_picture(path, model.config["img_size"]) for path in arguments.images])
    return model, data.normalize(images, model.mean, model.std)


def _status(progress, accuracy: float | None) -> str:
    known = "" if accuracy is None else f"val {percent(accuracy)}, "
    return (
        f"loss {progress.loss:.3f}, {known}epoch {progress.epoch:.2f}, {progress.images_per_second:.0f} images/s, "
        f"{progress.remaining:.0f} s left"
    )


def percent(share: float | None) -> str:
    return "not measured" if share is None else f"{100 * share:.2f}%"


def print_report(as_json: bool, report: dict, text: str) -> None:
    print(json.dumps(report) if as_json else text)
