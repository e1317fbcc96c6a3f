"""What several commands share: flags of one meaning, and how their reports are printed."""

import argparse
import json
from argparse import SUPPRESS
from collections.abc import Mapping

from vit.training.setting import Setting

JSON = {"action": "store_true", "help": "print one JSON object instead of text"}
DEVICE = {
    "default": "auto",
    "choices": ["auto", "cpu", "cuda", "mps", "xpu"],
    "help": "auto takes the GPU where there is one",
}
CHECKPOINT = "a checkpoint folder, or OWNER/NAME on the Hub"


def add_flags(parser: argparse.ArgumentParser, settings: Mapping[str, Setting], defaults: Mapping[str, object]) -> None:
    """A flag for each setting, under its field's name, and its former spellings, which the help leaves out.

    defaults are said, not set: a flag that is left out is not among the parsed arguments.
    """
    for name, setting in settings.items():
        switch = setting.kind is bool
        kind = {"action": argparse.BooleanOptionalAction} if switch else {"type": setting.kind}
        more = {"dest": name, "default": SUPPRESS, **kind}
        default = "" if defaults.get(name) is None else f" (default: {defaults[name]})"
        parser.add_argument(setting.spelled(name), help=f"{setting.help}{default}", **more)
        for former in setting.former:
            parser.add_argument(former, **more, help=SUPPRESS)


def percent(share: float | None) -> str:
    return "not measured" if share is None else f"{100 * share:.2f}%"


def print_report(as_json: bool, report: dict, text: str) -> None:
    print(json.dumps(report) if as_json else text)
