"""What comes from outside passes one check: each kind of wrong value, in a sentence of ours."""

import inspect
import math

import pytest

from vit.ui.attention import api, studies
from vit.ui.attention.tab import SERVED
from vit.ui.checks import check, checked, one_of, shortened, whole
from vit.ui.classify.api import classify
from vit.ui.errors import BadInput
from vit.ui.train import api as train_api
from vit.ui.train import form, outcome, steering, view


@pytest.mark.parametrize(
    "value, kind, says",
    [
        (None, str, "x must be a text, got None; send a text as x."),
        ([], str, "x must be a text, got []"),
        ({"a": 1}, str, "x must be a text, got {'a': 1}"),
        (True, float, "x must be a number, got True"),
        ("0.1", float, "x must be a number, got '0.1'"),
        (math.nan, float, "x must be a finite number, got nan"),
        (-math.inf, float, "x must be a finite number, got -inf"),
        (2.5, int, "x must be a whole number, got 2.5"),
        ("abc", dict, "x must be an object of names and values, got 'abc'"),
        ({"a": 5}, dict[str, str], "x must be a text, got 5"),
        (5, list, "x must be a list, got 5"),
        ([1, "2"], list[int], "x[1] must be a whole number, got '2'"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(value, kind, says):
    with pytest.raises(BadInput) as refused:
        check("x", value, kind)
    assert refused.value.sentence.startswith(says)


@pytest.mark.parametrize(
    "value, kind", [("", str), (3, float), (3.5, float), (None, str | None), ([[1]], list[list[int]])]
)
def test_a_right_value_stays_as_it_is(value, kind):
    assert check("x", value, kind) == value


@pytest.mark.parametrize("value", [0, 4, 1.5, math.inf, "2", None, 10**400])
def test_whole_refuses_what_lies_outside(value):
    with pytest.raises(BadInput, match="x must be"):
        whole("x", value, 1, 3)


@pytest.mark.parametrize("value", [None, 5, [], {}, "c", "a" * 300_000])
def test_one_of_refuses_what_is_no_choice(value):
    assert one_of("x", "b", ("a", "b")) == "b"
    with pytest.raises(BadInput, match="x must be one of a, b, got ") as refused:
        one_of("x", value, ("a", "b"))
    assert len(refused.value.sentence) < 150


def test_a_sentence_with_something_endless_in_it_keeps_its_start_and_its_remedy():
    error = BadInput(f"There is no {'<' * 300_000}; choose another.")
    for words in (error.sentence, error.message):
        assert words.startswith("There is no ") and words.endswith("; choose another.") and len(words) < 5000


def test_what_came_is_shortened():
    assert len(shortened("a" * 10**6)) == 60
    assert shortened(10**5000) == "a huge whole number"


def test_a_checked_function_stays_what_it_was():
    @checked
    def count(to: int):
        yield from range(to)

    assert inspect.isgeneratorfunction(count) and list(inspect.signature(count).parameters) == ["to"]
    assert list(count(2)) == [0, 1]
    with pytest.raises(BadInput, match="to must be a whole number"):
        list(count("2"))


@pytest.mark.parametrize("wrong", [None, 5, [], {}, math.nan, True])
def test_no_endpoint_takes_a_run_id_that_is_no_text(wrong):
    calls = [
        lambda: train_api.training_status(wrong),
        lambda: train_api.stop_training(wrong, "token"),
        lambda: train_api.set_learning_rate(wrong, "token", 0.1),
        lambda: train_api.snapshot(wrong, 1),
        lambda: steering.toggle_pause(wrong, {}),
        lambda: steering.change_lr(wrong, {}, 0.1),
        lambda: outcome.archive(wrong),
        lambda: outcome.push_run(wrong, "name", "token", False),
        lambda: view.fetch([wrong, []]),
        lambda: view.fetch(wrong),
    ]
    for call in calls:
        with pytest.raises(BadInput):
            call()


@pytest.mark.parametrize("owned", [None, 5, [], "abc", {"run": None}])
def test_what_a_browser_claims_to_own_is_checked(owned):
    with pytest.raises(BadInput, match=r"owned must be|must be a text"):
        steering.stop_run("run", owned)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, "abc", [], {}])
def test_numbers_and_pictures_of_endpoints_are_checked(wrong):
    calls = [
        lambda: api.attention("picture.png", "", wrong, 0),
        lambda: api.attention("picture.png", "", 1, wrong),
        lambda: next(studies.head_regions("", wrong)),
        lambda: next(studies.show_importance("", wrong)),
        lambda: classify(wrong if wrong != "abc" else [], ""),
        lambda: api.without_heads("picture.png", "", [wrong]),
    ]
    for call in calls:
        with pytest.raises(BadInput, match="must be"):
            call()


@pytest.mark.parametrize("wrong", [None, 5, [], {}, "abc", "x" * 300_000])
def test_what_the_form_names_is_checked(wrong):
    for call in (form.fill_classes, form.fill_shape):
        with pytest.raises(BadInput, match="must be"):
            call(wrong)


@pytest.mark.parametrize("wrong", [math.nan, "abc", [], 10**400])
def test_what_is_multiplied_is_a_number(wrong):
    assert (steering.scaled(3)(0.1), steering.scaled(1 / 3)(None)) == (0.3, 0)
    with pytest.raises(BadInput, match="now must be a"):
        steering.scaled(3)(wrong)


@pytest.mark.parametrize("probe", SERVED, ids=lambda probe: probe.__name__)
@pytest.mark.parametrize("question", [None, 5, [], "abc", {}, {"token": []}, {"token": "gone"}])
def test_probes_answer_any_question_with_a_sentence(probe, question):
    assert set(probe(question)) == {"error"}
