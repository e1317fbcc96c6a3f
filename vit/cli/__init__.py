"""The command line, a module a command: vit train | evaluate | report | predict | attention | benchmark."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from vit.data import DatasetUnavailable
from vit.training import TrainingDiverged

PROGRAM = "vit" if Path(sys.argv[0]).stem == "vit" else "python -m vit"  # as installed, or from a clone
COMMANDS = ("train", "evaluate", "report", "benchmark", "predict", "attention")


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit status; a mistake of the caller's is one line on stderr, status 2."""
    arguments = build_parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, DatasetUnavailable, TrainingDiverged) as error:
        print(f"{arguments.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        print(f"{arguments.command}: {_lacking(error)}", file=sys.stderr)
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
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        sub.set_defaults(run=run)
        return sub

    for name in COMMANDS:
        try:
            import_module(f"vit.cli.{name}").add(command)
        except ModuleNotFoundError as error:  # the package without its extras
            # No flag is a flag to this one: whatever they are, what is lacking is the answer.
            sub = commands.add_parser(name, help=_lacking(error), add_help=False, prefix_chars="\0")
            sub.add_argument("flags", nargs="*")
            sub.set_defaults(run=lambda _, name=name: import_module(f"vit.cli.{name}"))
    return parser


def _lacking(error: ModuleNotFoundError) -> str:
    return f"needs {error.name}, which is not installed; it comes with the extra vit-live[data]"
