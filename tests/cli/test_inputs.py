"""What a command measures a model on: never a picture that it learned from."""

import pytest

from vit import vit_live_patch
from vit.cli.inputs import splits_of


@pytest.mark.parametrize(("said", "held_out"), [({}, None), ({"validation_size": 7}, 7), ({"validation_size": 0}, 0)])
def test_as_many_pictures_are_held_out_as_the_model_was_trained_without(shapes, said, held_out):
    model = vit_live_patch()
    model.classes, model.trained = shapes.test.classes, {"dataset": "shapes", **said}
    expected = len(shapes.validation) if held_out is None else held_out
    assert len(splits_of(model, None).validation) == len(splits_of(model, "shapes").validation) == expected


def test_a_model_without_a_head_is_measured_on_nothing():
    with pytest.raises(ValueError, match="has no class head: it names nothing to measure"):
        splits_of(vit_live_patch(num_classes=0), "shapes")
