"""How large a model may be that a visitor brings: a few weights can ask for pictures and maps that no server has."""

import math
from collections.abc import Iterator

import torch

from vit.weights import description, pretrained
from vit.weights.description import Description
from vit.weights.fetch import Files

SIDE, TOKENS, REGISTERS, HEADS = 1024, 5_000, 64, 400  # HEADS: of all layers together
WIDEST = 64_000_000  # numbers that one layer makes of one picture: 256 MB


def check(name: str, files: Files) -> None:
    """Raises ValueError for a model that is larger. Of the weights it reads the shapes alone."""
    described = _described(name, files)
    for came, most, what in _found(described) if described else ():
        if came > most:
            raise ValueError(
                f"{name} has {came:,} {what}, here {most:,} are the most; take a smaller model, or run the app on a "
                "machine of your own."
            )


def _found(described: Description) -> Iterator[tuple[int, int, str]]:
    """What there is, the most there may be, and of what; each is known to be small once the next is asked for."""
    absent = {"patch_size": 1, "embed_dim": 0, "depth": 0, "num_heads": 0, "mlp_ratio": 0, "reg_tokens": 0, "stem": ""}
    given = {**absent, "width": 0, **described.arguments}
    side, width = given["img_size"], given["embed_dim"]
    yield side, SIDE, "pixels a side"
    yield given["reg_tokens"], REGISTERS, "registers"
    yield given["depth"] * given["num_heads"], HEADS, "heads in all layers"
    tokens = (side // max(1, given["patch_size"])) ** 2 + given["reg_tokens"] if given["depth"] else 0
    yield tokens, TOKENS, "tokens"
    # A CNN and a conv stem begin with a quarter of their width, at all pixels; a block is widest in its MLP or qkv.
    pixels = side**2 * max(given["in_chans"], given["width"] // 4, width // 4 if given["stem"] == "conv" else 0)
    yield max(pixels, tokens * width * max(3, math.ceil(given["mlp_ratio"]))), WIDEST, "numbers in its widest layer"


def _described(name: str, files: Files) -> Description | None:
    """What from_pretrained will make of the files; None where it will refuse them, in words of its own."""
    from safetensors import SafetensorError, safe_open

    try:
        config, preprocessor = (file and description.read(file) for file in (files.config, files.preprocessor))
        if config is not None and not pretrained.is_foreign(config):
            return description.parse(config)
        with safe_open(files.weights, framework="pt") as opened:
            shapes = {tensor: opened.get_slice(tensor).get_shape() for tensor in opened.keys()}  # noqa: SIM118
        tensors = {tensor: torch.empty(shape, device="meta") for tensor, shape in shapes.items()}
        return pretrained.describe(config, preprocessor, tensors, name)[0]
    except (OSError, ValueError, SafetensorError):
        return None
