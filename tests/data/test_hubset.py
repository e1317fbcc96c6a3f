"""Datasets of the Hub, on a Hub on this machine, with the features that well-known ones are published with."""

import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from PIL import Image

from tests.weights.small_hub import COMMIT, hub_in_this_process
from vit import data
from vit.cli import main
from vit.data import DatasetUnavailable, own
from vit.data.registry import entry
from vit.model import ViT

BOTH = ("train", "test")
DIGITS = [str(i) for i in range(10)]
PUBLISHED = {  # folder of the config; mode, format and size of pictures; columns of labels and their classes; splits
    "uoft-cs/cifar100": (
        "cifar100",
        "RGB",
        "PNG",
        32,
        "img",
        {"fine_label": 100, "coarse_label": 20},
        ("train", "test"),
    ),
    "ylecun/mnist": ("mnist", "L", "PNG", 28, "image", {"label": 10}, BOTH),
    "zalando-datasets/fashion_mnist": ("fashion_mnist", "L", "PNG", 28, "image", {"label": 10}, BOTH),
    "ufldl-stanford/svhn": ("cropped_digits", "RGB", "PNG", 32, "image", {"label": 10}, ("train", "test", "extra")),
    "timm/oxford-iiit-pet": ("data", "RGB", "JPEG", 60, "image", {"label": 37, "label_cat_dog": 2}, BOTH),
}


