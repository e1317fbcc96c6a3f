"""Pushing to the Hub, against one of a few routes on this machine; and where the visitor's token must not turn up."""

import base64
import json
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from vit.live import storage
from vit.training.moments import Album
from vit.weights import hub

TOKEN = "hf_secret_of_a_visitor"
RUN = "a" * 16


class Hub(BaseHTTPRequestHandler):
    """Creates repositories and takes commits. refuse: the status that creating one is answered with."""

    refuse: int | None = None
    files: dict[str, bytes]
    tokens: set[str]

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        self.answer(404, {"error": "not here"})

    def do_POST(self):
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                sent += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        type(self).tokens.add(self.headers.get("Authorization", ""))
        if self.path.endswith("/repos/create"):
            if self.refuse:
                return self.answer(self.refuse, {"error": f"no, {TOKEN}"})
            return self.answer(200, {"url": f"{self.server.address}/visitor/first", "name": "visitor/first"})
        if "/preupload/" in self.path:
            files = [{**file, "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(sent)["files"]]
            return self.answer(200, {"files": [{k: v for k, v in file.items() if k != "sample"} for file in files]})
        if "/commit/" in self.path:
            for line in map(json.loads, sent.splitlines()):
                if line["key"] == "file":
                    type(self).files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            oid = "0" * 40
            return self.answer(
                200, {"commitUrl": f"{self.server.address}/visitor/first/commit/{oid}", "commitOid": oid}
            )
        return self.answer(200, {})

    def log_message(self, *_):
        pass


@pytest.fixture
def fake_hub(monkeypatch, tmp_path, small_vit):
    """The Hub's client talks to it, and one run of ours is saved."""
    handler = type("FreshHub", (Hub,), {"files": {}, "tokens": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hub, "ENDPOINT", server.address)
    monkeypatch.setattr(storage, "FOLDER", tmp_path / "runs")
    small_vit.classes = tuple("abcdefghij")
    small_vit.trained = {"dataset": "shapes", "validation_accuracy": 0.9}
    storage.save(RUN, small_vit, {"secret": "stays here"}, Album())
    yield handler
    server.shutdown()
    server.server_close()


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
