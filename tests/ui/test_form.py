"""The form has a field for each setting that a visitor may change, and each starts within its limits."""

import gradio as gr
import pytest

from vit.live import settings
from vit.training.config import SETTINGS
from vit.training.spec import SHAPE
from vit.ui.train import form


@pytest.fixture(scope="module")
def fields() -> form.Form:
    with gr.Blocks():
        return {**form.basics(), **form.advanced()[0]}


def test_there_is_a_field_for_each_limit_and_a_limit_for_each_field(fields):
    assert fields.keys() == {"dataset", "classes", *settings.LIMITS}
    names = {settings.CONFIG_NAMES.get(name, name) for name in settings.LIMITS} - {"model"}
    assert names <= SETTINGS.keys() | SHAPE.keys(), "a limit of what is no setting"
    assert {"model", "minutes", *settings.SHAPE, *settings.LEARNING} == settings.LIMITS.keys()


def test_the_form_as_it_opens_is_a_run(fields):
    spec = settings.read({name: field.value for name, field in fields.items()})
    assert spec.shape == {} and spec.config == settings.DEFAULTS and spec.model == "vit_live"


@pytest.mark.parametrize("name", ["minutes", "warmup"])
def test_a_slider_reaches_no_further_than_its_limit(fields, name):
    low, high = fields[name].minimum, fields[name].maximum
    assert settings.LIMITS[name].check(name, low) == low and settings.LIMITS[name].check(name, high) == high
