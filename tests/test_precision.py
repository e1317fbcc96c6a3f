"""The trial that decides on a precision: what wins, what is left out, and how long it may take."""

import math
import time

import pytest
import torch

from vit import precision
from vit.precision import Precision, autocast, choose, contenders, race

CPU = torch.device("cpu")


class Clock:
    """A clock that only work moves."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.calls = []
        monkeypatch.setattr(precision.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(precision, "_races", {})

    def works(self, **seconds):
        """begin(name): a step that takes (fixed, each image's) seconds; what is no pair is done in its place."""

        def begin(name):
            def step(images):
                self.calls.append((name, images))
                cost = seconds[name]
                if callable(cost):
                    return cost(images)
                self.now += cost[0] + cost[1] * images
                return 1.5

            return step

        return begin


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


@pytest.fixture
def able(monkeypatch):
    """A device on which every precision is worth a trial."""
    monkeypatch.setattr(precision, "contenders", lambda device: (("fp32", "bf16", "fp16"), {}))


def fails(error):
    def step(images):
        raise error

    return step


@pytest.mark.parametrize(("fast", "rates"), [("fp32", (1, 2, 3)), ("bf16", (2, 1, 3)), ("fp16", (3, 2, 1))])
def test_the_fastest_wins_and_the_words_say_by_how_much(clock, able, fast, rates):
    costs = {name: (0.0, each / 1000) for name, each in zip(("fp32", "bf16", "fp16"), rates, strict=True)}
    found = choose(CPU, "work", clock.works(**costs), 100)
    assert found.name == fast
    second, third = sorted(rates)[1:]
    names = {each: name for name, (_, each) in costs.items()}
    told = f"1,000 against {1000 / second:,.0f} in {names[second / 1000]} and {1000 / third:,.0f} in"
    assert str(found).startswith(f"{fast} by trial: {told} {names[third / 1000]} images/s")


def test_of_two_the_words_are_short(clock, monkeypatch):
    monkeypatch.setattr(precision, "contenders", lambda device: (("fp32", "bf16"), {}))
    found = choose(CPU, "work", clock.works(fp32=(0, 1 / 690), bf16=(0, 1 / 1240)), 64)
    assert str(found) == "bf16 by trial: 1,240 against 690 images/s"


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (fails(NotImplementedError("no kernel")), "fails (NotImplementedError)"),
        (fails(torch.OutOfMemoryError("no memory")), "fails (OutOfMemoryError)"),
        (fails(TypeError("no such type")), "fails (TypeError)"),
        (lambda images: math.nan, "gives no finite loss"),
        (lambda images: -math.inf if images > 1 else 1.0, "gives no finite loss"),
    ],
)
@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_what_raises_or_gives_no_finite_loss_is_left_out_however_fast(clock, able, broken, words, name):
    costs = {"fp32": (0, 0.01), "bf16": (0, 0.02), "fp16": (0, 0.03), name: broken}
    found = race("work", tuple(costs), clock.works(**costs), 16)
    assert found.left_out == {name: words}
    assert found.rates.keys() == costs.keys() - {name}
    others = {"fp32", "bf16", "fp16"} - {name}
    assert choose(CPU, "work", clock.works(**costs), 16).name == min(others, key=lambda other: costs[other])


def test_where_nothing_works_the_run_itself_shall_say_why(clock, able):
    costs = dict.fromkeys(("fp32", "bf16", "fp16"), fails(RuntimeError("wrong shape")))
    assert choose(CPU, "work", clock.works(**costs), 16).name == "fp32"


def test_mistakes_are_not_taken_for_a_precision_that_fails(clock, able):
    with pytest.raises(KeyError):
        choose(CPU, "work", clock.works(fp32=(0, 1)), 16)


@pytest.mark.parametrize("cost", [(0.0, 1e-3), (0.05, 1e-4), (0.2, 0.01), (0.3, 0.1), (5.0, 1.0)])
def test_a_rate_is_that_of_the_whole_batch_also_where_such_a_step_would_take_too_long(clock, cost):
    fixed, each = cost
    found = race("work", ("fp32",), clock.works(fp32=cost), 128)
    assert found.rates["fp32"] == pytest.approx(128 / (fixed + 128 * each))


@pytest.mark.parametrize("most", [1, 2, 7, 128])
def test_no_step_is_larger_than_the_batch(clock, most):
    race("work", ("fp32",), clock.works(fp32=(0, 1e-3)), most)
    assert clock.calls[0] == ("fp32", min(2, most))
    assert max(images for _, images in clock.calls) == most


@pytest.mark.parametrize("each", [1e-5, 1e-3, 1e-2])
@pytest.mark.parametrize("fixed", [0.0, 0.01, 0.05])
def test_a_trial_takes_about_its_time(clock, fixed, each):
    race("work", ("fp32",), clock.works(fp32=(fixed, each)), 128)
    assert clock.now < 2 * precision.SECONDS + 0.25


