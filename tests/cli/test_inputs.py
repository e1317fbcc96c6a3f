"""What a command measures a model on: never a picture that it learned from."""

import pytest

from vit import vit_live_patch
from vit.cli.inputs import splits_of
from vit.data import dataset


@pytest.mark.parametrize(("said", "held_out"), [({}, None), ({"validation_size": 7}, 7), ({"validation_size": 0}, 0)])
def test_as_many_pictures_are_held_out_as_the_model_was_trained_without(shapes, said, held_out):
    model = vit_live_patch()
    model.classes, model.trained = shapes.test.classes, {"dataset": "shapes", **said}
    expected = len(shapes.validation) if held_out is None else held_out
    for name in (None, "shapes"):
        assert len(splits_of(model, name, ("validation",)).validation) == expected


def test_only_what_is_used_is_scaled_to_the_models_size(shapes, monkeypatch):
    model = vit_live_patch(img_size=40)
    model.classes = shapes.test.classes
    monkeypatch.setattr(dataset, "LARGEST", 2_000 * 3 * 40**2)
    found = splits_of(model, "shapes")
    assert found.test.images.shape == (2000, 3, 40, 40) and found.test.masks.shape == (2000, 40, 40)
    assert len(found.train) == len(found.validation) == 0
    both = splits_of(model, "shapes", ("validation", "test"))
    assert list(map(len, both)) == [0, 1000, 2000] and both.validation.images.shape[-1] == 40
    with pytest.raises(ValueError, match=r"9,000 pictures of 40 x 40 .*, or a model of smaller pictures"):
        splits_of(model, "shapes", ("train",))


def test_a_model_without_a_head_is_measured_on_nothing():
    with pytest.raises(ValueError, match="has no class head: it names nothing to measure"):
        splits_of(vit_live_patch(num_classes=0), "shapes")
