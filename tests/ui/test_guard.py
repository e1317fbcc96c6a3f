"""What strangers may ask of the server at most: pictures by address, bodies, places in the queue, questions."""

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import httpx
import pytest
import safehttpx
from gradio import route_utils
from gradio.utils import get_upload_folder

from tests.answering import Handler, listening
from vit.live import datasets, runs, uploads
from vit.ui import asking, guard, top
from vit.ui import page as vit_page
from vit.ui.errors import BadInput
from vit.ui.train import tab as train
from vit.ui.train import view as train_view
from vit.ui.train import watching

HOST = "pictures.example"  # a public one, whose address is this machine's


class Web(Handler):
    asked: list[str]
    sent: int

    def do_GET(self):
        kind = type(self)
        kind.asked.append(self.path)
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to?"))
            self.end_headers()
            return
        assert self.headers["Accept-Encoding"] == "identity"
        self.send_response(200)
        self.end_headers()
        try:
            while self.path == "/endless.png":
                self.wfile.write(bytes(10_000))
                kind.sent += 10_000
        except OSError:
            return
        self.wfile.write(b"a picture")


@pytest.fixture
def web(monkeypatch) -> Iterator[str]:
    """Address of a server on this machine, where only HOST counts as public."""
    real = safehttpx.async_validate_url

    async def validate(host: str) -> str:
        return "127.0.0.1" if host == HOST else await real(host)

    async def nothing(host: str) -> list[str]:
        return []

    monkeypatch.setattr(safehttpx, "async_validate_url", validate)
    monkeypatch.setattr(safehttpx, "async_resolve_hostname_google", nothing)
    monkeypatch.setattr(Web, "asked", [], raising=False)
    monkeypatch.setattr(Web, "sent", 0, raising=False)
    with listening(Web) as address:
        yield address.replace("127.0.0.1", HOST)


def download(address: str, folder: Path) -> Path:
    return Path(asyncio.run(guard.download(address, str(folder))))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_picture_on_the_web_is_fetched_once_and_also_where_its_address_leads_on(web, tmp_path):
    for path in ("/cat.png", "/to?/cat.png", "/cat.png"):
        assert download(web + path, tmp_path).read_bytes() == b"a picture"
    assert Web.asked == ["/cat.png", "/to?/cat.png", "/cat.png"] and len(files(tmp_path)) == 2


def test_a_picture_on_the_web_that_is_kept_too_long_is_fetched_again(web, tmp_path, monkeypatch):
    first = download(f"{web}/cat.png", tmp_path)
    monkeypatch.setattr(uploads, "KEPT", 0)
    assert download(f"{web}/cat.png", tmp_path) == first and len(Web.asked) == 2
    assert first.read_bytes() == b"a picture" and files(tmp_path) == [first]


def test_what_is_too_large_or_leads_on_forever_is_left_and_nothing_of_it_stays(web, tmp_path, monkeypatch):
    monkeypatch.setattr(guard, "LARGEST_PICTURE", 100_000)
    with pytest.raises(BadInput, match=r"it has more than 0.1 MB\); save the picture, and send the file"):
        download(f"{web}/endless.png", tmp_path)
    assert Web.sent < 20_000_000  # what the system takes in advance
    path = "/cat.png"
    for _ in range(25):
        path = f"/to?{path}"
    with pytest.raises(BadInput, match="leads on to other addresses more than 20 times"):
        download(web + path, tmp_path)
    monkeypatch.setattr(guard, "LONGEST_FETCH", 0.1)
    monkeypatch.setattr(guard, "LARGEST_PICTURE", 10**12)
    with pytest.raises(BadInput, match="it takes too long"):
        download(f"{web}/endless.png", tmp_path)
    assert not files(tmp_path)


def test_addresses_within_the_servers_network_are_refused_also_where_a_public_one_leads_there(web, tmp_path):
    private = web.replace(HOST, "127.0.0.1")
    for address in (f"{private}/cat.png", f"{web}/to?{private}/cat.png", f"{private.replace('127.0.0.1', '[::1]')}/x"):
        with pytest.raises(BadInput, match="failed validation"):
            download(address, tmp_path)
    assert Web.asked == [f"/to?{private}/cat.png"] and not files(tmp_path)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[gr.Blocks, httpx.Client]]:
    """A page in this process, and a client of its own."""
    demo = vit_page.build()
    _, url, _ = vit_page.launch(demo, prevent_thread_lock=True, quiet=True)
    with httpx.Client(base_url=f"{url}gradio_api/", timeout=120, trust_env=False) as http:
        yield demo, http
    demo.close()


