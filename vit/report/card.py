"""Writes what was measured into a checkpoint's card."""

import json
import os
import shlex
from pathlib import Path

import torch

from vit.data.registry import label
from vit.figures import confusion_figure
from vit.interpret.cover import FILLS
from vit.interpret.describe import SINK, layer_names, percent, prefix_name, worded
from vit.interpret.statistics import TABLE, HeadStatistic
from vit.model import Classifier, Doubt, ViT
from vit.report.calibration import wilson
from vit.report.maps import MAPS
from vit.report.measure import CONFIDENT, RECALL, SEED, parts_of
from vit.weights.card import card
from vit.weights.checkpoint import CARD, CONFIG, WEIGHTS, config_of, write_text

FIGURE = "confusion.png"
NEEDED = {"accuracy", "calibration", "foreign", "speed"}


def write_card(model: Classifier, parts: dict[str, dict], folder: Path, pictures: int, dataset: str) -> None:
    """Puts the parts into the folder's card, the confusion matrix beside it, accuracy and temperature into its config.

    dataset: whose test set it is; named where the model learned from another.
    Nothing is written before NEEDED are there; of the others, the card names those that are not measured yet.

    Each file by a rename, config.json last, so that a crash leaves files of which each is whole.
    """
    if not parts.keys() >= NEEDED:
        return
    model.trained["test_accuracy"] = parts["accuracy"]["accuracy"]
    model.trained.pop("test_dataset", None)
    if dataset != model.trained.get("dataset"):
        model.trained["test_dataset"] = dataset
    model.temperature = parts["calibration"]["temperature"]
    if found := parts.get("doubt"):
        model.doubt = Doubt(found["score"], found["threshold"], found["false_alarm"])
    figure = confusion_figure(torch.tensor(parts["accuracy"]["confusion"]).numpy(), model.classes)
    new = folder / f".{FIGURE}"
    figure.savefig(new, format="png")
    os.replace(new, folder / FIGURE)
    write_text(card(model) + _sections(model, parts, folder, pictures), folder / CARD)
    write_text(json.dumps(config_of(model), indent=2) + "\n", folder / CONFIG)


def _sections(model: Classifier, parts: dict[str, dict], folder: Path, pictures: int) -> str:
    accuracy, foreign, speed = parts["accuracy"], parts["foreign"], parts["speed"]
    low, high = accuracy["interval"]
    tested = model.trained.get("test_dataset")
    whose = "" if tested is None else f" of {label(tested)}"
    recognized = f"**{100 * accuracy['accuracy']:.2f}%** of {accuracy['n']:,} test images{whose} are recognized"
    command = ["python", "-m", "vit", "report", folder.as_posix(), "--pictures", str(pictures)]
    command += [] if tested is None else ["--dataset", tested]
    size = (folder / WEIGHTS).stat().st_size / 1e6
    per_class = "\n".join(
        f"| {name} | {'none shown' if share is None else f'{share:.1%}'} |"
        for name, share in zip(model.classes, accuracy["per_class"], strict=True)
    )
    load = "" if speed["load"] is None else f", load {speed['load']:.1f} on {speed['cores']} cores"
    told = [_corruptions(parts["corruptions"])] if "corruptions" in parts else []
    if isinstance(model, ViT):
        of_maps = {"covering": _covering, "areas": _areas, "heads": _heads}
        told += [tell(model, parts[name]) for name, tell in of_maps.items() if name in parts]
    sections = "".join(f"{section}\n\n" for section in told)
    slower = speed["latency_with_maps"]
    with_maps = "" if slower is None else f"and, with all attention maps, {slower:.1f} ms "
    learning = "a Vision Transformer works" if model.has_attention else "such models learn, and to teach others"
    side, minutes = model.config["img_size"], sum(part["seconds"] for part in parts.values()) / 60
    return f"""
## Measured

{recognized} (95% interval {100 * low:.2f}% to
{100 * high:.2f}%), one view each, from the stored weights ({size:.1f} MB). One image takes {speed["latency"]:.1f} ms
{with_maps}(median of 50). All of it was measured in float32, with
seed {SEED}, in {minutes:.0f} minutes, on {speed["device"]} ({speed["tflops"]:.3f} TFLOP/s in a 1024 x 1024
matmul{load}; torch
{speed["torch"]}) by

```sh
{shlex.join(command)}
```
{_missing(model, parts)}
The numbers are in `report.json`. Intervals are of 95%; those of means hold for any number of images and any
distribution (Waudby-Smith & Ramdas, arXiv:2010.09686).

| class | recognized |
| --- | --- |
{per_class}

![Confusion matrix](confusion.png)

{_calibration(parts["calibration"])}

{sections}## Intended use and limits

For learning how {learning}: to classify with, to look into, to compare one's own training with. Not for
decisions about anything that matters. It knows {side} x {side} pictures, larger ones are cut to a square and shrunk,
and {len(model.classes)} classes, so it gives one of their names to whatever it sees: on the {foreign["name"]}, which
show none of them, its mean confidence is {foreign["confidence"]:.0%}, and it is more than {CONFIDENT:.0%} sure of
{foreign["confident"]:.0%} (of the test images: {foreign["confident_here"]:.0%}).
{_doubt(parts["doubt"]) if "doubt" in parts else ""}"""


