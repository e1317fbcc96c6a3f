"""The page's modules in a real Chromium: how they are served, below a path too, and what they leave on window."""

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import httpx
import pytest
import uvicorn
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.conftest import ROOT, serving
from tests.ui.conftest import open_tab
from vit.ui import scripts

WINDOW = {"__svelte"}  # what the page puts there beside a plain page of Gradio: Svelte its version, and nothing of ours


@pytest.fixture
def page(context):
    page = context.new_page()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.set_default_timeout(60_000)
    page.errors = []
    page.on("console", lambda said: page.errors.append(f"{said.text} {said.location}") if said.type == "error" else 0)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    page.close()


def walk(page) -> None:
    """Through all that has a script: the Train tab's moments, both galleries, the Attention tab."""
    page.wait_for_selector("#forming canvas.map")
    open_tab(page, "Classify")
    page.locator(".v-gallery:visible button").nth(3).click()
    open_tab(page, "Attention")
    expect(page.locator(".v-gallery:visible button").nth(3)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#attention .x-sentence")).to_contain_text("nats")
    page.locator("#attention .x-stage").press("ArrowDown")
    expect(page.locator("#attention .x-query-name")).to_contain_text("row")


def test_only_modules_are_served_as_scripts_from_a_folder_new_at_each_start(app_url):
    html = httpx.get(app_url, timeout=60).text
    folder = re.search(r"/gradio_api/file=([^\"\\]+/)\\", html).group(1)
    root = app_url.rstrip("/") + "/gradio_api/file="
    modules = [path.relative_to(scripts.HERE) for path in scripts.HERE.rglob("*.js")]
    for module in modules:
        answer = httpx.get(root + folder + module.as_posix(), timeout=60)
        assert answer.text == (scripts.HERE / module).read_text(encoding="utf-8")
        assert answer.headers["content-type"].split(";")[0] in ("text/javascript", "application/javascript")
    served = [path for path in Path(folder).rglob("*") if path.is_file()]
    assert len(served) == len(modules) and not Path(folder).is_relative_to(ROOT)
    for other in (ROOT / "vit/ui/page.py", scripts.HERE / modules[0], Path(folder).parent, f"{folder}../../etc/passwd"):
        assert httpx.get(f"{root}{other}", timeout=60).status_code == 403
    assert folder not in scripts.load(scripts.HERE / "script" / "gallery.js")


def test_a_module_that_is_not_there_is_named_when_the_page_is_built():
    with pytest.raises(ValueError, match=r"no script .*nothing\.js; there are .*script/gallery\.js"):
        scripts.load(scripts.HERE / "script" / "nothing.js")


def test_with_a_module_all_that_it_imports_is_asked_for_and_nothing_else():
    asked = scripts.with_imports("train/script/forming.js")
    assert asked[0] == "train/script/forming.js" and len(asked) == len(set(asked))
    assert {"train/script/moments.js", "script/bytes.js"} <= set(asked)  # the one imports the other
    assert all((scripts.HERE / name).exists() for name in asked)
    assert not [name for name in asked if not name.startswith(("script/", "train/script/"))]


@pytest.mark.slow
def test_the_page_puts_nothing_on_window(page, app_url):
    with gr.Blocks() as plain:
        gr.HTML("plain", js_on_load="element.dataset.ran = 1")
    _, url, _ = plain.launch(prevent_thread_lock=True, quiet=True)
    try:
        page.goto(url)
        page.wait_for_selector("[data-ran]")
        gradios = set(page.evaluate("Object.keys(window)"))
    finally:
        plain.close()
    page.goto(app_url)
    walk(page)
    assert set(page.evaluate("Object.keys(window)")) - gradios == WINDOW
    assert not page.errors


def test_a_module_that_does_not_come_is_named_in_its_place(page, app_url):
    page.route("**/maps.js", lambda route: route.abort())
    page.goto(f"{app_url}?tab=attention")
    expect(page.get_by_role("alert").get_by_text(scripts.FAILED).first).to_be_visible()


@contextlib.contextmanager
def proxied(upstream: str) -> Iterator[str]:
    """Address of a proxy that serves an app below /sub, and tells it neither its own host nor the path."""
    client = httpx.AsyncClient(base_url=upstream, timeout=None)

    async def forward(request: Request) -> StreamingResponse:
        headers = [(name, value) for name, value in request.headers.raw if name != b"host"]
        path = request.scope["raw_path"].removeprefix(b"/sub") or b"/"
        url = client.base_url.copy_with(raw_path=path + b"?" + request.scope["query_string"])
        asked = client.build_request(request.method, url, headers=headers, content=await request.body())
        answer = await client.send(asked, stream=True)
        return StreamingResponse(
            answer.aiter_raw(), answer.status_code, dict(answer.headers), background=BackgroundTask(answer.aclose)
        )

    app = Starlette(routes=[Route("/sub{path:path}", forward, methods=["GET", "HEAD", "POST", "DELETE"])])
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    listening = threading.Event()
    startup = server.startup

    async def started(**options) -> None:
        await startup(**options)
        listening.set()

    server.startup = started
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert listening.wait(60), "the proxy does not listen"
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/sub/"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


@pytest.mark.slow
def test_everything_works_below_a_path_of_a_proxy(browser, page, tmp_path):
    variables = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "VIT_RUNS_FOLDER": str(tmp_path / "runs")}
    with serving(**variables, GRADIO_ROOT_PATH="/sub") as url, proxied(url) as outside:
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(outside)
        walk(page)
        ours = [address for address in asked if "/gradio_api/file=" in address]
        wanted = {
            each
            for tab in ("train/script/forming", "attention/script/view")
            for each in scripts.with_imports(tab + ".js")
        }
        assert all(any(address.endswith("/" + name) for address in ours) for name in wanted)
        assert all(address.startswith(outside) for address in ours)
        assert not [error for error in page.errors if "/favicon.ico" not in error]  # that is asked of the proxy itself
        page.goto("about:blank")  # ends the event streams, before the proxy does
