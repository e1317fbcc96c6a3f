"""python -m vit benchmark: how fast this trains, beside other libraries' ViTs."""

import argparse
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from vit import benchmark
from vit.cli.flags import DEVICE, JSON, print_report
from vit.cli.inputs import load
from vit.device import choose_device, device_name


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    everybody, ours = list(benchmark.CONTENDERS), ["vit_live", "vit_live_patch"]
    parser.add_argument("--only", nargs="*", default=everybody, choices=everybody, help="whose images/s to measure")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement")
    parser.add_argument("--steps", type=int, default=4, help="of 128 images in one repeat")
    parser.add_argument(
        "--minutes", type=float, nargs="*", default=[], help="train so long and report the test accuracy"
    )
    parser.add_argument(
        "--accuracy-of", nargs="+", default=[*ours, "ours-written-out"], metavar="NAME", help="what to train so long"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of each such training")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for benchmark.json and benchmark.png")
    parser.add_argument("--device", **DEVICE)
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    benchmark.check(arguments.repeats, arguments.steps, arguments.minutes, arguments.accuracy_of, arguments.seeds)
    device = choose_device(arguments.device)
    splits = load("cifar10")
    rates, timed = [], []
    with tqdm(total=0, bar_format="{desc} {elapsed}", leave=False) as bar:
        for rate in benchmark.rates(splits, device, arguments.only, arguments.repeats, arguments.steps):
            rates.append(rate)
            bar.set_description_str(f"{rate.contender}, {rate.row}, {rate.precision}")
        for minutes in arguments.minutes:
            for name in arguments.accuracy_of:
                bar.set_description_str(f"{name}, {minutes:g} minutes, {arguments.seeds} seeds")
                timed.append(benchmark.accuracy_after(name, minutes, arguments.seeds, splits, device))
    report = {
        "command": "python -m vit " + shlex.join(sys.argv[1:]),
        "device": device_name(device),
        "torch": torch.__version__,
        "batch_size": benchmark.BATCH,
    }
    if rates:
        report["rates"] = [{**asdict(rate), "median": rate.median} for rate in rates]
    if timed:
        report["accuracies"] = [asdict(row) for row in timed]
    text = "\n\n".join([f"{report['device']}, torch {torch.__version__}", *benchmark.tables(rates, timed)])
    if arguments.out is not None:
        from vit.figures import rates_figure

        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "benchmark.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        if measured := [rate for rate in rates if rate.rates]:
            rates_figure(measured).savefig(arguments.out / "benchmark.png")
    print_report(arguments.json, report, text)
