"""What each command of python -m vit does, from parsed arguments to printed result."""

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from tqdm import tqdm

from vit import data
from vit.attention import attention_maps, early_against_late, head_statistics, rollout
from vit.config import TrainConfig
from vit.device import choose_device, is_first_process, join_processes
from vit.evaluation import evaluate
from vit.model import ViT
from vit.optim import OPTIMIZERS, SCHEDULES
from vit.probing import relevance
from vit.run import Run, unfinished

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
    "mix_until": (float, "share of the run after which images are no longer mixed"),
    "erase": (float, "probability of erasing a box of an image"),
    "colour": (float, "strength of random brightness, contrast and saturation"),
    "accumulate": (int, "parts that a batch is cut into where memory is short"),
    "ema": (float, "decay of the weights' moving average, which is then kept; 0 for none"),
    "seed": (int, "the same seed gives the same losses"),
}


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
            for progress in run.steps(arguments.save_every):
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
    _print(
        arguments.json,
        result,
        f"Validation accuracy {_percent(run.accuracy)} on {n:,} held-out images; saved in {run.folder}.\n"
        f"Test it with: python -m vit evaluate {shlex.quote(str(run.folder))}",
    )


def _new(arguments: argparse.Namespace, device: torch.device) -> Run:
    folder = arguments.out or Path("runs") / f"{arguments.dataset}-{arguments.model}"
    Run.check_new(folder)
    if arguments.epochs is None and arguments.minutes is None:
        arguments.minutes = 2.0
    config = TrainConfig(**{name: getattr(arguments, name) for name in (*CONFIG_FLAGS, "compile", "flip")})
    splits = load(arguments.dataset)
    if arguments.classes:
        splits = data.select_classes(splits, arguments.classes)
    shape = {"img_size": splits.train.images.shape[-1], "num_classes": len(splits.train.classes)}
    if arguments.model in ("vit_base", "vit_large"):
        shape["patch_size"] = 4  # theirs of 16 would leave 2 x 2 patches of a 32 px image
    shape |= {name: getattr(arguments, name) for name in SHAPE_FLAGS if getattr(arguments, name) is not None}
    settings = {
        "dataset": arguments.dataset,
        "classes": list(splits.train.classes),
        "model": arguments.model,
        "shape": shape,
        "config": vars(config),
        "command": "python -m vit " + shlex.join(sys.argv[1:]),
    }
    return Run(folder, settings, splits, device)


def _resumed(arguments: argparse.Namespace, device: torch.device) -> Run:
    given = [flag for flag in ("out", "epochs", "minutes") if getattr(arguments, flag) is not None]
    if given:
        raise ValueError(f"--resume takes all settings from {arguments.resume}; leave out --{given[0]}.")
    settings, tensors, numbers = unfinished(arguments.resume)
    splits = data.select_classes(load(settings["dataset"]), settings["classes"])
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
    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}") as bar:
        result = evaluate(model, test, lambda done, desc: (bar.set_description(desc), bar.update(100 * done - bar.n)))
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
    lines = [f"Test accuracy {_percent(result.accuracy)} on {result.n:,} images of {test.name}.", ""]
    lines += [f"{'':>{width}}  recognised  taken for (rows: true class, counts)"]
    for (name, share), row in zip(per_class.items(), result.confusion.tolist()):
        lines.append(f"{name:>{width}}  {_percent(share):>10}  {' '.join(f'{count:5}' for count in row)}")
    _print(arguments.json, report, "\n".join(lines))


def predict_command(arguments: argparse.Namespace) -> None:
    model, images = _model_and_images(arguments)
    with torch.no_grad():
        probabilities = model(images).softmax(dim=1)
    report = {}
    for path, row in zip(arguments.images, probabilities):
        best = row.topk(min(5, len(row)))
        report[str(path)] = {model.classes[i]: p for p, i in zip(best.values.tolist(), best.indices.tolist())}
    lines = [
        f"{path}: " + ", ".join(f"{name} {_percent(p)}" for name, p in top.items()) for path, top in report.items()
    ]
    _print(arguments.json, report, "\n".join(lines))


def attention_command(arguments: argparse.Namespace) -> None:
    arguments.images = [arguments.image]
    model, images = _model_and_images(arguments)
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
    statistics = head_statistics(maps, model.grid_size, model.num_prefix_tokens, model.config["patch_size"])
    report = {
        "prediction": said,
        "view": which,
        "layer": layer,
        "grid": grid.tolist(),
        "distance": statistics.distance.tolist(),
        "entropy": statistics.entropy.tolist(),
        "attention_to_cls": statistics.attention_to_cls.tolist(),
        "uniform_distance": statistics.uniform_distance,
        "max_entropy": statistics.max_entropy,
        "early_against_late": early_against_late(statistics).sentence,
    }
    _print(arguments.json, report, f"{title}: {arguments.out}")


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
    """A figure; or with .npz the raw maps (L, heads, N, N), the rollout (L, N, N) and the grid that was asked for."""
    picture = data.denormalize(images, model.mean, model.std)[0].permute(1, 2, 0).numpy()
    if out.suffix == ".npz":
        arrays = {"maps": maps[0].numpy(), "rollout": rollout(maps)[0].numpy(), "grid": grid.numpy()}
        np.savez_compressed(out, **arrays, picture=picture, num_prefix_tokens=model.num_prefix_tokens)
        return
    from vit.figures import attention_figure

    attention_figure(picture, grid.numpy(), title, name="map").savefig(out)


def load(name: str) -> data.Splits:
    """The dataset, with a progress bar once loading takes a while."""
    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}", delay=1, leave=False) as bar:

        def show(done: float, desc: str) -> None:
            bar.set_description(desc)
            bar.update(100 * done - bar.n)

        return data.load(name, progress=show)


def _model_and_images(arguments: argparse.Namespace) -> tuple[ViT, torch.Tensor]:
    """The checkpoint, and its normalised images (B, C, H, W)."""
    model = ViT.from_pretrained(arguments.folder)
    images = torch.stack([data.read_image(path, model.config["img_size"]) for path in arguments.images])
    return model, data.normalize(images, model.mean, model.std)


def _status(progress, accuracy: float | None) -> str:
    known = "" if accuracy is None else f"val {_percent(accuracy)}, "
    return (
        f"loss {progress.loss:.3f}, {known}epoch {progress.epoch:.2f}, {progress.images_per_second:.0f} images/s, "
        f"{progress.remaining:.0f} s left"
    )


def _percent(share: float | None) -> str:
    return "not measured" if share is None else f"{100 * share:.2f}%"


def _print(as_json: bool, report: dict, text: str) -> None:
    print(json.dumps(report) if as_json else text)
