"""python -m vit benchmark: how fast this trains, beside other libraries' ViTs, and where a step's time goes."""

import argparse
import itertools
import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from vit.benchmark import machine, rates, tables
from vit.benchmark.answers import answers
from vit.benchmark.profile import profile
from vit.cli.flags import DEVICE, JSON, print_report
from vit.cli.inputs import load
from vit.data import Splits
from vit.device import choose_device
from vit.precision import CHOICES, check
from vit.training.config import TrainConfig
from vit.variants import LARGE_IMAGES, MODELS, create_model
from vit.weights.checkpoint import write_text

PROFILED = 20  # steps
ALONE = {  # flags beside which nothing else is done, with those that are of use there
    "compare": set[str](),
    "profile": {"precision", "device", "out"},
    "answers": {"repeats", "device", "out"},
}
TRAINED = {"accuracy_of", "precision", "seeds"}  # of use where something is trained


def add(parser: argparse.ArgumentParser) -> None:
    """Names the flags."""
    everybody = list(rates.CONTENDERS)
    trained = [rates.PRESET, "vit_live", "vit_live_patch", "tutorial"]
    parser.add_argument("--only", nargs="*", default=everybody, choices=everybody, help="whose images/s to measure")
    parser.add_argument("--repeats", type=int, default=5, help="of each measurement")
    parser.add_argument("--steps", type=int, default=4, help="of 128 images in one repeat")
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[], help="train so long and report the test accuracy"
    )
    parser.add_argument(
        "--accuracy-of",
        nargs="+",
        default=trained,
        metavar="NAME",
        help=f"what to train so long: a model of ours or others; {rates.PRESET} is vit_live as it suits this machine",
    )
    parser.add_argument("--precision", default="auto", choices=CHOICES, help="in which ours are trained")
    parser.add_argument("--seeds", type=int, default=3, help="of each such training")
    parser.add_argument(
        "--profile",
        nargs="?",
        const="vit_live",
        choices=[name for name in MODELS if name not in LARGE_IMAGES],
        metavar="MODEL",
        help="where the time of a model's training step goes (vit_live if none is named), and nothing else",
    )
    parser.add_argument(
        "--answers",
        action="store_true",
        help="how fast one image with all maps, and a whole test set, are answered, and nothing else",
    )
    parser.add_argument(
        "--compare", type=Path, nargs="+", metavar="FILE", help="set benchmark.json of one machine side by side"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for benchmark.json and benchmark.png")
    parser.add_argument("--device", **DEVICE)
    parser.add_argument("--json", **JSON)


def run(arguments: argparse.Namespace) -> None:
    _check_idle_flags(arguments)
    if arguments.compare:
        text = tables.compared(arguments.compare)
        print_report(arguments.json, {"comparison": text}, text)
        return
    rates.check(arguments.repeats, arguments.steps, arguments.minutes, arguments.accuracy_of, arguments.seeds)
    if arguments.out is not None:  # before what takes hours
        arguments.out.mkdir(parents=True, exist_ok=True)
    device = choose_device(arguments.device)
    check(device, arguments.precision)
    about = machine.describe(device)
    report = {"command": "python -m vit " + shlex.join(sys.argv[1:]), "machine": asdict(about)}
    splits = load("cifar10")
    if arguments.profile:
        config = TrainConfig(epochs=1, precision=arguments.precision)
        model = create_model(arguments.profile).to(device)
        found = profile(arguments.profile, model, config, splits.train, PROFILED)
        _tell(arguments, {**report, "profile": asdict(found)}, f"{about}\n\n{found}")
        return
    if arguments.answers:
        found = answers(splits.test, device, arguments.repeats)
        _tell(arguments, {**report, "answers": asdict(found)}, f"{about}\n\n{found}")
        return
    _measure(arguments, device, splits, report, about)


def _check_idle_flags(arguments: argparse.Namespace) -> None:
    """Raises ValueError where a flag would do nothing."""
    parser = argparse.ArgumentParser()
    add(parser)
    usual = vars(parser.parse_args([]))
    chosen = [name for name in usual if name != "json" and getattr(arguments, name) != usual[name]]
    alone = next((name for name in ALONE if name in chosen), None)
    if alone:
        idle, where = [name for name in chosen if name not in {alone, *ALONE[alone]}], f"beside --{alone}"
    else:
        idle, where = [name for name in chosen if name in TRAINED and not arguments.minutes], "without --minutes"
    if idle:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
        remedy = "leave out one of them" if alone else "say how long to train, or leave it out"
        raise ValueError(f"{flags} would do nothing {where}; {remedy}.")


def _measure(
    arguments: argparse.Namespace, device: torch.device, splits: Splits, report: dict, about: machine.Machine
) -> None:
    """Rates, then accuracies; what is known is written after each, as the next may take hours, or fail."""
    measured, timed = [], []
    report["batch_size"] = rates.BATCH
    with tqdm(total=0, bar_format="{desc} {elapsed}", leave=False) as bar:
        for rate in rates.rates(splits, device, arguments.only, arguments.repeats, arguments.steps):
            measured.append(rate)
            bar.set_description_str(f"{rate.contender}, {rate.row}, {rate.precision}")
        if measured:
            report["rates"] = [{**asdict(rate), "median": rate.median} for rate in measured]
            _write(arguments, report)
        for minutes, name in itertools.product(arguments.minutes, arguments.accuracy_of):
            bar.set_description_str(f"{name}, {minutes:g} minutes, {arguments.seeds} seeds")
            timed.append(rates.accuracy_after(name, minutes, arguments.seeds, splits, device, arguments.precision))
            report["accuracies"] = [asdict(row) for row in timed]
            _write(arguments, report)
    _tell(arguments, report, "\n\n".join([str(about), *tables.tables(measured, timed)]))
    drawn = [rate for rate in measured if rate.rates]
    if arguments.out is not None and drawn:
        from vit.figures import rates_figure

        rates_figure(drawn).savefig(arguments.out / "benchmark.png")


def _tell(arguments: argparse.Namespace, report: dict, text: str) -> None:
    _write(arguments, report)
    print_report(arguments.json, report, text)


def _write(arguments: argparse.Namespace, report: dict) -> None:
    """Into the folder of --out, where there is one."""
    if arguments.out is not None:
        write_text(json.dumps(report, indent=2) + "\n", arguments.out / "benchmark.json")
