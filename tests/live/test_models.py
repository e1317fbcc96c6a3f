"""What is said of a model that can be chosen."""

import pytest

from vit.live import models


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"test_accuracy": 0.9, "validation_accuracy": 0.999}, " · 90.0% test · 3 × 3 heads"),
        ({"validation_accuracy": 0.999}, " · 99.9% validation · 3 × 3 heads"),
        ({}, " · 3 × 3 heads"),
    ],
)
def test_an_accuracy_comes_with_the_pictures_that_it_was_measured_on_and_test_before_validation(
    measured, said, small_vit, monkeypatch
):
    small_vit.trained = {"model": "vit_live_patch", "dataset": "shapes", **measured}
    monkeypatch.setattr(models, "find", lambda key: small_vit)
    monkeypatch.setattr(models, "shipped", lambda: ["any"])
    assert models.choices({}) == [(f"vit-live-patch · Shapes{said}", "any")]


def test_what_is_opened_first_is_what_the_app_was_given_else_a_model_whose_data_is_at_hand(monkeypatch):
    for source in models.SOURCES.values():
        monkeypatch.setattr(source, "splits", None)  # as in a server's first second
    assert models.shipped()[0] == "cifar10" and models.default() == "shapes"
    monkeypatch.setattr(models.SOURCES["cifar10"], "splits", object())
    assert models.default() == "cifar10"
    monkeypatch.setattr(models.SOURCES["cifar10"], "splits", None)
    monkeypatch.setattr(models.elsewhere, "GIVEN", ["cifar10"])
    assert models.default() == "cifar10"
