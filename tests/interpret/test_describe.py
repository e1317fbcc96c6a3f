"""Numbers to words: each sentence says what its number does."""

import math
from dataclasses import replace

import pytest
import torch

from tests.interpret.test_statistics import random_maps, traced, uniform_maps
from vit import ViT
from vit.interpret.analysis import Analysis
from vit.interpret.describe import (
    describe_received,
    describe_relevance,
    describe_view,
    early_against_late,
    nothing_reads,
)
from vit.interpret.statistics import TABLE, HeadStatistics, head_statistics


def uniform_statistics(area: float | None = 0.25, L: int = 2, region: str = "the object") -> HeadStatistics:
    objects = None if area is None else torch.full((1, 8, 8), area)
    return head_statistics(traced(uniform_maps((8, 8), 1, L), (8, 8), 1), objects, region)


def changed(statistics: HeadStatistics, layer: int, head: int, **numbers: float) -> HeadStatistics:
    values = {name: tensor.clone() for name, tensor in statistics.values.items()}
    for name, number in numbers.items():
        values[name][layer, head] = number
    return replace(statistics, values=values)


@pytest.mark.parametrize(
    ("share", "area", "verdict"),
    [
        (0.5, 0.2, "more than chance"),
        (0.95, 0.8, "more than chance"),
        (0.1, 0.2, "less than chance"),
        (0.22, 0.2, "about chance"),
    ],
)
def test_a_view_is_described_by_its_own_numbers(share, area, verdict):
    flat = uniform_statistics(area)
    words = describe_view(changed(flat, 0, 1, distance=3.21, entropy=math.log(5), object_share=share), 0, 1)
    assert "3.2 px" in words and f"{flat.uniform['distance']:.1f} px: local" in words
    assert "1.61 of at most 4.17 nats, as if over 5 of 65 tokens: focused" in words
    assert f"{share:.0%}" in words and f"covers {area:.0%}" in words and verdict in words
    uniform = describe_view(flat, 0, 0)
    assert all(word in uniform for word in ["global", "diffuse", "about chance", "65 of 65 tokens"]), uniform


def test_the_last_layers_sentence_speaks_of_the_rows_that_are_read_alone():
    words = describe_view(uniform_statistics(), 1, 0)
    assert words.startswith("After this layer only the class token is read, so its row alone counts. Entropy")
    assert "px" not in words
    distilled = head_statistics(traced(uniform_maps((8, 8), 2), (8, 8), 2))
    assert "only the class and distillation tokens are read, so their two rows" in describe_view(distilled, 1, 0)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"value_norm": 0.1, "output_rank": 5}, ["a sink. It does next to nothing", "0.10 times the mean norm"]),
        ({"value_norm": 0.9, "output_rank": 1.2}, ["a sink. It broadcasts", "rank of 1.2 of at most 3"]),
        ({"value_norm": 0.9, "output_rank": 2.5}, ["a sink. It is neither idle", "0.90 times", "rank of 2.5"]),
    ],
)
def test_a_head_that_hardly_looks_is_a_sink_of_a_kind_and_neither_global_nor_focused(numbers, words):
    sink = {"prefix_share": 0.97, "cls_to_itself": 0.99, "distance": 16.4, "entropy": 0.05} | numbers
    said = describe_view(changed(uniform_statistics(), 0, 1, **sink), 0, 1)
    assert all(word in said for word in ["gives 97% to the class token", *words]), said
    assert not any(word in said for word in ["global", "focused", "chance", "px"]), said
    looks = describe_view(changed(uniform_statistics(), 0, 1, **sink | {"cls_to_itself": 0.05}), 0, 1)
    assert "The class token gives itself only 5.0%. The class token puts" in looks
    mean = describe_view(changed(uniform_statistics(), 0, 2, prefix_share=0.97, cls_to_itself=0.99), 0, 2)
    assert mean == "It hardly looks at the picture: it gives 97% to the class token."
    just_below = describe_view(changed(uniform_statistics(), 0, 1, prefix_share=0.79), 0, 1)
    assert "sink" not in just_below and "global" in just_below


