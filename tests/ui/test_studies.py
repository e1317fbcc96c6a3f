"""The Attention tab's analysis for programs, through a real server and client; and its tables."""

import re

import numpy as np
import pytest
import torch
from gradio_client.exceptions import AppError

from vit.interpret import heads
from vit.live import models
from vit.ui.attention import studies
from vit.weights.checkpoint import from_pretrained


def test_attention_of_a_patch_and_rollout(client, picture):
    by_patch, _ = client.predict(picture, "shapes", 2, 1, "3,4", "heads", api_name="/attention")
    of_class, _ = client.predict(picture, "shapes", 2, 1, api_name="/attention")
    through, _ = client.predict(picture, "shapes", 2, 0, "", "rollout", api_name="/attention")
    assert len({str(result["grid"]) for result in (by_patch, of_class, through)}) == 3
    for query, words in (("9,1", "rows 1 to 8, got '9'"), ("3", "row,column"), ("a,b", "rows 1 to 8")):
        with pytest.raises(AppError, match=words):
            client.predict(picture, "shapes", 2, 1, query, "heads", api_name="/attention")


def test_statistics_of_all_heads(client, picture):
    said = client.predict(picture, "shapes", api_name="/attention_statistics")
    assert [len(row) for row in said["distance"]] == [4, 4, 4] and said["distance"][2] == [None] * 4
    assert "Later heads" in said["sentence"]
    assert max(map(max, said["entropy"])) <= said["max_entropy"] and said["object"] == "the middle of the picture"


def test_relevance_of_two_classes(client, picture):
    heart, _ = client.predict(picture, "shapes", "heart", api_name="/relevance")
    ring, _ = client.predict(picture, "shapes", "ring", api_name="/relevance")
    assert heart["grid"] != ring["grid"] and min(map(min, heart["grid"])) >= 0
    with pytest.raises(AppError, match="no class 'dog'; choose one of arrow"):
        client.predict(picture, "shapes", "dog", api_name="/relevance")


def test_heads_off_by_name(client, picture):
    whole = client.predict(picture, "shapes", "", api_name="/without_heads")
    without = client.predict(picture, "shapes", "1.1, 2.3", api_name="/without_heads")
    assert whole != without and sum(without.values()) == pytest.approx(1, abs=1e-4)
    with pytest.raises(AppError, match="heads 1 to 4"):
        client.predict(picture, "shapes", "1.9", api_name="/without_heads")


def test_importance_and_regions_grow_and_can_be_stopped(client):
    job = client.submit("shapes", 40, api_name="/head_importance")
    last = job.result()
    assert last["done"] == 1 and last["n"] == 40 and len(job.outputs()) > 2
    low, drop, high = (torch.tensor(last[name]) for name in ("low", "drop", "high"))
    assert (low < drop).all() and (drop < high).all()
    ranked = client.predict("shapes", 40, api_name="/head_regions")["ranked"]
    assert ranked[0]["ratio"] >= ranked[-1]["ratio"] and ranked[0]["examples"]
    long = client.submit("shapes", 1000, api_name="/head_importance")
    while not long.outputs():
        assert not long.done()
    assert long.cancel()
    with pytest.raises(AppError, match="2 to 1000"):
        client.predict("shapes", 0, api_name="/head_importance")


def test_tables_say_what_the_numbers_say(shapes):
    model, part = from_pretrained(models.CHECKPOINTS / "shapes"), shapes.test.take(slice(40))
    found = list(heads.head_importance(model, part))[-1]
    table = studies.importance_table(found, "shapes")
    assert "No head stands out" in table and not found.best.clear and "over 40 pictures" in table
    assert table.count("data-show") == table.count('data-model="shapes"') == 12  # each leads to its head
    regions = list(heads.head_regions(model, part))[-1]
    best = next(row for row in regions.ranked(1000) if row["clear"])
    table = studies.regions_table(regions, part)
    assert f"favors the {best['region']} most" in table
    ratios = [float(ratio) for ratio in re.findall(r"<b>([\d.]+) ×</b>", table)]
    assert ratios == sorted(ratios, reverse=True) and len(ratios) == (regions.counts >= heads.FEW_PICTURES).sum()


