"""One analysis for all who ask: the page, its questions, the endpoints and the command line give the same numbers."""

import base64
import copy
import json
import os
import time
import zlib
from collections import OrderedDict

import numpy as np
import pytest
from matplotlib import figure as drawing
from PIL import Image

from vit.cli import main
from vit.interpret.statistics import TABLE
from vit.live import models, sizes
from vit.live.uploads import KEPT
from vit.ui import analysis, page, pictures, poke
from vit.ui.attention import api, probes
from vit.ui.classify import answer
from vit.ui.errors import BadInput
from vit.ui.heads_off import without_heads

CHECKPOINTS = ("shapes", "cifar10")

pytestmark = pytest.mark.usefixtures("nothing_kept")


@pytest.fixture
def picture(shapes, tmp_path) -> str:
    Image.fromarray(shapes.test.images[17].permute(1, 2, 0).numpy()).save(tmp_path / "picture.png")
    return str(tmp_path / "picture.png")


@pytest.fixture
def command(picture, capsys):
    """What `python -m vit attention --json` prints."""

    def command(key: str, *flags: str) -> dict:
        main(["attention", str(models.CHECKPOINTS / key), picture, "--json", *flags])
        return json.loads(capsys.readouterr().out)

    return command


def close(a, b) -> None:
    a, b = (np.array(x, dtype=float) for x in (a, b))  # None becomes NaN
    assert a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("key", CHECKPOINTS)
def test_page_endpoint_and_command_line_give_the_same_number(key, picture, command):
    seen = analysis.analyze(key, ("upload", picture))
    L, heads, depth = *seen.maps.shape[1:3], seen.depth  # a read-out is one more
    sent = analysis.payload(seen, key, ("upload", picture))
    asked, said = api.attention_statistics(picture, key), command(key)
    for row, sent_row in zip(TABLE, sent["statistics"], strict=True):
        assert np.array(asked[row.name], dtype=float).shape == (depth, heads)
        close([layer[:heads] for layer in sent_row["values"]], asked[row.name])
        close(said[row.name], asked[row.name])
        close([sent_row["uniform"]] * 2, [asked["uniform"][row.name], said["uniform"][row.name]])
        for which in ("early", "late"):
            close([sent["comparison"][which][row.name]] * 2, [asked[which][row.name], said[which][row.name]])
    assert sent["comparison"]["sentence"] == asked["sentence"] == said["sentence"]

    token = {"token": sent["token"]}
    for layer in range(1, depth + 1):
        for head in range(heads + 1):
            numbers, none = api.attention(picture, key, layer, head)
            assert none is None
            close(numbers["grid"], seen.grid(layer - 1, head - 1 if head else None).tolist())
    last = dict(probes.lens(token)["cls"][-1])
    lens = api.logit_lens(picture, key)["class_token"]
    assert len(lens) == L == len(said["logit_lens"])
    for c, p in last.items():
        close([p, p], [lens[-1][seen.model.classes[c]], said["logit_lens"][-1][seen.model.classes[c]]])
        close(p, seen.probabilities[c].item())
    off = without_heads({**token, "off": [[0, 1], [depth - 1, 0]]})["probabilities"]
    close(off, list(api.without_heads(picture, key, f"1.2, {depth}.1").values()))
    name = seen.model.classes[3]
    why, answer = api.relevance(picture, key, name)[0], probes.relevance({**token, "classes": [3]})
    close(np.ravel(why["grid"]), answer["grids"][0])
    close(np.ravel(command(key, "--relevance", name)["grid"]), answer["grids"][0])
    assert why["sentence"] == answer["sentences"][0]
    assert why["total"] == pytest.approx(sum(answer["grids"][0]), rel=1e-5)
    of_patch = api.attention(picture, key, 2, 3, "2,5")[0]["grid"]
    close(command(key, "--layer", "2", "--head", "3", "--query", "2,5")["grid"], of_patch)
    rolled = api.attention(picture, key, 2, 0, "", "rollout")[0]["grid"]
    close(command(key, "--layer", "2", "--rollout")["grid"], rolled)
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(sent["patches"])), "<f4").reshape(
        4, 2, depth, heads + 2, -1
    )
    close(numbers[2:, 0, 1, 2, seen.model.grid_size[1] + 4], [np.max(of_patch), np.argmax(of_patch)])


