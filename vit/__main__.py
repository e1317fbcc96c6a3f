"""The command line: python -m vit train | evaluate | predict | attention."""

import argparse
import json
import platform
import shlex
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from vit import data
from vit.attention import attention_maps, cls_attention
from vit.checkpoint import CONFIG
from vit.model import MODELS, ViT, create_model
from vit.training import TrainConfig, TrainingDiverged, choose_device, evaluate, train

RECIPE = ("batch_size", "lr", "weight_decay", "warmup", "crop", "flip", "seed")  # of TrainConfig
SHAPE = ("patch_size", "embed_dim", "depth", "num_heads", "stem")  # of ViT


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
    out = arguments.out or Path("runs") / f"{arguments.dataset}-{arguments.model}"
    if (out / CONFIG).exists():
        raise ValueError(f"{out} already holds a checkpoint; choose another --out, or delete it first.")
    minutes = 2.0 if arguments.epochs is None and arguments.minutes is None else arguments.minutes
    config = TrainConfig(
        epochs=arguments.epochs,
        minutes=minutes,
        **{name: getattr(arguments, name) for name in RECIPE},
    )
    device = choose_device(arguments.device)
    splits = load(arguments.dataset)
    if arguments.classes:
        splits = data.select_classes(splits, arguments.classes)
    torch.manual_seed(config.seed)
    shape = {"img_size": splits.train.images.shape[-1], "num_classes": len(splits.train.classes)}
    if arguments.model in ("vit_base", "vit_large"):
        shape["patch_size"] = 4  # theirs of 16 would leave 2 x 2 patches of a 32 px image
    shape |= {name: getattr(arguments, name) for name in SHAPE if getattr(arguments, name) is not None}
    model = create_model(arguments.model, **shape).to(device)

    progress, accuracy = None, None
    try:
        with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}{postfix}") as bar:
            for progress in train(model, splits.train, config, splits.validation):
                accuracy = progress.validation_accuracy or accuracy
                bar.update(100 * progress.done - bar.n)
                bar.set_postfix_str(_status(progress, accuracy))
    except KeyboardInterrupt:
        if progress is None:
            raise
        print(f"Stopped after {progress.step} steps; what was learned so far is kept.", file=sys.stderr)
    model.trained = _record(arguments, config, progress, accuracy, device)
    model.save_pretrained(out)
    result = {
        "accuracy": accuracy,
        "n": len(splits.validation),
        "images_per_second": progress.images_per_second,
        "folder": str(out),
    }
    _print(
        arguments.json,
        result,
        f"Validation accuracy {_percent(accuracy)} on {len(splits.validation):,} held-out images; saved in {out}.\n"
        f"Test it with: python -m vit evaluate {shlex.quote(str(out))}",
    )


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


def _record(arguments, config: TrainConfig, progress, accuracy: float | None, device: torch.device) -> dict:
    """What config.json and the card say about the run."""
    return {
        "dataset": arguments.dataset,
        "model": arguments.model,
        "validation_accuracy": accuracy,
        "epochs": round(progress.epoch, 3),
        "steps": progress.step,
        "seconds": round(progress.elapsed, 1),
        "images_per_second": round(progress.images_per_second, 1),
        "command": "python -m vit " + shlex.join(sys.argv[1:]),
        "device": f"{platform.machine()} {device.type}, {torch.get_num_threads()} threads"
        if device.type == "cpu"
        else torch.cuda.get_device_name(device),
        "torch": torch.__version__,
        "config": vars(config),
    }


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
    length.add_argument("--epochs", type=float, help="passes over the training images")
    length.add_argument("--minutes", type=float, help="time to train; 2 if neither is given")
    sub.add_argument("--batch-size", type=int, default=TrainConfig.batch_size, help="images a step")
    sub.add_argument("--lr", type=float, default=TrainConfig.lr, help="peak learning rate of AdamW")
    sub.add_argument("--weight-decay", type=float, default=TrainConfig.weight_decay, help="of matrices and kernels")
    sub.add_argument("--warmup", type=float, default=TrainConfig.warmup, help="share of the run while the rate rises")
    sub.add_argument("--crop", type=int, default=TrainConfig.crop, help="random shift of the images, in pixels")
    sub.add_argument("--no-flip", dest="flip", action="store_false", help="never mirror an image")
    sub.add_argument("--seed", type=int, default=TrainConfig.seed, help="the same seed gives the same losses")
    sub.add_argument("--classes", nargs="+", metavar="CLASS", help="train on these classes only; on all if not given")
    shape = sub.add_argument_group("shape", "what to change of the model; its own if not given")
    shape.add_argument("--patch-size", type=int, help="side of a patch in pixels; it has to divide 32")
    shape.add_argument("--embed-dim", type=int, help="width: values a token; a multiple of the heads")
    shape.add_argument("--depth", type=int, help="layers")
    shape.add_argument("--num-heads", type=int, help="heads a layer")
    shape.add_argument("--stem", choices=["patch", "conv"], help="plain patches, or small convolutions")
    sub.add_argument("--device", **device)
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder to save to; runs/DATASET-MODEL if not given")
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
