"""Writes what was measured into a checkpoint's card."""

import json
import os
from pathlib import Path

import torch

from vit.figures import confusion_figure
from vit.interpret.cover import FILLS
from vit.interpret.describe import layer_names
from vit.model import ViT
from vit.report.measure import CONFIDENT, MAPS, SEED, SINK
from vit.weights.card import card
from vit.weights.checkpoint import CARD, CONFIG, WEIGHTS, config_of, write_text

FIGURE = "confusion.png"


def write_card(model: ViT, parts: dict[str, dict], folder: Path) -> None:
    """Puts the parts into the folder's card, the confusion matrix beside it, accuracy and temperature into its config.

    Each file by a rename, config.json last, so that a crash leaves files of which each is whole.
    """
    model.trained["test_accuracy"] = parts["accuracy"]["accuracy"]
    model.temperature = parts["calibration"]["temperature"]
    figure = confusion_figure(torch.tensor(parts["accuracy"]["confusion"]).numpy(), model.classes)
    new = folder / f".{FIGURE}"
    figure.savefig(new, format="png")
    os.replace(new, folder / FIGURE)
    write_text(card(model) + _sections(model, parts, folder), folder / CARD)
    write_text(json.dumps(config_of(model), indent=2) + "\n", folder / CONFIG)


def _sections(model: ViT, parts: dict[str, dict], folder: Path) -> str:
    accuracy, foreign, speed = parts["accuracy"], parts["foreign"], parts["speed"]
    low, high = accuracy["interval"]
    size = (folder / WEIGHTS).stat().st_size / 1e6
    per_class = "\n".join(
        f"| {name} | {'none shown' if share != share else f'{share:.1%}'} |"
        for name, share in zip(model.classes, accuracy["per_class"], strict=True)
    )
    corrupted = "\n".join(
        f"| {name} | " + " | ".join(f"{share:.1%}" for share in shares) + " |"
        for name, shares in parts["corruptions"]["accuracy"].items()
    )
    side = model.config["img_size"]
    return f"""
## Measured

**{100 * accuracy["accuracy"]:.2f}%** of {accuracy["n"]:,} test images are recognised (95% interval {100 * low:.2f}% to
{100 * high:.2f}%), one view each, from the stored weights ({size:.1f} MB). The mean over an image and its mirror
image gives {100 * foreign["with_flips"]:.2f}%. One image takes {speed["latency"]:.1f} ms, with all attention maps
{speed["latency_with_maps"]:.1f} ms (median of 50). All of it was measured in float32, with seed {SEED}, on
{speed["device"]} ({speed["tflops"]:.3f} TFLOP/s in a 1024 x 1024 matmul; torch
{speed["torch"]}) by

```sh
python -m vit report {folder.as_posix()} --pictures {parts["covering"]["n"]}
```

The numbers are in `report.json`.

| class | recognised |
| --- | --- |
{per_class}

![Confusion matrix](confusion.png)

{_calibration(parts["calibration"])}

| accuracy under corruption | severity 1 | 2 | 3 |
| --- | --- | --- | --- |
{corrupted}

Corruptions are those of `vit/data/corruptions.py`, computed on {parts["corruptions"]["n"]:,} of the test images.

{_covering(model, parts["covering"])}

{_heads(model, parts["heads"])}

## Intended use and limits

For learning how a Vision Transformer works: to classify with, to look into, to compare one's own training with. Not for
decisions about anything that matters. It knows {side} x {side} pictures, larger ones are cut to a square and shrunk,
and {len(model.classes)} classes, so it gives one of their names to whatever it sees: on the {foreign["name"]}, which
show none of them, its mean confidence is {foreign["confidence"]:.0%}, and it is more than {CONFIDENT:.0%} sure of
{foreign["confident"]:.0%} (of the test images: {foreign["confident_here"]:.0%}).
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


def _covering(model: ViT, found: dict) -> str:
    def row(i: int) -> str:
        cells = []
        for fill in FILLS:
            cost, deletion, insertion = (found[fill][name][i] for name in ("cost", "deletion", "insertion"))
            cells.append(f"{100 * cost[0]:.1f} ± {100 * cost[1]:.1f}")
            cells += [f"{mean:.3f} ± {spread:.3f}" for mean, spread in (deletion, insertion)]
        name = "read-out" if model.has_readout and not i else MAPS[i]
        return f"| {name} | " + " | ".join(cells) + " |"

    heads = " | ".join(f"{fill}: a fifth costs | deletion | insertion" for fill in FILLS)
    rows = "\n".join(row(i) for i in range(len(MAPS)))
    return f"""### Do the maps show what it relies on?

| map | {heads} |
| --- |{" --- |" * 3 * len(FILLS)}
{rows}

Over {found["n"]} test images: points of the predicted class's probability that are lost when the brightest fifth of a
map's patches is covered, and areas under that probability as patches are deleted (low is good) and inserted (high is
good), brightest first. Covered with the data's mean color or with the picture blurred; ± is 1.96 standard
errors over pictures, about a 95% interval from some hundred pictures on. A random fifth is the mean of 5 draws, in the
same places for each picture."""


def _heads(model: ViT, found: dict) -> str:
    names = [name.removeprefix("Layer ") for name in layer_names(model.num_maps, model.has_readout)]
    rows = "\n".join(
        f"| {names[layer]} | {sum(entropy) / len(entropy):.2f} | {sum(prefix) / len(prefix):.0%} | "
        f"{', '.join(str(h + 1) for h, share in enumerate(prefix) if share > SINK) or 'none'} |"
        for layer, (entropy, prefix) in enumerate(zip(found["entropy"], found["prefix"], strict=True))
    )
    tokens = "the class token itself" if model.num_prefix_tokens == 1 == model.num_class_tokens else "the prefix tokens"
    whose = "the patches' mean attention and the read-out's" if model.has_readout else "the class token's attention"
    return f"""### Where its heads look

| layer | entropy (nats) | to {tokens} | sinks |
| --- | --- | --- | --- |
{rows}

Of {whose}, mean over {found["n"]} test images and the layer's heads. Sinks are heads that give
{tokens} more than {SINK:.0%}: they hardly look at the picture."""
