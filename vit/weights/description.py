"""What a checkpoint's config.json says of a model, checked before anything is built of it."""

import inspect
import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as short
from typing import Any

from vit.model import Classifier, Doubt
from vit.variants import KINDS
from vit.weights.fetch import MAX_JSON

KEYS = ("arguments", "classes", "mean", "std", "trained")
SMALLEST_TEMPERATURE = 0.01
LATER = ("global_pool", "reg_tokens", "init_values")  # arguments that older files do not have
FORMER = {"weight_init": "trunc_normal"}  # those that are gone, and what means nothing to miss
MOST_CLASSES = 100_000
LARGEST = 1e300  # far beyond any sensible figure; NaN and infinity fail the comparison with it


@dataclass(frozen=True)
class Description:
    """kind: the model's class. arguments: its constructor's. mean, std: a value a channel.

    trained: how, as far as is known. temperature: what logits are divided by; 1 where none was fitted, as in files from
    before there was one. doubt: when to say that a picture is of none of the classes; None where nobody has fitted it.
    """

    kind: type[Classifier]
    arguments: dict
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    trained: dict
    temperature: float
    doubt: Doubt | None


def read(file: Path) -> dict:
    """A JSON object. Raises OSError, or ValueError where it is none, or of more than MAX_JSON."""
    if (size := file.stat().st_size) > MAX_JSON:
        raise ValueError(f"{file.name} has {size / 1e6:,.1f} MB, expected {MAX_JSON / 1e6:g} at most")
    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error
    _demand(isinstance(saved, dict), "the file", "a JSON object", saved)
    return saved


def parse(saved: dict) -> Description:
    """Every key is there and of its kind. Raises ValueError that names the key, what came and was due."""
    if "arguments" not in saved and not isinstance(saved.get("architecture"), str):  # as older files call them
        saved = {("arguments" if key == "architecture" else key): value for key, value in saved.items()}
    for key in KEYS:
        _demand(key in saved, repr(key), f"{', '.join(KEYS)} to be there", list(saved))
    named = saved.get("kind", "vit")  # as in files from before there were others
    _demand(isinstance(named, str) and named in KINDS, "'kind'", " or ".join(KINDS), named)
    arguments = _arguments(KINDS[named], saved["arguments"])
    classes = _classes(saved["classes"], arguments["num_classes"])
    channels, positive = arguments["in_chans"], all(_number(s) and s > 0 for s in _list(saved["std"]))
    for key in ("mean", "std"):
        values = _list(saved[key])
        fits = len(values) == channels and all(map(_number, values)) and (key == "mean" or positive)
        kind = "finite numbers" if key == "mean" else "positive finite numbers"
        _demand(fits, repr(key), f"{channels} {kind}, one a channel", saved[key])
    temperature = saved.get("temperature", 1.0)
    fits = _number(temperature) and SMALLEST_TEMPERATURE <= temperature <= 1 / SMALLEST_TEMPERATURE
    _demand(fits, "'temperature'", f"{SMALLEST_TEMPERATURE} to {1 / SMALLEST_TEMPERATURE:g}", temperature)
    trained, doubt = _trained(saved["trained"]), _doubt(saved.get("doubt"))
    mean, std = tuple(saved["mean"]), tuple(saved["std"])
    return Description(KINDS[named], arguments, classes, mean, std, trained, float(temperature), doubt)


def _doubt(given: Any) -> Doubt | None:
    if given is None:
        return None
    expected = "an object of 'score' (energy or confidence), 'threshold' and 'false_alarm', a share"
    fits = isinstance(given, dict) and given.keys() == set(Doubt._fields)
    fits = fits and given["score"] in ("energy", "confidence")
    fits = fits and _number(given["threshold"]) and _number(given["false_alarm"]) and 0 <= given["false_alarm"] <= 1
    _demand(fits, "'doubt'", expected, given)
    return Doubt(**given)


def _arguments(kind: type[Classifier], given: Any) -> dict:
    _demand(isinstance(given, dict), "'arguments'", "an object of the constructor's arguments", given)
    known = inspect.signature(kind).parameters
    foreign = [name for name in given if name not in known]
    if off := [name for name in foreign if not given[name] or given[name] == FORMER.get(name)]:
        warnings.warn(f"left out of 'arguments', as it is off: {short(off)}", stacklevel=3)
        given = {name: value for name, value in given.items() if name not in off}
    given = {**{name: known[name].default for name in LATER if name in known}, **given}
    unknown, missing = [repr(k) for k in given if k not in known], [repr(k) for k in known if k not in given]
    if unknown or missing:
        wrong = (
            f"it has {short(unknown)}, which {kind.__name__} doesn't know" if unknown else f"it lacks {short(missing)}"
        )
        raise ValueError(f"'arguments' doesn't fit: {wrong}")
    for name, argument in known.items():
        due, value = argument.annotation, given[name]
        fits = _number(value) if due is float else type(value) is due
        _demand(fits, f"{name!r} of 'arguments'", f"a finite {due.__name__}", value)
    return given


def _classes(given: Any, outputs: int) -> tuple[str, ...]:
    _demand(outputs <= MOST_CLASSES, "'num_classes' of 'arguments'", f"{MOST_CLASSES:,} at most", outputs)
    _demand(all(isinstance(name, str) for name in _list(given, [None])), "'classes'", "a list of strings", given)
    if given and len(given) != outputs:
        raise ValueError(f"'classes' has {len(given)} classes, and {outputs} outputs need {outputs} or none")
    return tuple(given) or tuple(f"class {i}" for i in range(outputs))


def _trained(given: Any) -> dict:
    _demand(isinstance(given, dict), "'trained'", "an object", given)
    for name in ("dataset", "model"):
        _demand(isinstance(given.get(name, ""), str), f"{name!r} of 'trained'", "a string", given.get(name))
    size = given.get("validation_size")
    fits = size is None or (type(size) is int and size >= 0)
    _demand(fits, "'validation_size' of 'trained'", "a number of images, or null for a tenth", size)
    for name in ("test_accuracy", "validation_accuracy"):
        value = given.get(name)
        _demand(value is None or (_number(value) and 0 <= value <= 1), f"{name!r} of 'trained'", "0 to 1", value)
    return given


def _number(value: Any) -> bool:
    return type(value) in (int, float) and -LARGEST < value < LARGEST


def _list(value: object, otherwise: list | None = None) -> list:
    return value if isinstance(value, list) else otherwise or []


def _demand(fits: bool, what: str, expected: str, came: object) -> None:
    if not fits:
        raise ValueError(f"{what} should be {expected}, got {short(came)}")