def test_endpoints_asked_for_numbers_draw_nothing(picture, monkeypatch):
    drawn = []
    monkeypatch.setattr(drawing.Figure, "savefig", lambda *args, **options: drawn.append(args))
    api.attention(picture, "shapes", 1, 1)
    api.relevance(picture, "shapes", "ring")
    assert not drawn
    monkeypatch.undo()
    assert api.attention(picture, "shapes", 1, 1, figure=True)[1].width > 100
    assert api.relevance(picture, "shapes", "ring", figure=True)[1].width > 100


def test_a_head_of_a_rollout_is_refused_by_name(picture):
    with pytest.raises(BadInput, match="head does nothing with it, got 2; give 0"):
        api.attention(picture, "shapes", 1, 2, "", "rollout")


def test_a_picture_is_analysed_once_while_it_is_kept(picture, small_vit, monkeypatch):
    seen = analysis.analyze("shapes", ("upload", picture))
    assert analysis.analyze("shapes", ("upload", picture)) is seen
    assert analysis.analyze("shapes", ("shapes", 17)) is not seen
    small_vit.classes = tuple("abcdefghij")
    monkeypatch.setattr(models, "find", lambda key: small_vit)
    assert analysis.analyze("shapes", ("upload", picture)).model is small_vit  # another model of that name


def test_what_is_kept_is_bounded_in_bytes_and_the_oldest_goes_first(monkeypatch):
    kept = analysis.analyze("shapes", ("shapes", 0))
    size = kept.maps.nbytes + kept.images.nbytes
    monkeypatch.setattr(analysis, "KEPT_BYTES", 3 * size)
    first = analysis.analyze("shapes", ("shapes", 0))
    for i in range(1, 3):
        analysis.analyze("shapes", ("shapes", i))
    assert analysis.analyze("shapes", ("shapes", 0)) is first  # and now the last used
    analysis.analyze("shapes", ("shapes", 3))
    assert [picture[1] for _, picture in analysis._predictions] == [2, 0, 3]
    monkeypatch.setattr(analysis, "KEPT_BYTES", 1)
    analysis.analyze("shapes", ("shapes", 4))
    assert [picture[1] for _, picture in analysis._predictions] == [4]