def picture(mode: str, form: str, size: int, label: int, number: int) -> bytes:
    """One whose brightness tells its class."""
    shade = 255 * label // 100
    image = Image.new(mode, (size, size + 4), shade if mode == "L" else (shade, 40, 200 - shade // 2))
    image.putpixel((number % size, number // size), 0 if mode == "L" else (0, 0, 0))
    content = io.BytesIO()
    image.save(content, form)
    return content.getvalue()


def write(file: Path, images: dict[str, list], labels: dict[str, list], features: dict) -> None:
    columns = {name: [{"bytes": b, "path": None} for b in values] for name, values in images.items()} | labels
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, file, row_group_size=50)


def publish(folder: Path, name: str, each: int = 4) -> Path:
    config, mode, form, size, column, kinds, splits = PUBLISHED[name]
    classes = next(iter(kinds.values()))
    names = {kind: [f"{kind} {i}" for i in range(count)] for kind, count in kinds.items()}
    features = {column: {"_type": "Image"}, **{kind: {"_type": "ClassLabel", "names": n} for kind, n in names.items()}}
    for split in splits:
        numbers = [i % classes for i in range(each * classes if split == "train" else classes)]
        images = [picture(mode, form, size, label, i) for i, label in enumerate(numbers)]
        labels = {kind: [label % count for label in numbers] for kind, count in kinds.items()}
        write(folder / config / f"{split}-00000-of-00001.parquet", {column: images}, labels, features)
    if name.endswith("svhn"):
        numbers = {"digits": {"bbox": [], "label": [{"_type": "ClassLabel", "names": DIGITS}]}}
        write(folder / "full_numbers" / "train-00000-of-00001.parquet", {"image": [b""]}, {}, numbers)
    return folder


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    for kept in ("_opened", "_downloaded"):
        monkeypatch.setattr(own, kept, {})
    with hub_in_this_process(tmp_path) as served:
        yield served


@pytest.mark.parametrize("name", PUBLISHED)
def test_well_known_ones_are_read_with_the_features_that_they_are_published_with(name, hub, tmp_path):
    config, mode, _, _, _, kinds, _ = PUBLISHED[name]
    hub.folders[name] = publish(tmp_path / "repo", name)
    hub.datasets.add(name)
    asked = f"hub:{name}" + (":cropped_digits" if name.endswith("svhn") else "")
    told: list = []
    splits = data.load(asked, img_size=16, progress=lambda done, desc: told.append(desc))
    kind, classes = next(iter(kinds.items()))
    assert splits.train.classes == tuple(f"{kind} {i}" for i in range(classes))
    assert [len(split) for split in splits] == [3 * classes, classes, classes]
    assert all((split.labels.bincount(minlength=classes) == len(split) // classes).all() for split in splits)
    assert splits.train.images.shape[1:] == (1 if mode == "L" else 3, 16, 16)
    for split in splits:
        seen = split.images[:, 0, -2, -2].int()
        assert ((seen - 255 * split.labels // 100).abs() <= 3).all(), "each picture has its own label"
    assert told[0].startswith("Downloading ") and told[0].endswith(f" MB of {name}")
    about = entry(asked, 16)
    assert about.name == f"hub:{name}:{config}@{COMMIT}" and about.hub_name == name
    assert entry(about.name, 16) is about, "the pinned name is the same dataset"


def test_a_run_on_one_is_pinned_trained_evaluated_and_says_so_in_its_card(hub, tmp_path, capsys):
    name, out = "ylecun/mnist", tmp_path / "out"
    hub.folders[name] = publish(tmp_path / "repo", name)
    hub.datasets.add(name)
    shape = ["--model", "vit_live_patch", "--embed-dim", "24", "--depth", "1", "--num-heads", "2", "--img-size", "16"]
    length = ["--epochs", "1", "--batch-size", "10"]
    assert main(["train", "--dataset", f"hub:{name}", *shape, *length, "--out", str(out), "--json"]) == 0
    capsys.readouterr()
    model = ViT.from_pretrained(out)
    assert (
        model.trained["dataset"] == f"hub:{name}:mnist@{COMMIT}"
        and model.trained["dataset"] in model.trained["command"]
    )
    assert (model.config["in_chans"], model.config["img_size"], len(model.mean)) == (1, 16, 1)
    assert main(["evaluate", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["n"] == 10
    card = (out / "README.md").read_text()
    assert f"- {name}\n" in card


IMAGE, LABEL = {"_type": "Image"}, {"_type": "ClassLabel", "names": DIGITS}


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (
            {"image": IMAGE, "caption": {"_type": "Value"}},
            r"has no class labels: .* caption \(Value\)",
        ),
        ({"left": IMAGE, "right": IMAGE, "label": LABEL}, "two or more columns of images, left, right: expected one"),
        ({"text": {"_type": "Value"}, "label": LABEL}, "has no column of images"),
        ({"image": IMAGE, "label": {**LABEL, "names": ["one"]}}, "has one class, 'one'"),
        (None, "don't say what their columns are"),
    ],
)
def test_other_features_are_refused_by_name(features, words, hub, tmp_path):
    file = tmp_path / "repo" / "data" / "train-00000-of-00001.parquet"
    write(file, {"image": [b""]}, {"label": [0]}, features or {})
    if features is None:
        parquet.write_table(parquet.read_table(file).replace_schema_metadata(None), file)
    write(file.with_name("validation-00000-of-00001.parquet"), {"image": [b""]}, {"label": [0]}, features or {})
    hub.folders["a/b"] = tmp_path / "repo"
    hub.datasets.add("a/b")
    with pytest.raises(ValueError, match=words):
        data.load("hub:a/b")
    fetched = {path for command, path, _ in hub.asked if command == "GET" and path.endswith(".parquet")}
    assert len(fetched) == 1, "the others were not downloaded"


def test_what_can_not_be_had_is_refused_with_the_remedy(hub, tmp_path):
    hub.folders |= {
        "ufldl-stanford/svhn": publish(tmp_path / "svhn", "ufldl-stanford/svhn"),
        "a/program": tmp_path / "p",
    }
    hub.folders["a/huge"] = publish(tmp_path / "huge", "ylecun/mnist")
    hub.sizes["a/huge"] = 150_000_000_000
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "program.py").write_text("raise SystemExit")
    hub.datasets |= {*hub.folders}
    hub.refused["a/gated"] = (403, "GatedRepo")
    for name, words in {
        "ufldl-stanford/svhn": "has several configs, cropped_digits, full_numbers; choose one, as in hub:",
        "ufldl-stanford/svhn:digits": "has no config 'digits'; choose of cropped_digits, full_numbers",
        "a/program": r"a program of its own, program.py \(trust_remote_code\), which is never run here",
        "a/huge": "has 300 GB, and 10 GB are the most",
        "a/gated": "is gated. Accept its terms",
        "a/nothing": "There is no dataset a/nothing on the Hub, or it is private",
        "a": "names no dataset of the Hub: expected hub:USER/NAME",
    }.items():
        with pytest.raises(ValueError, match=words):
            data.load(f"hub:{name}")
    assert not [path for _, path, _ in hub.asked if path.endswith(".parquet")], "nothing was downloaded"
    hub.refused["a/down"] = (503, "Down")
    with pytest.raises(DatasetUnavailable, match="a/down can't be downloaded from the Hub"):
        data.load("hub:a/down")
    assert not (tmp_path / "assets").exists()
