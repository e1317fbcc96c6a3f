"""The command line, a module a command: python -m vit train | evaluate | predict | attention | benchmark."""

import argparse
import sys

from vit.cli import attention, benchmark, evaluate, predict, train
from vit.data import DatasetUnavailable
from vit.training import TrainingDiverged


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit status; a mistake of the caller's is one line on stderr, status 2."""
    arguments = build_parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except (ValueError, OSError, DatasetUnavailable, TrainingDiverged) as error:
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

    def command(name: str, run, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        sub.set_defaults(run=run)
        return sub

    for module in (train, evaluate, benchmark, predict, attention):
        module.add(command)
    return parser