def test_heads_of_no_worth_are_not_counted_and_have_no_color():
    drops = torch.zeros(100, 1, 2)
    drops[:, 0, 0] = 0.2
    table = studies.importance_table(heads.HeadImportance(1.0, drops))
    assert "Layer 1, head 1 is worth most" in table and "Of 2 heads, 1 surely helps and 0 surely harm" in table
    assert table.count(" 0%, transparent") == 1


def test_a_head_that_does_not_stand_out_is_not_named():
    drops = 0.05 * torch.randn(40, 2, 3, generator=torch.Generator().manual_seed(0))
    sentence = studies.importance_sentence(heads.HeadImportance(1.0, drops))
    assert sentence.startswith("No head stands out") and "pictures" in sentence


def test_what_it_would_say_after_each_layer(client, picture):
    said = client.predict(picture, "shapes", api_name="/logit_lens")
    assert [len(said["class_token"]), len(said["patches"])] == [3, 3]  # a row a layer
    assert all(sum(row.values()) == pytest.approx(1, abs=1e-4) for row in said["class_token"])
    whole = client.predict(picture, "shapes", "", api_name="/without_heads")
    assert said["class_token"][-1] == pytest.approx(whole, abs=1e-4)
    assert all(len(grid) == 8 and all(len(row) == 8 for row in grid) for grid in said["patches"])


def test_position_similarity_is_one_at_the_patch_itself(client):
    grids = np.array(client.predict("shapes", api_name="/position_similarity"))
    assert grids.shape == (8, 8, 8, 8)
    assert np.einsum("ijij->ij", grids) == pytest.approx(1, abs=1e-4)
    with pytest.raises(AppError, match="No model is called 'none'"):
        client.predict("none", api_name="/position_similarity")


def test_a_model_of_some_classes_is_studied_on_their_pictures(shapes, monkeypatch, small_vit):
    small_vit.classes, small_vit.trained = ("heart", "moon"), {"dataset": "shapes"}
    monkeypatch.setattr(studies.models, "find", lambda key: small_vit)
    monkeypatch.setattr(studies.pictures, "gallery_source", lambda key: "shapes")
    _, part, places = studies.model_and_pictures("few", 60)
    assert part.classes == ("heart", "moon") and set(part.labels.tolist()) == {0, 1}
    assert torch.equal(part.images, shapes.test.images[places])
    names = [shapes.test.classes[label] for label in shapes.test.labels[places].tolist()]
    assert names == [part.classes[label] for label in part.labels.tolist()]


def test_examples_are_places_in_the_test_set(shapes):
    _, part, places = studies.model_and_pictures("shapes", 60)
    assert torch.equal(part.images, shapes.test.images[places])
    found = list(studies.head_regions("shapes", 60))[-1]["ranked"]
    plain = list(heads.head_regions(studies.model_and_pictures("shapes", 60)[0], part, studies.BATCH))[-1].ranked(100)
    assert [row["examples"] for row in found] == [[places[i] for i in row["examples"]] for row in plain]


def test_covering_a_map_s_brightest_fifth_beside_random_fifths(client, picture):
    grid = [[8 * row + column for column in range(8)] for row in range(8)]
    found = client.predict(picture, "shapes", grid, api_name="/cover")
    assert found["class"] in client.predict(picture, "shapes", "", api_name="/without_heads")
    assert -100 <= found["brightest"] <= 100 and len(found["draws"]) == 5
    assert found["random"] == pytest.approx(sum(found["draws"]) / 5, abs=1e-3)
    assert client.predict(picture, "shapes", grid, api_name="/cover") == found
    with pytest.raises(AppError, match="8 rows of 8"):
        client.predict(picture, "shapes", grid[1:], api_name="/cover")
