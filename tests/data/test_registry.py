"""The registry of datasets: what an entry must have, and that what is loaded is what the entry says."""

import pytest
import torch

from vit import data
from vit.data import registry

GOOD = {
    "label": "Dots",
    "classes": ("one", "two"),
    "size": 8,
    "channels": 1,
    "mean": (0.5,),
    "std": (0.25,),
    "loader": lambda progress: tensors(8),
    "description": "Dots.",
}


def tensors(size: int) -> dict:
    images = torch.zeros(20, 1, size, size, dtype=torch.uint8)
    return {
        f"{split}.{part}": value
        for split in ("train", "test")
        for part, value in (("images", images), ("labels", torch.arange(20) % 2))
    }


@pytest.fixture(autouse=True)
def a_registry_of_its_own(monkeypatch):
    monkeypatch.setattr(registry, "DATASETS", dict(registry.DATASETS))


@pytest.mark.parametrize("field", sorted(GOOD))
def test_an_entry_without_a_needed_field_is_refused_by_name(field):
    with pytest.raises(ValueError, match=f"Dataset 'dots' lacks {field}; the fields are"):
        registry.register("dots", **{name: value for name, value in GOOD.items() if name != field})
    assert "dots" not in registry.DATASETS


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ("one",)}, "two or more different classes"),
        ({"classes": ("one", "one")}, "two or more different classes"),
        ({"mean": (0.5, 0.5)}, "1 values of mean and std"),
        ({"std": (0.0,)}, "positive std"),
        ({"mean": (float("nan"),)}, "finite mean"),
        ({"size": 0}, "a size of 1 or more"),
        ({"label": ""}, "a label"),
        ({"colour": "red"}, "has colour, which no entry knows"),
    ],
)
def test_an_entry_that_cannot_be_is_refused_by_name(change, words):
    with pytest.raises(ValueError, match=f"Dataset 'dots'.*{words}"):
        registry.register("dots", **GOOD | change)


def test_a_name_is_registered_once_and_made_of_letters():
    with pytest.raises(ValueError, match="'shapes' is registered already"):
        registry.register("shapes", **GOOD)
    with pytest.raises(ValueError, match="a name like my_dataset"):
        registry.register("../dots", **GOOD)


def test_what_is_loaded_is_what_the_entry_says():
    entry = registry.register("dots", **GOOD)
    splits = data.load("dots")
    assert [len(split) for split in splits] == [18, 2, 20]
    assert (splits.test.classes, splits.test.mean, splits.test.std) == (entry.classes, entry.mean, entry.std)
    registry.register("larger", **GOOD | {"loader": lambda progress: tensors(9)})
    with pytest.raises(ValueError, match=r"larger: expected uint8 images \(20, 1, 8, 8\), got .*\(20, 1, 9, 9\)"):
        data.load("larger")
    registry.register("odd", **GOOD | {"loader": lambda progress: tensors(8) | {"test.labels": torch.arange(20)}})
    with pytest.raises(ValueError, match="odd: expected labels from 0 to 1"):
        data.load("odd")


def test_there_is_always_one_to_fall_back_on():
    assert registry.fallback().built_in and registry.preferred() in registry.DATASETS.values()
    assert registry.label("shapes") == "Shapes" and registry.label("gone") == "gone"