def test_attended_by_has_a_sentence_of_its_own():
    flat = uniform_statistics()
    assert "class token 1.5% of their attention on average; an even share is 1.5%: about" in describe_received(
        flat, 0, 0
    )
    assert "30% of their attention" in describe_received(changed(flat, 0, 0, attention_to_cls=0.3), 0, 0)
    assert describe_received(flat, 1, 0) == nothing_reads(flat)
    assert "Nothing reads this" in nothing_reads(flat)


def test_the_first_layers_rollout_is_described_as_the_mean_of_its_heads():
    found = head_statistics(traced(random_maps((3, 4), 1), (3, 4), 1), torch.rand(2, 3, 4))
    mean, rolled = describe_view(found, 0, 2), describe_view(found, 0, 3)
    assert rolled == f"What skip connections alone carried is left out here. {mean}"


@pytest.mark.parametrize(
    ("area", "words"),
    [
        (0.0, "This picture has none of the object"),
        (1.0, "This picture is all object"),
        (None, "The class token gives itself 1.5%"),
    ],
)
def test_where_there_is_no_share_of_an_object_the_sentence_says_why(area, words):
    assert words in describe_view(uniform_statistics(area), 0, 0)
    compared = early_against_late(uniform_statistics(area)).sentence
    assert "object" not in compared and "None" not in compared and "nan" not in compared


def test_a_class_token_that_keeps_all_to_itself_is_not_said_to_look_anywhere():
    words = describe_view(changed(uniform_statistics(), 1, 0, cls_to_itself=0.86), 1, 0)
    assert "gives itself 86%, so where the rest falls says little" in words and "chance" not in words


def test_early_and_late_are_the_means_of_the_first_and_last_third_where_they_count():
    flat = uniform_statistics(L=7)
    layers = torch.arange(7.0)[:, None] + torch.zeros(4)
    distance = 2 + layers
    distance[-1] = torch.nan
    values = {**flat.values, "distance": distance, "cls_entropy": 4 - layers / 2, "object_share": 0.2 + layers / 10}
    statistics = replace(flat, values=values)
    compared = early_against_late(statistics)
    assert compared.layers == 2
    assert (compared.early["distance"], compared.late["distance"]) == (2.5, 7)
    assert (compared.early["cls_entropy"], compared.late["cls_entropy"]) == (3.75, 1.25)
    assert compared.late["attention_to_cls"] == pytest.approx(1 / 65)
    assert compared.sentence == (
        "The first 2 layers look 2.5 px away on average, layer 6 7.0 px; layer 7 has no distance, since only the class "
        "token is read after it; from the first 2 layers to the last 2 layers the entropy of the class token goes 3.75 "
        "→ 1.25 nats of at most 4.17; attention on the object 25% → 75%, which covers 25% of the picture. "
        "Later heads look farther, focus more and look more at the object."
    )
    backwards = {name: torch.cat([values[name][:-1].flip(0), values[name][-1:]]) for name in values}
    backwards |= {name: values[name].flip(0) for name in ("cls_entropy", "object_share")}
    said = early_against_late(replace(statistics, values=backwards)).sentence
    assert said.endswith("Later heads look less far, spread more and look less at the object.")
    same = early_against_late(flat).sentence
    assert all(w in same for w in ["about as far", "about as focused", "about as much at the object"]), same


