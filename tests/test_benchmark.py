"""The benchmark: everybody trains the same thing, every row is measured, a missing library is a row that says so."""

import json
import sys
from pathlib import Path

import pytest
import torch

from vit import data
from vit.baselines import CONTENDERS, usual_batches
from vit.benchmark import machine, rates, tables
from vit.benchmark.answers import Answers
from vit.benchmark.rates import Rate, TimedAccuracy
from vit.cli import main
from vit.data import Splits
from vit.training import TrainingDiverged
from vit.training.config import TrainConfig
from vit.training.presets import Preset, shape_of
from vit.variants import vit_live


@pytest.fixture
def small(monkeypatch, shapes) -> Splits:
    """Few pictures in small batches: the same code in seconds."""
    monkeypatch.setattr(rates, "BATCH", 2)
    monkeypatch.setattr(rates, "WARMUP", 1)
    monkeypatch.setattr(rates, "BATCHES_A_STEP", 1)
    part = Splits(*(split.take(slice(40)) for split in shapes))
    monkeypatch.setattr("vit.cli.benchmark.load", lambda name: part)
    return part


@pytest.mark.parametrize("name", list(CONTENDERS))
def test_everybody_has_the_same_shape(name):
    model = CONTENDERS[name]()
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    # vit-pytorch normalizes its patches too and has no bias in qkv
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(5_362_762, rel=0.002)


