"""Pushing to the Hub, against one of a few routes on this machine; and where the visitor's token must not turn up."""

import logging

import pytest
from huggingface_hub import constants

from tests.weights.loopback import serving_hub
from vit.live import storage
from vit.training.moments import Album
from vit.weights import hub

TOKEN = "hf_secret_of_a_visitor"
RUN = "a" * 16


@pytest.fixture
def fake_hub(monkeypatch, tmp_path, small_vit):
    """The Hub's client talks to it, and one run of ours is saved."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(storage, "FOLDER", tmp_path / "runs")
    small_vit.classes = tuple("abcdefghij")
    small_vit.trained = {"dataset": "shapes", "validation_accuracy": 0.9}
    storage.save(RUN, small_vit, {"secret": "stays here"}, Album())
    with serving_hub() as (handler, address):
        monkeypatch.setattr(hub, "ENDPOINT", address)
        yield handler


def test_weights_config_and_card_arrive_and_the_token_stays_nowhere(fake_hub, caplog, capfd, tmp_path):
    with caplog.at_level(logging.DEBUG):
        address = hub.push(storage.folder(RUN), "first", TOKEN)
    assert address.endswith("/visitor/first")
    assert sorted(fake_hub.files) == ["README.md", "config.json", "model.safetensors"]
    assert fake_hub.files["model.safetensors"] == (storage.folder(RUN) / "model.safetensors").read_bytes()
    assert b"vision-transformer" in fake_hub.files["README.md"]
    assert fake_hub.tokens == {f"Bearer {TOKEN}"}
    said = capfd.readouterr()
    assert TOKEN not in caplog.text + said.out + said.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("status", "words"), [(401, "doesn't know this token"), (403, "no right to write"), (500, "refused")]
)
def test_a_refusal_names_the_remedy_and_not_the_token(fake_hub, status, words):
    fake_hub.refuse = status
    with pytest.raises(ValueError, match=words) as caught:
        hub.push(storage.folder(RUN), "first", TOKEN)
    assert TOKEN not in str(caught.value) and caught.value.__cause__ is None
    assert not fake_hub.files


@pytest.mark.parametrize(
    ("name", "token", "words"),
    [
        ("", TOKEN, "can't name a repository"),
        ("a b", TOKEN, "can't name a repository"),
        ("first", "", "access token that may write"),
        ("first", "hf_ünicode", "access token that may write"),
    ],
)
def test_what_cannot_work_is_refused_before_any_request(fake_hub, name, token, words):
    with pytest.raises(ValueError, match=words):
        hub.push(storage.folder(RUN), name, token)
    assert not fake_hub.tokens
