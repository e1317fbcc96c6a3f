"""The server's log: one line of JSON for whatever went wrong, and the visitor gets its number."""

import io
import json
import logging
import threading

import gradio as gr
import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from vit.ui import logs
from vit.ui.errors import BadInput


@pytest.fixture
def lines(monkeypatch):
    """What is logged from here on, read as JSON."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setitem(logs.LOGGING_CONFIG["formatters"], "default", logs.LOGGING_CONFIG["formatters"]["default"])
    logs.start()
    said = io.StringIO()
    root.handlers[0].setStream(said)
    return lambda: [json.loads(line) for line in said.getvalue().splitlines()]


def fail(words: str) -> str:
    raise ZeroDivisionError(f"of {words}\nin two lines")


def refuse(words: str) -> str:
    raise BadInput(f"{words} is refused; send another.")


def count(n: float):
    yield from range(int(n))


@pytest.fixture
def url():
    with logs.Blocks() as demo:
        for function in (fail, refuse):
            gr.api(function, api_name=function.__name__)
        n = gr.Number()
        gr.Button().click(count, n, n, api_name="count")
    _, address, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    yield address
    demo.close()


def test_an_error_nobody_foresaw_is_one_line_and_the_visitor_gets_its_number(lines, url):
    client = Client(url, verbose=False)
    with pytest.raises(AppError, match="Something went wrong on the server") as caught:
        client.predict("café", api_name="/fail")
    (line,) = lines()
    assert line["level"] == "error" and line["what"] == "fail failed"
    assert line["error"] == "ZeroDivisionError: of café\nin two lines"
    assert line["way"][-1].endswith(" fail") and "test_logs.py:" in line["way"][-1]
    assert str(caught.value).endswith(f"{line['number']}.") and "ZeroDivision" not in str(caught.value)


def test_a_refusal_and_a_generator_that_ends_are_no_errors(lines, url):
    client = Client(url, verbose=False)
    with pytest.raises(AppError, match="tea is refused"):
        client.predict("tea", api_name="/refuse")
    assert list(client.submit(3, api_name="/count")) == [0, 1, 2]
    assert not lines()


def test_a_thread_that_ends_by_an_error_is_one_line(lines):
    thread = threading.Thread(target=fail, args=["a run"], name="run-7")
    thread.start()
    thread.join()
    (line,) = lines()
    assert line["what"] == "run-7 ended" and line["error"].startswith("ZeroDivisionError: of a run")


def test_a_warning_of_a_library_is_one_line(lines):
    logging.getLogger("somebody").warning("%s of %d", "two\nlines", 3)
    (line,) = lines()
    assert (line["level"], line["where"], line["what"]) == ("warning", "somebody", "two\nlines of 3")


def test_the_health_address_answers_without_a_session(own_url):
    answer = httpx.get(own_url + "gradio_api/health", timeout=60, trust_env=False)
    assert answer.status_code == 200 and set(answer.json()) == {"version", "models", "data", "runs", "disk"}