def test_heads_that_hardly_look_have_no_part_in_where_early_and_late_heads_look():
    flat = uniform_statistics(0.25, L=6)
    sink = changed(flat, 4, 0, prefix_share=0.99, distance=90.0)
    sink = changed(sink, 5, 1, cls_to_itself=0.97, object_share=0.0)
    plain, without = early_against_late(flat), early_against_late(sink)
    assert without.late["distance"] == pytest.approx(plain.late["distance"])
    assert without.late["object_share"] == pytest.approx(plain.late["object_share"])
    assert "left out" in without.sentence and "left out" not in plain.sentence
    for head in range(2):  # none is left in the last third
        sink = changed(changed(sink, 4, head, prefix_share=0.99), 5, head, cls_to_itself=0.97)
        sink = changed(sink, 4, head, cls_to_itself=0.97)
    none = early_against_late(sink)
    assert none.late["distance"] is None and none.late["object_share"] is None
    assert "px" not in none.sentence and "object" not in none.sentence and "class token goes" in none.sentence


def test_what_patches_do_not_get_is_said_beside_the_distance():
    words = describe_view(changed(uniform_statistics(), 0, 1, prefix_share=0.47, distance=15.9), 0, 1)
    assert words.startswith("It gives 47% to the class token; what it gives patches lies 15.9 px away")
    assert describe_view(changed(uniform_statistics(), 0, 1, prefix_share=0.1), 0, 1).startswith("It looks")


def test_what_the_last_layer_gives_the_class_token_is_said_where_there_is_no_distance():
    kept = changed(uniform_statistics(), 1, 0, prefix_share=0.75, cls_to_itself=0.75)
    assert "counts. It gives 75% to the class token. Entropy" in describe_view(kept, 1, 0)


def test_a_single_layer_is_not_compared_with_itself():
    compared = early_against_late(uniform_statistics(L=1))
    assert compared.early == compared.late and compared.early["distance"] is None
    assert "one layer" in compared.sentence


def test_where_the_last_third_has_no_distance_none_is_compared():
    compared = early_against_late(uniform_statistics(L=3))
    assert compared.late["distance"] is None and compared.early["distance"] > 0
    assert compared.sentence.startswith("Layer 3 has no distance") and "px" not in compared.sentence


@pytest.mark.parametrize(
    "build",
    [
        {"depth": 1, "num_heads": 1},
        {"stem": "conv", "depth": 2},
        {"distilled": True, "depth": 2},
        {"img_size": 4, "patch_size": 4, "depth": 2},
        {"img_size": 74, "patch_size": 2, "depth": 2, "num_heads": 1, "embed_dim": 8},
    ],
    ids=["one layer, one head", "conv stem", "distilled", "one patch", "1370 tokens"],
)
@pytest.mark.parametrize("mask", [None, 0, 1], ids=["no mask", "no object", "all object"])
def test_every_model_and_picture_has_words_and_none_of_them_is_nan(build, mask):
    torch.manual_seed(0)
    model = ViT(**{"embed_dim": 24, "num_heads": 3} | build).eval()
    model.classes = tuple(map(str, range(10)))
    size = model.config["img_size"]
    masked = None if mask is None else torch.full((size, size), bool(mask))
    told = Analysis(model, torch.rand(3, size, size), masked)
    said = [sentence for layers in told.sentences.values() for views in layers for sentence in views]
    said += [told.comparison.sentence, told.describe_relevance(0)]
    for sentence in said:
        assert len(sentence) > 20 and not any(word in sentence for word in ("nan", "None", "inf ")), sentence
    numbers = told.report()
    assert all(number is None or math.isfinite(number) for number in numbers["uniform"].values())
    assert {row.name for row in TABLE} <= numbers.keys()


def test_saturation_is_spoken_of_where_it_applies():
    assert "a small total does not mean less evidence" in describe_relevance("cat", 0.0084, 0.91)
    sure = describe_relevance("cat", 0.0229, 0.89)
    assert sure == "Total 0.0229 for cat, which the model gives 89%."


@pytest.mark.parametrize(("layer", "view", "words"), [(2, 0, "layer 2"), (0, -1, "head -1"), (0, 4, "head 4")])
def test_what_is_not_there_is_refused(layer, view, words):
    with pytest.raises(ValueError, match=words):
        describe_view(uniform_statistics(), layer, view)
