"""python -m vit deploy: this clone as a Space of one's own."""

import argparse

from vit.cli.flags import JSON, print_report
from vit.environment import CLONE
from vit.weights.hub import deploy


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    parser.add_argument("--repo-id", required=True, metavar="NAME", help="of the Space: NAME, or OWNER/NAME")
    parser.add_argument("--public", action="store_true", help="show a new Space to everybody")
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    address = deploy(CLONE, arguments.repo_id, private=not arguments.public)
    print_report(arguments.json, {"address": address}, f"Uploaded to {address}, which builds itself now.")