def _doubt(found: dict) -> str:
    areas, passed = found["auroc"], found["passed"]
    return f"""
The page hints at "none of these" where the {found["score"]} is below {found["threshold"]:.4g}, chosen on
{found["fitted_on"]} so that {RECALL:.0%} of them pass. On the test images that it was not chosen on, that is a false
alarm for {found["false_alarm"]:.1%}. Against {found["foreign"]} AUROC is {areas["energy"]:.3f} by energy and
{areas["confidence"]:.3f} by the largest probability; where {RECALL:.0%} of the model's own pass, so do
{passed["energy"]:.0%} and {passed["confidence"]:.0%} of them.
"""


def _calibration(found: dict) -> str:
    rows = "\n".join(
        f"| {name} | {100 * of['confidence']:.1f}% | {100 * of['accuracy']:.1f}% | {of['direction']} | "
        f"{100 * of['error']:.2f} points |"
        for name, of in (("as trained", found["before"]), (f"temperature {found['temperature']}", found["after"]))
    )
    return f"""### Is it as sure as it is right?

| | mean confidence | accuracy | so it is | expected calibration error, 15 bins |
| --- | --- | --- | --- | --- |
{rows}

The temperature divides the logits wherever probabilities are shown. It was fitted on {found["fitted_on"]}; the table
scores {found["scored_on"]}."""


def _corruptions(found: dict) -> str:
    n = found["n"]
    rows = "\n".join(
        f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |"
        for name, shares in found["accuracy"].items()
    )
    return f"""### What if the pictures are worse?

| accuracy under corruption | severity 1 | 2 | 3 |
| --- | --- | --- | --- |
{rows}

Corruptions are those of `vit/data/corruptions.py`, of the same {n:,} test images, of which {found["none"]:.1%} are
recognized as they are; a share's 95% interval is at most {100 * (wilson(0.5, n)[1] - 0.5):.1f} points to each side."""


def _missing(model: Classifier, parts: dict[str, dict]) -> str:
    missing = [name for name in parts_of(model) if name not in parts]
    if not missing:
        return ""
    return f"\nNot measured yet: {', '.join(missing)}. The same command goes on where it was stopped.\n"


def _named(model: ViT, name: str) -> str:
    return "read-out" if model.has_readout and name == MAPS[0] else name


def _between(found: list, scale: float, digits: int) -> str:
    """A mean with the ends of its interval, of which each may be unknown."""
    mean, low, high = (None if number is None else f"{scale * number:.{digits}f}" for number in found)
    return "no number" if mean is None else f"{mean} ({low} to {'any' if high is None else high})"