def test_one_that_is_hopelessly_slow_is_broken_off_in_the_middle_of_its_first_step(monkeypatch):
    """On a real clock: a step of hundreds of products, a pause before each, as where arithmetic is emulated."""
    monkeypatch.setattr(precision, "PATIENCE", 0.2)
    monkeypatch.setattr(precision, "SECONDS", 0.1)
    monkeypatch.setattr(precision, "_races", {})
    done, pauses = [], []

    def begin(name):
        def step(images):
            weight = torch.ones(8, 8, requires_grad=True)
            for _ in range(1000 if name == "bf16" else 1):
                if name == "bf16":
                    pauses.append(time.sleep(0.01))
                loss = (weight @ weight).sum()
            loss.backward()
            done.append(name)
            return loss.item()

        return step

    found = race("work", ("fp32", "bf16"), begin, 16)
    assert 0 < len(pauses) < 500, "it is broken off long before its end"
    assert found.left_out == {"bf16": "is slower"} and "bf16" not in done


@pytest.mark.parametrize("computes_inside", [True, False])
def test_what_is_broken_off_leaves_gradients_and_autocast_as_they_were(clock, computes_inside):
    """The time runs out within a no_grad, as an optimizer's, and within an autocast; both still have to end."""

    def begin(name):
        def step(images):
            clock.now += 0.01
            tensor = torch.ones(2)
            if name == "bf16":
                with torch.no_grad(), autocast(torch.device("cpu"), "bf16"):
                    clock.now += 100
                    if computes_inside:
                        tensor.add_(1)
            return tensor.sum().item()

        return step

    assert race("work", ("fp32", "bf16"), begin, 16).left_out == {"bf16": "is slower"}
    assert torch.is_grad_enabled() and not torch.is_autocast_enabled("cpu")


def test_one_that_is_slow_but_faster_than_float32_is_not_broken_off(clock):
    """A large model on a small machine: a step of one image takes 20 seconds in float32."""
    begin = clock.works(fp32=(20, 1), bf16=(3, 0.5))

    def functions(name):
        return lambda images: begin(name)(images) + torch.zeros(1).item()

    found = race("work", ("fp32", "bf16"), functions, 8)
    assert found.rates == pytest.approx({"fp32": 8 / 28, "bf16": 8 / 7})


def test_a_race_is_run_once_in_a_process_for_work_device_and_batch(clock, able):
    begin = clock.works(fp32=(0, 1e-3), bf16=(0, 2e-3), fp16=(0, 3e-3))
    first = choose(CPU, "work", begin, 8)
    calls = len(clock.calls)
    assert choose(CPU, "work", begin, 8) == first and len(clock.calls) == calls
    for again in (lambda: choose(CPU, "other", begin, 8), lambda: choose(CPU, "work", begin, 16)):
        again()
        assert len(clock.calls) > calls
        calls = len(clock.calls)
    choose(torch.device("meta"), "work", begin, 8)
    assert len(clock.calls) > calls


def test_only_so_many_races_are_remembered(clock):
    for number in range(precision.KEPT + 5):
        race(number, ("fp32",), clock.works(fp32=(0, 0.1)), 1)
    assert len(precision._races) == precision.KEPT


@pytest.mark.parametrize(("times", "tried"), [(1.0, True), (3.0, True), (170.0, False)])
def test_what_a_device_only_emulates_is_not_raced_for(clock, monkeypatch, times, tried):
    contenders.cache_clear()
    monkeypatch.setattr(precision, "_product_seconds", lambda device, dtype: times if dtype == torch.bfloat16 else 1.0)
    found = choose(CPU, "work", clock.works(fp32=(0, 0.01), bf16=(0, 0.005)), 8)
    assert bool(clock.calls) == tried
    assert str(found) == (
        "bf16 by trial: 200 against 100 images/s"
        if tried
        else "fp32 by trial: bf16 multiplies matrices 170 times slower"
    )
    contenders.cache_clear()


def test_a_cpu_is_never_tried_in_float16_and_refuses_it_by_name():
    names, left_out = contenders(CPU)
    assert names[0] == "fp32" and "fp16" not in names + tuple(left_out)
    with pytest.raises(ValueError, match=r"fp16.*--precision bf16, fp32 or auto"):
        precision.check(CPU, "fp16")


@pytest.mark.parametrize(("name", "dtype"), precision.DTYPES.items())
def test_autocast_computes_in_what_it_is_told(name, dtype):
    with autocast(CPU, name):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_words_of_a_choice():
    assert str(Precision("bf16")) == "bf16 as chosen"
