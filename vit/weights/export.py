"""A model as one ONNX file, for programs without torch."""

import contextlib
import io
import json
import os
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from vit.model import Classifier, ViT

OPSET = 18
INPUT = (
    "images: (B, channels, img_size, img_size), float32. The center square of a picture, resized to img_size with "
    "bicubic interpolation, as RGB in [0, 1]; of each channel less its mean, divided by its std."
)


class _Outputs(nn.Module):
    """Tensors alone: logits; of a model with attention the blocks' maps in one, and a read-out's map."""

    def __init__(self, model: Classifier):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if not isinstance(self.model, ViT):
            return (self.model(images),)
        logits, maps = self.model(images, return_attention=True)
        depth = len(self.model.blocks)
        return logits, torch.stack(maps[:depth], dim=1), *maps[depth:]


def export_onnx(model: Classifier, file: Path) -> Path:
    """Writes the model in eval mode, with a free batch, and returns the file.

    Outputs: logits (B, num_classes); of a ViT also maps, (B, layers, heads, N, N), and of one with a read-out its map,
    readout, (B, heads, 1, N). The file's metadata has classes, mean, std, img_size and temperature as JSON, and under
    "input" how a picture becomes the input. Raises ModuleNotFoundError without onnx and onnxscript, OSError.
    """
    import onnx
    import onnxscript  # noqa: F401  # what torch's exporter needs, and asks for less clearly

    model = model.cpu().eval()
    channels, size = model.config["in_chans"], model.config["img_size"]
    names = ["logits", "maps", "readout"] if isinstance(model, ViT) else ["logits"]
    if isinstance(model, ViT) and not model.has_readout:
        names.pop()
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its progress and what it says of its own parts
        program = torch.onnx.export(
            _Outputs(model).eval(),
            (torch.zeros(2, channels, size, size),),
            input_names=["images"],
            output_names=names,
            dynamic_shapes=({0: torch.export.Dim("B")},),
            opset_version=OPSET,
            dynamo=True,
        )
    assert program is not None
    proto = program.model_proto
    onnx.helper.set_model_props(
        proto,
        {
            "input": INPUT,
            **{name: json.dumps(getattr(model, name)) for name in ("classes", "mean", "std", "temperature")},
            "img_size": json.dumps(size),
        },
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}")
    onnx.save(proto, str(new))
    os.replace(new, file)  # so that there is the old file or the new one, and none half written
    return file
