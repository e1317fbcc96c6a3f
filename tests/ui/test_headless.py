"""A model without a class head names nothing, and every way of asking it for a name says so."""

import pytest
from PIL import Image

from vit import ViT
from vit.live import answers, models
from vit.ui import analysis
from vit.ui.classify import api, testset
from vit.ui.errors import BadInput


@pytest.fixture
def headless(monkeypatch):
    model = ViT(embed_dim=24, depth=1, num_heads=3, num_classes=0).eval()
    monkeypatch.setattr(models, "find", lambda key: model)
    monkeypatch.setattr(analysis.models, "find", lambda key: model)


@pytest.mark.parametrize("ask", ["classify", "classify_batch", "evaluate", "compare"])
def test_an_endpoint_that_is_asked_for_classes_says_that_there_are_none(headless, tmp_path, ask):
    Image.new("RGB", (32, 32)).save(tmp_path / "picture.png")
    file = str(tmp_path / "picture.png")
    given = {"classify": (file, "m"), "classify_batch": ([file], "m"), "evaluate": ("m",), "compare": ("m", "m")}
    with pytest.raises(BadInput) as error:
        getattr(api, ask)(*given[ask])
    assert error.value.sentence == models.HEADLESS
    with pytest.raises(ValueError, match="names nothing"):
        answers.ask("m")


def test_a_comparison_with_one_that_names_nothing_says_so(headless):
    token = analysis.remember("m", ("shapes", 0))
    assert testset.beside({"token": token, "other": "another"}) == {"error": models.HEADLESS}
