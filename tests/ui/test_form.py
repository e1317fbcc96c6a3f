"""The form has a field for each setting that a visitor may change, and each starts within its limits."""

import gradio as gr
import pytest

from vit.live import settings
from vit.training.config import SETTINGS
from vit.training.presets import Preset, shape_of
from vit.training.setting import WrongSetting
from vit.training.spec import SHAPE
from vit.ui.train import form, tab


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
    opened = {**{field: field.value for field in fields.values()}, fields["dataset"]: "shapes"}
    spec = settings.read(form.values(fields, opened))
    assert spec.shape == {} and spec.config == settings.DEFAULTS and spec.model == "vit_live"


def test_classes_of_other_data_mean_that_its_own_are_on_their_way(fields):
    entered = {field: field.value for field in fields.values()} | {fields["dataset"]: "cifar10"}
    assert form.values(fields, entered)["classes"] is None
    with pytest.raises(WrongSetting, match="no class 'arrow'"):
        settings.read(form.values(fields, entered | {fields["classes"]: ["arrow", "cat"]}))


def test_the_live_preset_is_filled_in_as_it_suits_this_machine_and_what_was_chosen_stays(monkeypatch):
    usual = {**settings.variant_shape("vit_live"), "model": "vit_live", "batch_size": settings.DEFAULTS.batch_size}
    monkeypatch.setattr(form.speed, "found", [])
    assert form.fitted(usual) == {}, "before anything is known"
    form.speed.found.append(Preset(shape_of(192), 512))
    suits = {"embed_dim": 192, "depth": 5, "num_heads": 6, "batch_size": 512}
    assert form.fitted(usual) == suits
    assert dict(zip(settings.SHAPE, form.fill_shape("vit_live"))) == {
        "patch_size": 4,
        "embed_dim": 192,
        "depth": 5,
        "num_heads": 6,
        "stem": "conv",
    }
    for chosen in ({"embed_dim": 64}, {"depth": 1}, {"batch_size": 32}, {"model": "vit_live_patch"}):
        assert form.fitted({**usual, **chosen}) == {}
    assert tab.proposed("shapes").config.batch_size == 512
    assert tab.proposed("shapes").shape == {"embed_dim": 192, "depth": 5, "num_heads": 6}


def test_a_slider_reaches_no_further_than_its_limit(fields):
    low, high = fields["warmup"].minimum, fields["warmup"].maximum
    assert (
        settings.LIMITS["warmup"].check("warmup", low) == low
        and settings.LIMITS["warmup"].check("warmup", high) == high
    )


@pytest.mark.parametrize("typed", ["0.5", "0,5", " .5 ", 0.5])
def test_half_a_minute_can_be_typed_with_a_point_or_a_comma(fields, typed):
    opened = {
        **{field: field.value for field in fields.values()},
        fields["dataset"]: "shapes",
        fields["minutes"]: typed,
    }
    assert settings.read(form.values(fields, opened)).config.minutes == 0.5


@pytest.mark.parametrize("typed", ["", "soon", "0", "-1", "1e9", "nan", "0,5,0"])
def test_minutes_that_cannot_be_are_refused_by_name(fields, typed):
    opened = {
        **{field: field.value for field in fields.values()},
        fields["dataset"]: "shapes",
        fields["minutes"]: typed,
    }
    with pytest.raises(WrongSetting, match=r"^Minutes must be a positive number, at most"):
        settings.read(form.values(fields, opened))
