"""A Hub on this machine: a few of its routes, which create repositories and take commits."""

import base64
import contextlib
import json
from collections.abc import Iterator

from tests.answering import Handler, listening


class Hub(Handler):
    """Creates repositories and takes commits. refuse: the status that creating one is answered with."""

    refuse: int | None = None
    files: dict[str, bytes]
    tokens: set[str]
    created: list[dict]

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
                return self.answer(self.refuse, {"error": f"no, {self.headers.get('Authorization')}"})
            asked = json.loads(sent)
            type(self).created.append(asked)
            where = ("spaces/" if asked.get("type") == "space" else "") + f"visitor/{asked['name']}"
            return self.answer(200, {"url": f"{self.server.address}/{where}", "name": f"visitor/{asked['name']}"})
        if "/preupload/" in self.path:
            files = [{**file, "uploadMode": "regular", "shouldIgnore": False} for file in json.loads(sent)["files"]]
            return self.answer(200, {"files": [{k: v for k, v in file.items() if k != "sample"} for file in files]})
        if "/commit/" in self.path:
            for line in map(json.loads, sent.splitlines()):
                if line["key"] == "file":
                    type(self).files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            oid = "0" * 40
            return self.answer(
                200, {"commitUrl": f"{self.server.address}{self.path.removeprefix('/api')}/{oid}", "commitOid": oid}
            )
        return self.answer(200, {})


@contextlib.contextmanager
def serving_hub() -> Iterator[tuple[type[Hub], str]]:
    """A Hub of its own, empty, and its address."""
    handler = type("FreshHub", (Hub,), {"files": {}, "tokens": set(), "created": []})
    with listening(handler) as address:
        yield handler, address
