"""The command line: python -m vit train | evaluate | predict | attention."""

import argparse
import json
import shlex
import sys
from pathlib import Path

import torch
from torch import distributed
from tqdm import tqdm

from vit import data
from vit.attention import attention_maps, cls_attention
from vit.config import TrainConfig
from vit.device import choose_device, is_first_process, join_processes
from vit.evaluation import evaluate
from vit.model import MODELS, ViT
from vit.optim import OPTIMIZERS, SCHEDULES
from vit.run import Run, unfinished
from vit.training import TrainingDiverged

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
    from vit.figures import attention_figure

    arguments.images = [arguments.image]
    model, images = _model_and_images(arguments)
    depth, heads = len(model.blocks), model.num_heads
    layer = depth if arguments.layer is None else arguments.layer
    if not 1 <= layer <= depth:
        raise ValueError(f"--layer must be 1 to {depth} for this model, got {layer}.")
    if arguments.head is not None and not 1 <= arguments.head <= heads:
        raise ValueError(f"--head must be 1 to {heads} here, got {arguments.head}; leave it out for their mean.")
    head = None if arguments.head is None else arguments.head - 1
    logits, maps = attention_maps(model, images)
    grid = cls_attention(maps, model.grid_size, model.num_prefix_tokens, layer - 1, head)[0]
    which = "mean of heads" if head is None else f"head {arguments.head}"
    title = f"{model.classes[logits.argmax()]} · layer {layer} of {depth}, {which}"
    picture = data.denormalize(images, model.mean, model.std)[0].permute(1, 2, 0).numpy()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    attention_figure(picture, grid.numpy(), title).savefig(arguments.out)
    print(f"{title}: {arguments.out}")


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
    sub.add_argument("--model", default="vit_live", choices=list(MODELS), help="vit_live learns most in minutes")
    length = sub.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=float, help=CONFIG_FLAGS["epochs"][1])
    length.add_argument("--minutes", type=float, help=CONFIG_FLAGS["minutes"][1])
    for name, (kind, help_text) in CONFIG_FLAGS.items():
        if name not in ("epochs", "minutes"):
            flag, default = "--" + name.replace("_", "-"), getattr(TrainConfig, name)
            sub.add_argument(flag, type=kind, default=default, help=help_text)
    sub.add_argument("--compile", action="store_true", help="torch.compile the model: a minute first, then faster")
    sub.add_argument("--no-flip", dest="flip", action="store_false", help="never mirror an image")
    for name, (kind, help_text) in SHAPE_FLAGS.items():
        sub.add_argument("--" + name.replace("_", "-"), type=kind, help=help_text)
    sub.add_argument("--classes", nargs="+", metavar="CLASS", help="learn only these of the dataset's classes")
    sub.add_argument("--device", **device)
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder to save to; runs/DATASET-MODEL if not given")
    sub.add_argument("--resume", type=Path, metavar="DIR", help="go on with the interrupted run in this folder")
    sub.add_argument("--save-every", type=float, default=60.0, help="seconds between two savings of the run's state")
    sub.add_argument("--json", **as_json)

    sub = command("evaluate", evaluate_command, "accuracy on the test images: overall, per class, confusion matrix")
    sub.add_argument("folder", help="a checkpoint folder, or OWNER/NAME on the Hub")
    sub.add_argument("--dataset", choices=data.DATASETS, help="the one it was trained on if not given")
    sub.add_argument("--device", **device)
    sub.add_argument("--json", **as_json)

    sub = command("predict", predict_command, "name what is in your own images: the five likeliest classes of each")
    sub.add_argument("folder", help="a checkpoint folder, or OWNER/NAME on the Hub")
    sub.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="cut to a square and resized")
    sub.add_argument("--json", **as_json)

    sub = command("attention", attention_command, "draw what the class token attends to: input, attention, overlay")
    sub.add_argument("folder", help="a checkpoint folder, or OWNER/NAME on the Hub")
    sub.add_argument("image", type=Path, metavar="IMAGE", help="cut to a square and resized")
    sub.add_argument("--layer", type=int, help="1 is the first; the last if not given")
    sub.add_argument("--head", type=int, help="1 is the first; the mean of all heads if not given")
    sub.add_argument("--out", type=Path, required=True, metavar="FILE", help="map.png, or .svg or .pdf")
    return parser


if __name__ == "__main__":
    sys.exit(main())