def test_models_that_kept_predictions_hold_count_each_once_from_a_size_on(small_vit, monkeypatch):
    small_vit.classes = tuple("abcdefghij")
    found = {"one": small_vit, "same": sizes.at(small_vit, 48), "other": copy.deepcopy(small_vit)}
    monkeypatch.setattr(models, "find", found.__getitem__)

    def kept_after(*keys: str) -> list[str]:
        for key in keys:
            analysis.analyze(key, ("shapes", 0))
        return [key for key, _ in analysis._predictions]

    assert kept_after(*found) == [*found]
    weights = sum(tensor.nbytes for tensor in small_vit.state_dict().values())
    monkeypatch.setattr(analysis, "FREE_WEIGHTS", weights)
    two = sum(analysis._size(prediction) for (key, _), prediction in analysis._predictions.items() if key != "one")
    monkeypatch.setattr(analysis, "KEPT_BYTES", two + weights // 2)
    del analysis._predictions["other", ("shapes", 0)]
    assert kept_after("other") == ["other"]  # of the two before, either holds most of the weights of both
    assert kept_after("one", "same") == ["one", "same"]


def test_what_is_made_of_an_upload_is_gone_an_hour_after_it_came_and_all_else_stays(picture, monkeypatch):
    """Classify's previews and answers, Attention's maps, the lesson's and all tabs' tokens are in these."""
    monkeypatch.setattr(analysis, "_tokens", OrderedDict())
    sent, ours = ("upload", picture), ("shapes", 17)
    told = [analysis.payload(analysis.analyze("shapes", one), "shapes", one) for one in (sent, ours)]
    answer.payload(analysis.predict("shapes", sent), "shapes", sent)
    framed = (*sent, (0.1, 0.1, 0.5))
    answer.payload(analysis.predict("shapes", framed), "shapes", framed)
    poke.poked({"token": told[0]["token"], "covered": [1], "changes": {}})
    came, kept = os.stat(picture).st_ctime, set(analysis._predictions)
    assert answer._preview.cache_info().currsize
    page.let_go(came + KEPT - 1)
    assert set(analysis._predictions) == kept == {("shapes", sent), ("shapes", ours), ("shapes", framed)}
    page.let_go(came + KEPT)
    assert list(analysis._predictions) == [("shapes", ours)] and list(analysis._tokens) == [told[1]["token"]]
    assert not answer._preview.cache_info().currsize
    with pytest.raises(BadInput, match="choose the picture again"):
        analysis.recall(told[0]["token"])
    monkeypatch.setattr(time, "time", lambda: came + KEPT)
    with pytest.raises(BadInput, match="deleted 70 minutes after it was sent at the latest; send it again"):
        analysis.predict("shapes", sent)
    assert list(analysis._predictions) == [("shapes", ours)], "nothing of it is made anew before its file goes, too"


def test_no_string_of_an_uploads_pixels_is_kept_for_others(picture):
    before = pictures._shared_png.cache_info().misses
    seen = analysis.analyze("shapes", ("upload", picture))
    assert analysis.told(seen, "shapes", ("upload", picture))["image"].startswith("data:image/png")
    assert pictures._shared_png.cache_info().misses == before
    ours = analysis.analyze("shapes", ("shapes", 17))
    assert (
        analysis.told(ours, "shapes", ("shapes", 17))["image"] is analysis.told(ours, "shapes", ("shapes", 17))["image"]
    )


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--relevance", "ring", "--layer", "2"], ["--layer", "--relevance"]),
        (["--relevance", "ring", "--head", "2", "--query", "3,3"], ["--head, --query", "--relevance"]),
        (["--rollout", "--head", "1"], ["--head", "--rollout"]),
    ],
)
def test_flags_that_would_do_nothing_are_refused_by_name(picture, capsys, flags, named):
    assert main(["attention", str(models.CHECKPOINTS / "shapes"), picture, "--json", *flags]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in [*named, "would do nothing"]) and said.count("\n") == 1


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda p: api.attention(p, "shapes", float("inf"), 0), "layer must be a finite number, got inf"),
        (lambda p: api.attention(p, "shapes", 1, 1e999), "head must be a finite number, got inf"),
        (lambda p: api.attention(p, "shapes", float("nan"), 0), "got nan"),
        (lambda p: api.attention(p, "shapes", None, 0), "got None"),
        (lambda p: api.attention(p, "shapes", 1, 0, "inf,1"), "rows 1 to 8, got 'inf'"),
        (lambda p: api.attention(p, "shapes", 1, 0, 5), "query must be a text, got 5"),
        (lambda p: api.attention(p, "shapes", 1, 0, "", ["heads"]), "mode must be a text"),
        (lambda p: api.without_heads(p, "shapes", None), "off must be a text, got None"),
        (lambda p: api.without_heads(p, "shapes", "1.inf"), "heads 1 to 4, got 'inf'"),
        (lambda p: api.relevance(p, "shapes", ["ring"]), "class_name must be a text"),
    ],
)
def test_what_endpoints_cannot_take_is_named(picture, ask, words):
    with pytest.raises(BadInput) as error:
        ask(picture)
    assert words in error.value.sentence


@pytest.mark.parametrize("question", [None, 5, [], {}, {"token": None}])
def test_a_question_that_is_none_is_answered_in_words(question):
    assert probes.lens(question)["error"]


def test_heads_that_are_no_numbers_are_answered_in_words():
    token = analysis.remember("shapes", ("shapes", 0))
    for off in (None, 5, [[1]], [["a", "b"]], [[float("inf"), 0]], [[99, 0]]):
        assert without_heads({"token": token, "off": off})["error"]