def said(http: httpx.Client, name: str, *inputs) -> tuple[str, object]:
    """How an endpoint's answer ends: complete or error, and what came with it."""
    asked = http.post(f"call/{name}", json={"data": inputs}).raise_for_status().json()["event_id"]
    lines = http.get(f"call/{name}/{asked}").text.strip().splitlines()
    return lines[-2].removeprefix("event: "), json.loads(lines[-1].removeprefix("data: "))


def test_the_page_fetches_pictures_by_these_rules_and_nobody_passes_its_queue_by(served, web):
    _, http = served
    inside = {"path": f"{http.base_url}health", "meta": {"_type": "gradio.FileData"}}
    kind, words = said(http, "classify", inside, "shapes")
    assert kind == "error" and "127.0.0.1 failed validation" in str(words)
    assert http.post("run/about", json={"data": []}).status_code == 404
    assert said(http, "about")[0] == "complete"


def test_zips_of_models_take_turns_with_what_is_fetched(served):
    kinds = {fn.name: (fn.concurrency_id, fn.concurrency_limit) for fn in served[0].fns.values()}
    assert kinds["open_zip"] == kinds["fetch"] == ("fetch", 1)


def test_a_body_without_end_is_answered_with_413_and_an_upload_while_there_is_room(served, monkeypatch):
    _, http = served
    monkeypatch.setattr(guard, "LARGEST_BODY", 1000)
    large = {"content": b'{"data": ["' + b"x" * 2000 + b'"]}', "headers": {"content-type": "application/json"}}
    chunked = {**large, "content": iter([large["content"]] * 3)}
    for path, body in (("call/about", large), ("call/about", chunked), ("component_server", large)):
        answer = http.post(path, **body)
        assert answer.status_code == 413 and "0.001 MB is the maximum" in answer.text
    before = set(Path(get_upload_folder()).rglob("large.png"))  # by name: other tests send files, too
    form = {"files": {"files": ("large.png", bytes(2000), "image/png")}}
    assert http.post("component_server", **form).status_code == 413
    kept = http.post("upload", **form).raise_for_status().json()[0]
    assert Path(kept).stat().st_size == 2000
    monkeypatch.setattr(uploads, "LEAST_FREE", 10**18)
    full = http.post("upload", **form)
    assert full.status_code == 413 and "disk is full" in full.text
    assert set(Path(get_upload_folder()).rglob("large.png")) == before | {Path(kept)}


