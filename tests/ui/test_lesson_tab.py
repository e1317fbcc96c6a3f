"""The lesson without a browser: its words are true of every kind of model, and its numbers are trace's."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from tests.conftest import KINDS, ROOT, of_kind
from vit import ViT
from vit.cnn import CNN
from vit.interpret.attention import entropy_of
from vit.interpret.lesson import asking
from vit.live import models, settings
from vit.live.datasets import SOURCES
from vit.ui import analysis, at_hand, glossary
from vit.ui.errors import BadInput
from vit.ui.lesson import api, asked, experiments, payload, tab
from vit.ui.lesson.source import line
from vit.ui.lesson.steps import MOST_WORDS, steps

PICTURE = ("shapes", 17)

pytestmark = pytest.mark.usefixtures("nothing_kept")


@pytest.fixture
def seen(monkeypatch, shapes):
    """The analysis of a picture by a model of a kind, which is then the only model, and the lesson's first payload."""

    def seen(model: ViT):
        monkeypatch.setattr(SOURCES["shapes"], "splits", shapes)
        if model.config["num_classes"]:
            model.classes = shapes.test.classes
        model.trained = {"dataset": "shapes"}
        monkeypatch.setattr(models, "find", lambda key: model)
        found = analysis.analyze("m", PICTURE)
        return found, json.loads(json.dumps(payload.opening(found, "m", PICTURE), allow_nan=False))

    return seen


def unpack(sent: dict) -> dict[str, np.ndarray]:
    raw, arrays, at = zlib.decompress(base64.b64decode(sent["bytes"])), {}, 0
    kind = np.dtype("<f4" if sent["exact"] else "<f2")
    for name, shape in sent["shapes"].items():
        count = int(np.prod(shape))
        arrays[name] = np.frombuffer(raw, kind, count, at).reshape(shape)
        at += count * kind.itemsize
    assert at == len(raw)
    return arrays


