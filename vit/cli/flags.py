"""What several commands share: flags of one meaning, and how their reports are printed."""

import argparse
import json
from collections.abc import Callable

Command = Callable[[str, Callable[[argparse.Namespace], None], str], argparse.ArgumentParser]  # name, run, summary

JSON = {"action": "store_true", "help": "print one JSON object instead of text"}
DEVICE = {"default": "auto", "choices": ["auto", "cpu", "cuda"], "help": "auto takes the GPU where there is one"}
CHECKPOINT = "a checkpoint folder, or OWNER/NAME on the Hub"


def percent(share: float | None) -> str:
    return "not measured" if share is None else f"{100 * share:.2f}%"


def print_report(as_json: bool, report: dict, text: str) -> None:
    print(json.dumps(report) if as_json else text)