def _covering(model: ViT, found: dict) -> str:
    if not found["n"]:
        return "It gets none of the test images right, so covering patches tells nothing."

    def row(name: str) -> str:
        cells = []
        for fill in found["fills"].values():
            cells.append(_between(fill["drop"].get(name, fill["random"]), 100, 1))
            cells.append(_between(fill["ratio"][name], 1, 1) if name in MAPS else "1")
        return f"| {_named(model, name)} | " + " | ".join(cells) + " |"

    heads = " | ".join(f"{fill}: a fifth costs, points | times a random fifth" for fill in FILLS)
    rows = "\n".join(row(name) for name in (*MAPS, "random"))
    return f"""### Do the maps show what it relies on?

| map | {heads} |
| --- |{" --- |" * 2 * len(FILLS)}
{rows}

What the true class's probability loses when the brightest fifth of a map's patches is covered, with the data's mean
color or with the picture blurred; over {found["n"]:,} test images that the model gets right. A random fifth is the mean
of 5 draws, in the same places for each image."""


def _areas(model: ViT, found: dict) -> str:
    def row(name: str) -> str:
        ways = [found["fills"][fill][way][name] for fill in FILLS for way in ("deletion", "insertion")]
        return f"| {_named(model, name)} | " + " | ".join(_between(of, 1, 3) for of in ways) + " |"

    heads = " | ".join(f"{fill}: deletion | insertion" for fill in FILLS)
    rows = "\n".join(row(name) for name in (*MAPS, "random"))
    return f"""### As patches are deleted and inserted

| map | {heads} |
| --- |{" --- |" * 2 * len(FILLS)}
{rows}

Areas under the predicted class's probability as patches are deleted (low is good) and inserted (high is good),
brightest first; over {found["n"]:,} test images."""


def _heads(model: ViT, found: dict) -> str:
    """A row for each statistic of the table that has a number, a column for each layer."""
    layers = [name.lower() for name in layer_names(len(found["sinks"]), model.has_readout)]

    def told(row: HeadStatistic, value: float | None) -> str:
        return "–" if value is None else percent(value) if row.unit == "%" else f"{value:.{row.digits}f}"

    rows = []
    for row in TABLE:
        values = found["values"][row.name]
        if any(value is not None for layer in values for value in layer):
            means = [None if None in layer else sum(layer) / len(layer) for layer in values]
            title = worded(row.title.replace("the object", found["region"]), model.has_readout)
            title += "" if row.unit in ("", "%") else f", {row.unit}"
            even = told(row, found["uniform"][row.name])
            cells = [title, even, *(told(row, mean) for mean in means), worded(row.meaning, model.has_readout)]
            rows.append(f"| {' | '.join(cells)} |")
    shares = " | ".join(f"{share:.0%}" for share in found["entropy_share"])
    sinks = " | ".join(", ".join(str(head + 1) for head in heads) or "none" for heads in found["sinks"])
    prefix = prefix_name(model.num_prefix_tokens, model.num_class_tokens)
    count, of, sunk, said = sum(map(len, found["sinks"])), len(layers) * model.num_heads, "", ""
    if model.num_prefix_tokens:  # only they can be sinks
        meaning = f"Heads that give {prefix} more than {SINK:.0%}: they hardly look at the picture"
        sunk, said = f"\n| Sinks | none | {sinks} | {meaning} |", f" Sinks: {count} of {of} heads."
    return f"""### Where its heads look

| mean of heads | even attention | {" | ".join(layers)} | what it is |
| --- | --- |{" --- |" * len(layers)} --- |
{chr(10).join(rows)}
| Entropy, as a share | 100% | {shares} | Of even attention's |{sunk}

Over {found["n"]:,} test images.{said} "–": no row that something reads has this number."""