@pytest.mark.parametrize("kind", KINDS)
def test_words_are_short_and_true_of_the_model_and_code_stands_where_it_is_said_to(kind):
    model = of_kind(kind)
    told = steps(model)
    assert [step.name for step in told] == list(api.STEPS)
    for step in told:
        assert len(step.words.split()) <= MOST_WORDS and step.code and step.formula and step.task
        for code in step.code:
            lines = (ROOT / code.file).read_text(encoding="utf-8").splitlines()
            assert code.text.startswith(lines[code.number - 1].split("  # ")[0].strip()), code
    words = " ".join(step.words for step in told)
    assert ("the read-out's mean" in words) == model.has_readout
    assert ("the class token is read" in words) == (not model.has_readout and kind != "distilled")
    assert ("class and distillation: 24 numbers each" in words) == (kind == "distilled")
    assert ("convolutions" in words) == (model.config["stem"] == "conv")


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_page_is_sent_are_the_numbers_of_the_trace(kind, seen):
    found, sent = seen(of_kind(kind))
    model, record, token = found.model, found.record, {"token": sent["token"]}
    assert sent["reach"] == (7 if kind == "conv stem" else 0)
    assert len(sent["prefix"]) == model.num_prefix_tokens and sent["classes"][sent["best"]] in model.classes
    embedded = unpack(asked.embedding(token))
    places = model.pos_embed[0, model.num_prefix_tokens :].detach()
    both = torch.tensor(embedded["tokens"]) + places
    torch.testing.assert_close(both, record.embeddings[0, model.num_prefix_tokens :], atol=1e-5, rtol=1e-5)
    for at in range(record.num_maps):
        told = record.layers[at] if at < len(record.layers) else record.readout
        layer = unpack(asked.layer({**token, "layer": at}))
        for name in ("q", "k", "v"):
            assert np.array_equal(layer[name], getattr(told, name)[0].numpy())
        off = unpack(asked.heads_off({**token, "layer": at}))["probabilities"]
        assert np.allclose(off[1], found.without_heads([(at, 1)]).numpy(), atol=1e-6)
    blocks, said = unpack(asked.blocks(token)), unpack(asked.verdict(token))
    assert np.allclose(blocks["read"][-1, 0], found.lens[0][-1].max().item(), atol=1e-6)
    assert np.array_equal(said["logits"], record.logits[0].numpy())
    made = said["weights"] @ said["read"] + said["bias"]
    assert np.allclose(made, said["logits"][asked.verdict(token)["classes"]], atol=1e-4)
    assert np.array_equal(said["attention"].reshape(8, 8), found.grid(found.depth - 1).numpy())
    shuffled = asked.shuffled({**token, "seed": 3})
    assert shuffled["difference"] < 1e-5 and sorted(shuffled["order"]) == list(range(64))
    assert set(asked.costs(token)["costs"]) == {"attention", "relevance", "random"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_word_of_the_glossary_has_a_number_of_the_view_at_hand(kind, seen):
    found, sent = seen(of_kind(kind))
    record, prefix = found.record, found.record.num_prefix_tokens
    words = {entry.name: entry.step for entry in glossary.ENTRIES}
    assert set(words) == set(at_hand.WORDS) and set(words.values()) <= set(range(1, 8))

    def ask(word, at="1.2.28"):
        return at_hand.at_hand({"token": sent["token"], "word": word, "at": at})

    for at in ("", "1.2.28", "0.0.-1", f"{record.num_maps - 1}.1.3"):
        assert all(re.search(r"\d", ask(word, at)["says"]) for word in words)
    told = asking(record, 1, 2, prefix + 28)
    assert "64 patches of 4 × 4 pixels; marked is the one in row 4, column 5" in ask("patch")["says"]
    assert ask("head")["map"] == pytest.approx(record.layers[1].map[0, 2, prefix + 28, prefix:].tolist(), abs=1e-6)
    assert f"product is {told.products.max():.2f}.".replace("-", "−") in ask("key")["says"]
    spread = entropy_of(told.weights)
    assert (
        f"{spread:.2f} nats" in ask("entropy")["says"] and f"wide as {spread.exp():.1f} tokens" in ask("nats")["says"]
    )
    assert f"weights up to {100 * told.weights.max():.1f}%" in ask("softmax")["says"]
    assert ask("position embedding")["map"][28] == pytest.approx(1) and ask("position embedding")["patch"] == 28
    rolled, best = found.grid(found.depth - 1, rolled=True), int(found.probabilities.argmax())
    assert ask("rollout")["map"] == pytest.approx(rolled.flatten().tolist())
    assert ask("relevance")["map"] == pytest.approx(found.relevance([best]).flatten().tolist())
    looks, none = ("read-out", "class token") if found.model.has_readout else ("class token", "read-out")
    assert ask(looks)["map"] == pytest.approx(found.grid(found.depth - 1).flatten().tolist())
    assert ask(none)["says"].startswith("This model has none")


def test_words_without_a_number_here_say_why(seen):
    _, sent = seen(ViT(embed_dim=24, depth=2, num_heads=3, num_classes=0).eval())
    for word in ("logit", "relevance"):
        assert at_hand.at_hand({"token": sent["token"], "word": word})["says"].startswith(
            "This model has no class head"
        )
    assert "word must be one of" in at_hand.at_hand({"token": sent["token"], "word": "magic"})["error"]
    assert glossary.about(None, None) == {"message": models.ADVICE}


@pytest.mark.parametrize("key", ["shapes", "cifar10"])
def test_a_layer_of_the_shipped_models_comes_at_once_unrounded_and_below_3_mb(key, shapes, monkeypatch):
    monkeypatch.setattr(SOURCES["shapes"], "splits", shapes)
    token = {"token": analysis.remember(key, PICTURE)}
    for at in range(analysis.analyze(key, PICTURE).depth):
        sent = asked.layer({**token, "layer": at})
        assert sent["exact"] and sent["shapes"]["q"][0] == 4 and len(json.dumps(sent)) <= 3_000_000
    assert len(json.dumps(asked.embedding(token))) <= 3_000_000 and not asked.learning(token).get("error")


def test_a_large_models_heads_come_one_by_one_and_rounded_where_they_must(seen, monkeypatch):
    with torch.device("meta"):
        dino = ViT(img_size=518, patch_size=14, embed_dim=1024, depth=1, num_heads=16)
    assert payload.comes_by_head(dino) and dino.num_tokens == 1370
    found, sent = seen(of_kind("class token"))
    monkeypatch.setattr(payload, "MOST_BYTES", 4 * 4 / 3 * 3 * 65 * 8 - 1)
    told = asked.layer({"token": sent["token"], "layer": 1, "head": 2})
    assert (told["first"], told["exact"], told["shapes"]["q"]) == (2, False, [1, 65, 8])
    exact = found.record.layers[1].q[0, 2].numpy()
    assert np.abs(unpack(told)["q"][0] - exact).max() <= np.abs(exact).max() / 2000


@pytest.mark.parametrize("change", [{"depth": 1}, {"num_heads": 1}, {"num_classes": 0}, {"patch_size": 16}])
def test_one_layer_one_head_no_class_head_and_four_patches_are_all_told(change, seen):
    model = ViT(**{"embed_dim": 24, "depth": 2, "num_heads": 3, **change}).eval()
    _, sent = seen(model)
    token, named = {"token": sent["token"]}, bool(model.config["num_classes"])
    answers = {ask.__name__: ask({**token, "layer": 0, "head": 0, "seed": 0}) for ask in asked.ASKED}
    wrong = {name for name, said in answers.items() if "error" in said} - {"learning"}
    assert wrong == (set() if named else {"shuffled", "heads_off", "verdict", "costs"})
    assert all(answers[name]["error"] == models.HEADLESS for name in wrong)


def test_a_model_of_convolutions_has_a_sentence_in_place_of_the_lesson():
    assert tab.no_attention()["message"].startswith("The lesson is about patches") and not CNN().has_attention
    assert tab.no_model()["message"] == models.ADVICE


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ({"token": "gone"}, "has forgotten this picture"),
        ({"layer": 3}, "layer must be a whole number from 0 to 2, got 3"),
        ({"layer": "first"}, "layer must be a number"),
        ({"seed": -1, "layer": 0}, "seed must be a whole number"),
    ],
)
def test_a_question_that_makes_no_sense_is_answered_by_a_sentence(question, says, seen):
    _, sent = seen(of_kind("class token"))
    ask = asked.shuffled if "seed" in question else asked.layer
    assert says in ask({"token": sent["token"], **question})["error"]


