"""python -m vit export: a checkpoint as ONNX, for programs without torch."""

import argparse
from pathlib import Path

from vit.cli.flags import CHECKPOINT, JSON, print_report
from vit.model import Classifier
from vit.weights.export import export_onnx


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    parser.add_argument("folder", help=CHECKPOINT)
    where = "model.onnx in the checkpoint's folder if not given, or here for a model of the Hub"
    parser.add_argument("--out", type=Path, metavar="FILE", help=where)
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    model, folder = Classifier.from_pretrained(arguments.folder), Path(arguments.folder)
    file = export_onnx(model, arguments.out or (folder if folder.is_dir() else Path()) / "model.onnx")
    megabytes = file.stat().st_size / 1e6
    print_report(arguments.json, {"file": str(file), "megabytes": megabytes}, f"Wrote {file}, {megabytes:.1f} MB.")
