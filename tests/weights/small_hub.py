"""A small Hub on this machine, enough for the Hub's own client: metadata, files in ranges, private and gated ones."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from tests.answering import Handler, listening

COMMIT = "c" * 40


class Hub(Handler):
    """folders: repositories by "owner/name". datasets: which of them, or which others, are no models.

    refused: what a repository is answered with, a status and an error code.

    break_after: bytes of a file after which the connection ends, once. asked: (method, path, Range) of each request.
    """

    folders: dict[str, Path]
    datasets: set[str]
    refused: dict[str, tuple[int, str]]
    sizes: dict[str, int]
    break_after: int | None = None
    asked: list[tuple[str, str, str | None]]

    def do_HEAD(self):
        self.reply(body=False)

    def do_GET(self):
        self.reply(body=True)

    def reply(self, body: bool) -> None:
        kind = type(self)
        wanted = self.headers.get("Range")
        kind.asked.append((self.command, self.path, wanted))
        parts = unquote(self.path.partition("?")[0]).lstrip("/").split("/")
        if parts[:2] == ["api", "datasets"]:
            return self.describe("/".join(parts[2:4]))
        if parts[0] == "datasets":
            del parts[0]
        repository = "/".join(parts[:2])
        if repository in kind.refused:
            return self.say(*kind.refused[repository])
        if repository not in kind.folders or parts[2:3] != ["resolve"]:
            return self.say(404, "RepoNotFound")
        file = kind.folders[repository] / "/".join(parts[4:])
        if not file.is_file():
            return self.say(404, "EntryNotFound")
        content = file.read_bytes()
        start = int(wanted.removeprefix("bytes=").split("-")[0]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        said = (
            kind.sizes.get(repository, len(content) - start) if file.suffix == ".safetensors" else len(content) - start
        )
        self.send_header("Content-Length", str(said))
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if body and kind.break_after is not None and file.suffix == ".safetensors" and not start:
            self.wfile.write(content[: kind.break_after])
            kind.break_after = None
            self.close_connection = True
        elif body:
            self.wfile.write(content[start:])

    def describe(self, dataset: str) -> None:
        """What a dataset's repository holds; `sizes` says how much its parquet files claim to be."""
        kind = type(self)
        if dataset in kind.refused:
            return self.say(*kind.refused[dataset])
        if dataset not in kind.datasets:
            return self.say(404, "RepoNotFound")
        folder = kind.folders.get(dataset)
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
        siblings = [
            {"rfilename": str(file.relative_to(folder)), "size": kind.sizes.get(dataset, file.stat().st_size)}
            for file in files
        ]
        self.say(200, "", json.dumps({"id": dataset, "sha": COMMIT, "siblings": siblings}).encode())

    def say(self, status: int, code: str, content: bytes = b"") -> None:
        self.send_response(status)
        if status >= 400:
            self.send_header("X-Error-Code", code)
            self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@contextmanager
def serve() -> Iterator[type[Hub]]:
    """The handler, to be told what there is; address is the server's."""
    empty: dict = {name: {} for name in ("folders", "refused", "sizes")} | {"datasets": set(), "asked": []}
    handler = type("FreshHub", (Hub,), empty)
    with listening(handler) as handler.address:
        yield handler


@contextmanager
def hub_in_this_process(tmp_path: Path) -> Iterator[type[Hub]]:
    """The Hub's client of this process talks to it, with a cache of its own that begins empty."""
    with serve() as hub, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        patch.setattr(constants, "ENDPOINT", hub.address)
        patch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        patch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        tried_again_at_once = SimpleNamespace(sleep=lambda seconds: None)  # and not after more and more seconds
        patch.setattr("huggingface_hub.utils._http.time", tried_again_at_once)
        close_session()
        yield hub
    close_session()