def eventually(holds) -> None:
    """Waits for what the server does in its own time."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_more_followers_than_gradio_has_places_leave_the_page_free_and_who_has_gone_leaves_the_run(
    served, here, ended, monkeypatch
):
    demo, http = served
    monkeypatch.setattr(guard, "HEARD", 0.2)
    monkeypatch.setattr(train_view, "charts", lambda run: "")
    monkeypatch.setattr(train_view, "forming", lambda run: {"run": "", "moments": []})
    monkeypatch.setitem(runs.RUNS, ended.id, ended)
    ended.status = "paused"

    def follow() -> str:
        asked = http.post("call/follow", params={"run": ended.id}, json={"data": []})
        return asked.raise_for_status().json()["event_id"]

    def following() -> int:
        return demo._queue.get_active_worker_count()

    for _ in range(44):
        follow()
    gone = follow()
    eventually(lambda: following() == 45)
    assert said(http, "about")[0] == "complete"
    with http.stream("GET", f"call/follow/{gone}") as stream:
        next(stream.iter_lines())
    eventually(lambda: following() == 44)
    ended.status = "stopped"
    eventually(lambda: following() == 0)


def test_files_are_deleted_also_while_others_are_sent_and_those_that_are_gone_are_forgotten(tmp_path, monkeypatch):
    with gr.Blocks(analytics_enabled=False) as demo:
        kept = gr.Image()
    guard.install(demo)
    old, locked, example = (tmp_path / name for name in ("old.png", "locked.png", "example.png"))
    for file in (old, locked, example):
        file.write_bytes(b"x")
    kept.keep_in_cache.add(str(example))
    sent, remove = demo.upload_file_set, os.remove
    sent |= {str(file) for file in (old, locked, example, tmp_path / "gone.png")}

    def while_others_send(file: str) -> None:
        sent.add(str(tmp_path / f"sent while {Path(file).name} is deleted.png"))
        if file == str(locked):
            raise PermissionError(13, "Permission denied", file)
        remove(file)

    monkeypatch.setattr(os, "remove", while_others_send)
    route_utils.delete_files_created_by_app(demo, 3600)
    assert old.exists() and str(tmp_path / "gone.png") not in sent
    route_utils.delete_files_created_by_app(demo, None)
    left = {Path(file).name.split()[0] for file in sent}
    assert not old.exists() and example.exists() and left == {"locked.png", "example.png", "sent"}


def test_who_waits_for_one_thing_keeps_nobody_from_another(monkeypatch):
    monkeypatch.setattr(guard, "WAITING", 2)
    over = threading.Event()

    def slow() -> bool:
        return over.wait(300)

    def quick() -> str:
        return "soon"

    with gr.Blocks(analytics_enabled=False) as demo:
        gr.api(slow, api_name="slow", concurrency_limit=1)
        gr.api(quick, api_name="quick")
    guard.install(demo.queue(max_size=1000, default_concurrency_limit=4))
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    try:
        with httpx.Client(base_url=f"{url}gradio_api/", timeout=120, trust_env=False) as http:
            http.post("call/slow", json={"data": []}).raise_for_status()
            eventually(lambda: demo._queue.get_active_worker_count() == 1)
            answers = [http.post("call/slow", json={"data": []}) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [200, 200, 503]
            assert "2 are waiting for this already" in answers[-1].text
            assert said(http, "quick") == ("complete", ["soon"])
    finally:
        over.set()
        demo.close()


def test_events_that_need_a_thread_wait_for_one_and_those_that_need_none_go_on(monkeypatch):
    monkeypatch.setattr(guard, "IN_THREADS", 3)
    over = threading.Event()

    async def follow():
        yield "followed"

    with gr.Blocks(analytics_enabled=False) as demo:
        demo.load(lambda: str(over.wait(300)), None, gr.Textbox(), api_name="slow", concurrency_limit=None)
        demo.load(follow, None, gr.Textbox(), api_name="follow", concurrency_limit=None)
    guard.install(demo)
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    try:
        with httpx.Client(base_url=f"{url}gradio_api/", timeout=120, trust_env=False) as http:
            asked = [http.post("call/slow", json={"data": []}).json()["event_id"] for _ in range(5)]
            assert said(http, "follow") == ("complete", ["followed"])
            eventually(lambda: demo._queue.get_active_worker_count() == 3)
            over.set()
            assert all("True" in http.get(f"call/slow/{one}").text for one in asked)
    finally:
        over.set()
        demo.close()


def test_a_question_that_finds_no_place_is_told_so_and_the_next_one_is_answered(monkeypatch):
    monkeypatch.setattr(asking, "_places", threading.BoundedSemaphore(1))
    inner = asking.answering(lambda question: {"fine": True})
    outer = asking.answering(lambda question: inner({}))
    assert outer({}) == {"error": asking.BUSY, "lost": True}
    assert inner({}) == {"fine": True}
    assert inner(5)["error"] and inner({}) == {"fine": True}  # a mistake gives its place back, too


def test_whatever_goes_on_says_something_now_and_then_though_nothing_is_new(here, ended, monkeypatch):
    monkeypatch.setattr(guard, "HEARD", -1.0)
    monkeypatch.setattr(datasets, "settled", lambda: False)
    monkeypatch.setitem(runs.RUNS, ended.id, ended)
    ended.status = "paused"
    with gr.Blocks():
        tab = train.build()

    async def second(values: AsyncIterator) -> object:
        assert await anext(values) != gr.skip()
        return await anext(values)

    async def each() -> list:
        request = SimpleNamespace(query_params={"run": ended.id})
        going = watching.follow(request), tab.watch(ended.id, {}), top.watch_data("shapes")
        return await asyncio.gather(*map(second, going))

    assert asyncio.run(each()) == [gr.skip()] * 3