def test_the_tutorials_model_is_ours_in_another_structure():
    ours, tutorial = CONTENDERS["ours"](), CONTENDERS["tutorial"]()
    tutorial.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 32, 32)
    norms = [module for module in tutorial.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert {norm.eps for norm in norms} == {1e-5} and len(norms) == 25
    for norm in norms:
        norm.eps = 1e-6  # as ours
    logits, maps = tutorial.network(images)
    torch.testing.assert_close(logits, ours(images), atol=1e-5, rtol=0)
    assert {tuple(attn.shape) for attn in maps} == {(2, 3, 65, 65)} and len(maps) == 12
    torch.testing.assert_close(maps[-1], ours.network(images, return_attention=True)[1][-1], atol=1e-5, rtol=0)


def test_the_usual_loop_sees_augmented_normalized_pictures_of_the_set(shapes):
    part = shapes.train.take(slice(64))
    images, labels = next(usual_batches(part, 64))
    assert sorted(labels.tolist()) == sorted(part.labels.tolist())
    assert images.dtype == torch.float32
    mean, std = (torch.tensor(values)[:, None, None] for values in (part.mean, part.std))
    pixels = images * std + mean
    assert pixels.min() >= -1e-5 and pixels.max() <= 1 + 1e-5
    assert pixels.mean() == pytest.approx(part.images.float().mean().item() / 255, abs=0.05)
    originals = {image.numpy().tobytes() for image in data.normalize(part.images, part.mean, part.std)}
    assert sum(image.numpy().tobytes() in originals for image in images) < 8


@pytest.mark.slow
def test_benchmark_measures_every_row_and_writes_table_json_and_figure(small, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.models.vision_transformer", None)
    choice = ["--only", "ours", "timm", "--repeats", "2", "--steps", "1"]
    timed = ["--minutes", "0.005", "--accuracy-of", "vit_live", "tutorial", "--seeds", "2"]
    assert main(["benchmark", *choice, *timed, "--out", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "benchmark.json").read_text())
    assert (tmp_path / "benchmark.png").read_bytes().startswith(b"\x89PNG")
    ours = [row for row in report["rates"] if row["contender"] == "ours" and row["rates"]]
    assert {row["row"] for row in ours} == {"compute", "usual loop", "our loop", "our recipe"}
    assert all(len(row["rates"]) == 2 and min(row["rates"]) > 0 for row in ours)
    assert {row["contender"] for row in report["rates"] if row["row"] == "data"} == {"usual loop", "our loop"}
    missing = [row for row in report["rates"] if row["contender"] == "timm" and row["precision"] == "float32"]
    assert all("not installed" in row["note"] and not row["rates"] for row in missing)
    assert [(row["contender"], len(row["accuracies"])) for row in report["accuracies"]] == [
        ("vit_live", 2),
        ("tutorial", 2),
    ]
    assert main(["benchmark", *choice]) == 0
    table = capsys.readouterr().out
    assert "| ours |" in table
    assert "not installed" in table


def test_accuracy_alone_is_measured_and_a_missing_library_is_said_at_once(small, monkeypatch, tmp_path, capsys):
    preset = Preset(shape_of(64), 8)
    monkeypatch.setattr(rates, "fitting", lambda *_: preset)
    timed = ["benchmark", "--only", "--minutes", "0.002", "--seeds", "1", "--accuracy-of", "vit_live", "preset"]
    assert main([*timed, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "| vit_live | 0.002 |" in said and "| vit_live of width 64 in batches of 8 | 0.002 |" in said
    report = json.loads((tmp_path / "benchmark.json").read_text())
    assert len(report["accuracies"][0]["accuracies"]) == 1
    assert {"device", "flags", "threads", "teraflops", "load"} <= report["machine"].keys()
    assert "rates" not in report and not (tmp_path / "benchmark.png").exists()
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.models.vision_transformer", None)
    assert main([*timed, "timm"]) == 2
    assert "timm is not installed" in capsys.readouterr().err


def test_the_published_numbers_are_the_readmes_and_no_list_is_empty():
    report = json.loads(Path("docs/benchmark/benchmark.json").read_text(encoding="utf-8"))
    assert {"ours", "timm"} <= {row["contender"] for row in report["rates"]}
    assert all(report.values()) and all(row["rates"] for row in report["rates"])
    table = Path("README.md").read_text(encoding="utf-8")
    for row in report["rates"]:
        median, low, high = (f"{number:.0f}" for number in (row["median"], min(row["rates"]), max(row["rates"])))
        assert row["row"] == "data" or f" {median} ({low}-{high}) |" in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--repeats", "0"], "--repeats"),
        (["--minutes", "1", "--seeds", "0"], "--seeds must be at least 1"),
        (["--minutes", "-1"], "minutes"),
        (["--seeds", "2"], "--seeds would do nothing without --minutes"),
        (["--accuracy-of", "tutorial"], "--accuracy-of would do nothing without --minutes"),
        (["--precision", "bf16"], "--precision would do nothing without --minutes"),
        (["--compare", "a.json", "--out", "new"], "--out would do nothing beside --compare"),
        (["--profile", "--answers", "--steps", "2"], "--steps, --answers would do nothing beside --profile"),
        (["--answers", "--precision", "bf16"], "--precision would do nothing beside --answers"),
        (["--minutes", "1", "--accuracy-of", "resnet"], "resnet"),
        (["--minutes", "1", "--accuracy-of", "vit_base"], "vit_base is for large pictures"),
        (["--minutes", "1", "--precision", "fp16", "--device", "cpu"], "fp16 is a GPU's"),
    ],
)
def test_a_wrong_choice_is_one_line_before_any_work(arguments, words, capsys):
    assert main(["benchmark", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_minutes_without_a_number_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["benchmark", "--minutes"])
    assert "argument --minutes: expected at least one argument" in capsys.readouterr().err


def test_where_results_can_not_be_written_is_said_before_anything_is_measured(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["benchmark", "--out", str(tmp_path / "file")]) == 2
    assert "File exists" in capsys.readouterr().err


def rate(contender: str, row: str, precision: str, images: float) -> Rate:
    return Rate(contender, row, precision, (images,) * 3)


def test_what_was_measured_is_kept_though_what_comes_after_it_fails(small, monkeypatch, tmp_path, capsys):
    def accuracy_after(name, *_):
        if name == "vit_live":
            raise TrainingDiverged("The loss is nan.")
        return TimedAccuracy(name, 5.0, (0.5,), 100.0)

    monkeypatch.setattr(machine, "SIDE", 16)
    monkeypatch.setattr(machine, "LONG", 1e-6)
    monkeypatch.setattr(rates, "rates", lambda *_: iter([rate("ours", "compute", "float32", 60)]))
    monkeypatch.setattr(rates, "accuracy_after", accuracy_after)
    timed = ["--minutes", "5", "--accuracy-of", "tutorial", "vit_live"]
    assert main(["benchmark", *timed, "--out", str(tmp_path)]) == 2
    assert "The loss is nan." in capsys.readouterr().err
    kept = json.loads((tmp_path / "benchmark.json").read_text())
    assert [row["median"] for row in kept["rates"]] == [60]
    assert [row["contender"] for row in kept["accuracies"]] == ["tutorial"]


def test_what_leaving_the_tutorials_script_gives_is_told_apart_by_precision_loop_model_and_recipe():
    measured = [
        rate("tutorial", "usual loop", "float32", 60),
        rate("tutorial", "usual loop", "bfloat16", 120),
        rate("tutorial", "our loop", "bfloat16", 150),
        rate("ours", "our loop", "bfloat16", 165),
        rate("ours", "our recipe", "bfloat16", 330),
        rate("ours", "our recipe", "float32", 200),
    ]
    parts = tables.factors(measured)
    assert [part.times for part in parts] == pytest.approx([2, 1.25, 1.1, 2, 5.5])
    assert "| all of them | 60 to 330 | 5.50 |" in tables.tables(measured, [])[1]
    assert tables.factors(measured[:-2]) == [], "one is missing"
    slow = [row for row in measured if row.precision == "float32"]
    slow += [rate("tutorial", "our loop", "float32", 66), rate("ours", "our loop", "float32", 66)]
    first = tables.factors(slow)[0]
    assert (first.change, first.times) == ("precision: float32", 1)


@pytest.fixture
def kept(tmp_path):
    """kept(name, images, **machine): a benchmark.json with that rate."""

    def write(name: str, images: float, **changes) -> Path:
        here = {"device": "A", "flags": ["avx2"], "threads": 2, "torch": "2.11"} | changes
        file = tmp_path / name
        file.write_text(json.dumps({"machine": here, "rates": [vars(rate("ours", "compute", "float32", images))]}))
        return file

    return write


def test_files_of_one_machine_are_set_side_by_side_and_of_others_refused(kept, tmp_path, capsys):
    files = [str(kept("a.json", 100)), str(kept("b.json", 150))]
    assert main(["benchmark", "--compare", *files]) == 0
    assert "| ours, compute, float32 | 100 | 150 (1.50x) |" in capsys.readouterr().out
    for change in ({"flags": ["avx2", "amx_bf16"]}, {"device": "B"}, {"threads": 1}, {"torch": "2.6"}):
        other = str(kept("c.json", 300, **change))
        assert main(["benchmark", "--compare", files[0], other]) == 2
        assert f"another machine than {files[0]}: its {next(iter(change))} is" in capsys.readouterr().err
    (tmp_path / "d.json").write_text('{"rates": []}')
    assert main(["benchmark", "--compare", files[0], str(tmp_path / "d.json")]) == 2
    assert "doesn't say on which machine" in capsys.readouterr().err
    assert main(["benchmark", "--compare", "docs/benchmark/none.json"]) == 2
    assert "none.json" in capsys.readouterr().err


def test_a_machine_is_told_by_its_arithmetic_and_its_load(monkeypatch):
    monkeypatch.setattr(machine, "SIDE", 16)
    monkeypatch.setattr(machine, "LONG", 1e-6)
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (1.25, 9, 9))
    here = machine.describe(torch.device("cpu"))
    assert here.load == 1.25 and here.teraflops["fp32"] > 0 and here.threads == torch.get_num_threads()
    assert "load before it began: 1.25" in str(here) and here.device in str(here)
    assert set(machine.SAME) <= vars(here).keys()


def test_a_profile_adds_up_to_the_step_and_counts_its_operations(small, shapes):
    from vit.benchmark.profile import profile

    model = vit_live(embed_dim=16, depth=2)
    found = profile("vit_live", model, TrainConfig(epochs=1, batch_size=4, precision="fp32"), small.train, 2)
    taken = {share.kind: share for share in found.shares}
    assert {"convolutions", "matrix products", "attention", "Muon", "AdamW", "copies"} <= taken.keys()
    assert sum(share.milliseconds for share in found.shares) == pytest.approx(found.milliseconds)
    assert all(share.milliseconds >= 0 for share in found.shares)
    # Of the first block, on half of the patches and the class token: MLP (2 D hidden), and qkv with proj (4 D^2), each
    # forward and twice backward; of the last block, for the class token alone, qkv of all.
    batch, tokens, width, hidden = 4, 1 + 32, 16, 32
    first = 3 * 2 * batch * tokens * (2 * width * hidden + 4 * width**2)
    last = 3 * 2 * batch * (tokens * 3 * width**2 + width**2 + 2 * width * hidden)
    head = 3 * 2 * batch * width * 10
    assert taken["matrix products"].gigaflops == pytest.approx((first + last + head) / 1e9, rel=0.02)
    maps = 2 * batch * 4 * (width // 4) * (tokens + 1) * tokens  # of both blocks, one of the two products
    assert taken["attention"].gigaflops > 5 * maps / 1e9
    assert taken["Muon"].gigaflops > 0 and 0 < found.of_ceiling < 1
    assert "of a large matrix product" in str(found)


def test_answers_are_timed_beside_a_bare_forward_pass(small, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("vit.benchmark.answers.PASSES", 2)
    flags = ["--repeats", "2", "--device", "cpu", "--json", "--out", str(tmp_path / "new")]
    assert main(["benchmark", "--answers", *flags]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads((tmp_path / "new" / "benchmark.json").read_text())
    found = report["answers"]
    assert list(found["image"]) == ["timm's forward", "ours", "ours with all maps"] and found["n"] == 40
    assert all(len(row) == 2 and min(row) > 0 for part in ("image", "dataset") for row in found[part].values())
    text = str(Answers({"a": (1.0, 3.0, 2.0), "b": (3.0, 5.0, 4.0)}, {"c": (100.0,), "d": (90.0,)}, 40))
    assert "| b | 4.00 (3.00-5.00) | 2.00 |" in text and "| d | 90 (90-90) | 0.90 |" in text
    monkeypatch.setitem(sys.modules, "timm.models.vision_transformer", None)
    assert main(["benchmark", "--answers"]) != 0
    assert "timm, which is not installed" in capsys.readouterr().err
