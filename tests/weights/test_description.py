"""What a config.json may ask for before there is a weight to compare it with."""

import pytest

from vit.weights import description
from vit.weights.checkpoint import config_of


def test_a_model_of_a_billion_classes_is_refused_before_each_has_a_name(small_vit):
    saved = {**config_of(small_vit), "classes": []}
    assert description.parse(saved).classes[0] == "class 0"
    saved["arguments"] = {**saved["arguments"], "num_classes": 10**9}
    with pytest.raises(ValueError, match="'num_classes' of 'arguments' should be 100,000 at most, got 1000000000"):
        description.parse(saved)