@pytest.mark.parametrize("step", api.STEPS)
def test_the_endpoint_gives_each_steps_numbers_as_json(step, shapes, tmp_path):
    Image.fromarray(shapes.test.images[17].permute(1, 2, 0).numpy()).save(tmp_path / "picture.png")
    said = api.lesson(str(tmp_path / "picture.png"), "shapes", step, 2, 3, 30)
    assert said["numbers"] and said["words"] and json.dumps(said, allow_nan=False)
    if step == "asking":
        record = analysis.analyze("shapes", ("upload", str(tmp_path / "picture.png"))).record
        assert np.allclose(said["numbers"]["weights"], record.layers[1].map[0, 2, 29].numpy(), atol=1e-6)


@pytest.mark.parametrize(
    ("given", "says"),
    [((None, "shapes", "asking"), "There is no picture"), (("x", "shapes", "eighth"), "step must be one of patches")],
)
def test_the_endpoint_names_what_is_wrong(given, says):
    with pytest.raises(BadInput) as error:
        api.lesson(*given)
    assert says in error.value.sentence


def test_a_line_that_is_gone_is_named_when_the_lesson_is_built():
    with pytest.raises(LookupError, match=r"Attention\.forward mentions magic"):
        line("Attention.forward", "magic")


def test_the_warning_follows_from_what_covering_costs():
    said = asked.warning({"attention": 1.0, "relevance": 40.0, "random": 2.0}, 3, 13)
    assert "3 are the same" in said and "those of attention costs no more than covering random" in said
    assert "those of relevance costs 35 points more" in asked.warning(
        {"attention": 5.0, "relevance": 40.0, "random": 2.0}, 3, 13
    )
    assert "about the same" in asked.warning({"attention": 39.0, "relevance": 40.0, "random": 2.0}, 9, 13)


@pytest.mark.parametrize("form", experiments.RUNS.values(), ids=experiments.RUNS)
def test_an_experiment_is_a_run_that_the_form_takes(form):
    chosen = settings.read({"dataset": "shapes", **form, "minutes": float(form["minutes"])})
    assert settings.size(chosen).tokens in (65, 257, 17)
