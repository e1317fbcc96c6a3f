"""Models outside of this package: ONNX, torch.jit.trace and torch.export, all with a free batch."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from tests.conftest import KINDS, ROOT, of_kind
from vit.cli import main
from vit.variants import cnn
from vit.weights.export import export_onnx

MODELS = {**{kind: lambda kind=kind: of_kind(kind) for kind in KINDS}, "cnn": lambda: cnn().eval()}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


def pictures(n: int) -> torch.Tensor:
    return torch.randn(n, 3, 32, 32, generator=torch.Generator().manual_seed(n))


@pytest.mark.filterwarnings("ignore")  # of what Python decides while tracing, such as the check of the shape
def test_a_traced_and_an_exported_model_take_any_number_of_pictures(model):
    traced = torch.jit.trace(model, pictures(3))
    exported = torch.export.export(model, (pictures(3),), dynamic_shapes=({0: torch.export.Dim("B")},)).module()
    for n in (1, 2, 7):
        expected = model(pictures(n))
        torch.testing.assert_close(traced(pictures(n)), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(exported(pictures(n)), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
def test_an_onnx_file_gives_the_models_logits_and_maps_for_any_number_of_pictures(model, tmp_path):
    session = onnxruntime.InferenceSession(export_onnx(model, tmp_path / "new" / "model.onnx"))
    names = [output.name for output in session.get_outputs()]
    for n in (1, 2, 7):
        answers = dict(zip(names, session.run(None, {"images": pictures(n).numpy()}), strict=True))
        with torch.inference_mode():
            if not model.has_attention:
                expected = {"logits": model(pictures(n))}
            else:
                logits, maps = model(pictures(n), return_attention=True)
                depth = len(model.blocks)
                expected = {"logits": logits, "maps": torch.stack(maps[:depth], 1)}
                expected |= {"readout": maps[-1]} if model.has_readout else {}
        assert answers.keys() == expected.keys()
        for name, answer in answers.items():
            np.testing.assert_allclose(answer, expected[name].numpy(), atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.slow
def test_the_shipped_models_file_says_how_a_picture_becomes_its_input(tmp_path, capsys):
    file = tmp_path / "cifar10.onnx"
    assert main(["export", str(ROOT / "checkpoints" / "cifar10"), "--out", str(file)]) == 0
    assert capsys.readouterr().out.startswith(f"Wrote {file}, ")
    session = onnxruntime.InferenceSession(file)
    told = session.get_modelmeta().custom_metadata_map
    saved = json.loads((ROOT / "checkpoints" / "cifar10" / "config.json").read_text(encoding="utf-8"))
    for name in ("classes", "mean", "std", "temperature"):
        assert json.loads(told[name]) == saved[name]
    assert json.loads(told["img_size"]) == 32 and "bicubic" in told["input"]
    assert session.get_inputs()[0].shape[1:] == [3, 32, 32] and isinstance(session.get_inputs()[0].shape[0], str)


def test_what_exporting_needs_is_named_where_it_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    file = tmp_path / "model.onnx"
    assert main(["export", str(ROOT / "checkpoints" / "shapes"), "--out", str(file)]) == 2 and not file.exists()
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == "export: needs onnxscript, which is not installed; it comes with the extra vit-live[export]"


def test_an_export_that_fails_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    def full(proto, file):
        Path(file).write_bytes(b"half")
        raise OSError("No space left on device")

    file = tmp_path / "model.onnx"
    file.write_bytes(b"whole")
    program = SimpleNamespace(model_proto=onnx.ModelProto())
    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: program)
    monkeypatch.setattr(onnx, "save", full)
    with pytest.raises(OSError, match="No space left"):
        export_onnx(of_kind("class token"), file)
    assert file.read_bytes() == b"whole"
