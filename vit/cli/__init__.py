"""The command line, a module a command: vit train, evaluate, report, predict, attention and the others below."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from vit import environment
from vit.data import DatasetUnavailable
from vit.device import lacks_memory
from vit.training import TrainingDiverged

PROGRAM = "vit" if Path(sys.argv[0]).stem == "vit" else "python -m vit"  # as installed, or from a clone
COMMANDS = {  # what each does; the module of its name has its flags
    "train": "train a model from scratch and save it with its validation accuracy",
    "evaluate": "accuracy on the test images: overall, per class, confusion matrix",
    "report": "measure a checkpoint on its test set and write its card; go on where it was stopped",
    "pictures": "choose a dozen test pictures that show a checkpoint well, by rule, for the page",
    "export": "write a checkpoint as ONNX, for programs without torch",
    "deploy": "upload this clone as a Space of your own",
    "convert": "save a ViT of timm, transformers or torchvision as one of ours",
    "benchmark": "how fast this trains on CIFAR-10, beside other libraries' ViTs",
    "few": "what a trained parent is worth with few pictures: three ways to learn them, over some seeds",
    "predict": "name what is in your own images: the five likeliest classes of each",
    "attention": "draw or save attention: input, map, overlay",
}


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit status; a mistake of the caller's is one line on stderr, status 2."""
    environment.settle()
    arguments = build_parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, DatasetUnavailable, TrainingDiverged) as error:
        print(f"{arguments.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"{arguments.command}: {_lacking(error)}", file=sys.stderr)
        return 2
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        remedy = "take a smaller --batch-size, model or picture, or end other programs"
        print(f"{arguments.command}: there is not enough memory for this; {remedy}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Train a Vision Transformer from scratch, test it, use it, and look at its attention.",
        epilog=f"Start with: {PROGRAM} train --dataset shapes --minutes 1 --out runs/first",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Command)
    for name, summary in COMMANDS.items():
        commands.add_parser(name, help=summary, description=summary, formatter_class=Help).set_defaults(command=name)
    return parser


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Tells each default that says something."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


class _Command(argparse.ArgumentParser):
    """A command, whose module is loaded, and names its flags, once it is the one that was asked for."""

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[override]  # what a parser asks of its parts
        if self.get_default("run") is None:
            name = self.get_default("command")
            try:
                module = import_module(f"vit.cli.{name}")
            except ModuleNotFoundError as error:  # the package without its extras
                self.exit(2, f"{name}: {_lacking(error)}\n")
            module.add(self)
            self.set_defaults(run=module.run)
        return super().parse_known_args(args, namespace)


def _lacking(error: ModuleNotFoundError) -> str:
    extra = "export" if error.name in ("onnx", "onnxscript") else "data"
    return f"needs {error.name}, which is not installed; it comes with the extra vit-live[{extra}]"
