"""The dozen pictures that the page shows first: each is what its reason says, and none is there twice."""

import pytest
import torch

from vit.interpret.analysis import Analysis
from vit.interpret.curated import DOZEN, Seen, curate
from vit.interpret.telling import head_scores, telling_heads
from vit.live import models, stored
from vit.ui import pictures
from vit.weights.checkpoint import PICTURES


def seen(truth: int, said: int, sure: float, telling=0.1, on_object=0.1, before=None) -> Seen:
    """Of four classes; what is not given to the one that it says is shared by the others."""

    def shares(best: int, most: float) -> torch.Tensor:
        return torch.full((4,), (1 - most) / 3).index_fill(0, torch.tensor(best), most)

    return Seen(truth, shares(said, sure), shares(*(before or (said, sure))), telling, on_object)


def test_each_picture_is_there_for_its_reason():
    plain = [seen(i % 4, i % 4, 0.97) for i in range(40)]
    plain[7] = seen(3, 3, 0.9, telling=0.8)
    plain[9] = seen(1, 1, 0.9, on_object=0.9)
    plain[12] = seen(0, 0, 0.9, before=(2, 0.95))
    plain += [seen(1, 2, 0.99, telling=1.0), seen(1, 2, 0.98), seen(2, 1, 0.9)]  # mistakes: 40, 41, 42
    plain += [seen(1, 1, 0.6), seen(2, 2, 0.6)]  # 43, 44
    chosen = curate(plain)
    places = [place for place, _ in chosen]
    assert len(set(places)) == DOZEN
    assert places[:7] == [7, 43, 44, 40, 42, 9, 12]
    assert [why for _, why in chosen[3:5]] == ["a sure mistake"] * 2
    assert {plain[place].truth for place in places} == {0, 1, 2, 3}
    assert curate(plain) == chosen


def test_few_pictures_and_none_are_no_error():
    assert curate([]) == []
    assert [place for place, _ in curate([seen(0, 0, 0.5)])] == [0]
    assert {place for place, _ in curate([seen(0, 1, 0.5), seen(1, 1, 0.5)])} == {0, 1}


@pytest.mark.parametrize("kind", ["class token", "attn"])
def test_what_the_rule_reads_is_what_the_analysis_tells(kind, shapes):
    from tests.conftest import of_kind

    model = of_kind(kind)
    model.classes = shapes.test.classes
    analysis = Analysis(model, shapes.test.images[3], shapes.test.masks[3])
    one = Seen.of(analysis, 2)
    assert one.telling == pytest.approx(telling_heads(analysis)[0].score) == head_scores(analysis).max().item()
    assert torch.equal(one.before, analysis.lens[0][-2]) and 0 <= one.on_object <= 1
    assert one.other_before() <= one.before.max().item()


def test_the_galleries_begin_with_what_was_chosen_and_bad_files_are_left_out(monkeypatch, tmp_path, shapes, small_vit):
    from vit.data import Splits
    from vit.live.datasets import SOURCES

    small_vit.classes, small_vit.trained = shapes.test.classes, {"dataset": "shapes", "model": "vit_live"}
    small_vit.save_pretrained(tmp_path / "mine")
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(SOURCES["shapes"], "splits", Splits(*(part.take(slice(200)) for part in shapes)))
    stored.log_once.cache_clear()
    file, plain = tmp_path / "mine" / PICTURES, pictures.chosen("shapes", 0)
    assert pictures.offered("mine", "shapes", 0) == plain
    said = '{"dataset": "%s", "pictures": [{"index": 9, "why": "a sure mistake"}, {"index": %s, "why": ""}]}'
    file.write_text(said % ("shapes", 10**6))  # the second is in no test set
    offered = pictures.offered("mine", "shapes", 0)
    assert offered[0] == 9 and len(offered) == len(plain) and pictures.offered("mine", "shapes", 1)[0] != 9
    first = pictures.gallery("mine", 0, ("shapes", 9))["pictures"][0]
    assert first["name"] == "shapes-9" and first["label"].endswith(": a sure mistake")
    for wrong in ("", "[]", said % ("shapes", -1), said % ("cifar10", 3)):
        file.write_text(wrong)
        assert pictures.offered("mine", "shapes", 0) == plain
