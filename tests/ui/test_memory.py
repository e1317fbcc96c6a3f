"""What visitors leave behind: the server's memory after many of them, and what still works for one it has forgotten."""

import json
import os
import time
import uuid

import httpx
import pytest
from gradio_client import Client

from tests.conftest import SETTINGS, await_end, serving


class Visitor:
    """A browser's session, as far as the server sees it."""

    def __init__(self, url: str):
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)
        self.session = uuid.uuid4().hex
        self.config = self.http.get("config").json()

    def send(self, event: dict, data: list, event_data: dict | None = None) -> dict:
        """What the server answers to an event of the page."""
        about = {"fn_index": event["id"], "session_hash": self.session, "event_data": event_data}
        self.http.post("gradio_api/queue/join", json={"data": data, **about}).raise_for_status()
        with self.http.stream("GET", "gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line else {}
                if message.get("msg") == "process_completed":
                    return message
        raise AssertionError("the server closed the stream")

    def events(self, trigger: str) -> list[dict]:
        """Those that ask the server."""
        events = (event for event in self.config["dependencies"] if event["backend_fn"])
        return [event for event in events if any(t[1] == trigger for t in event["targets"])]

    def load(self) -> None:
        for event in self.events("load"):
            assert self.send(event, [{} for _ in event["inputs"]])["success"]


def memory(pid: int) -> float:
    """Resident, in MB."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return int(next(line for line in file if line.startswith("VmRSS")).split()[1]) / 1024


def children() -> set[int]:
    with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children", encoding="utf-8") as file:
        return set(map(int, file.read().split()))


@pytest.mark.benchmark
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
def test_after_300_visits_and_20_runs_memory_is_within_a_tenth_of_what_it_was_after_the_first(tmp_path, judge):
    before = children()
    with serving(HF_HOME=str(tmp_path), HF_HUB_OFFLINE="1", VIT_RUNS_FOLDER=str(tmp_path / "runs")) as url:
        [server], client = children() - before, Client(url, verbose=False)

        def train() -> None:
            run = client.predict("shapes", "vit_live", 0.03, *SETTINGS.values(), api_name="/start")
            assert await_end(client, run["run_id"])["status"] == "finished"

        while ", " not in client.predict(api_name="/about")["device"]:  # it tries out how fast it is
            time.sleep(0.2)
        for _ in range(5):  # the first ones load models and fill caches
            Visitor(url).load()
        train()
        measured = [memory(server)]
        for _ in range(20):
            train()
        measured.append(memory(server))
        for _ in range(300):
            Visitor(url).load()
        measured.append(memory(server))
        print(*(f"{megabytes:.0f} MB" for megabytes in measured))
        judge(max(measured[1:]) <= 1.1 * measured[0], f"{measured[0]:.0f} MB became {max(measured[1:]):.0f}")


def test_a_forgotten_visitor_goes_on_choosing_pictures_and_models(app_url):
    client, visitor = Client(app_url, verbose=False), Visitor(app_url)
    while client.predict(api_name="/about")["data"]["shapes"] != "ready":  # as it is before a page shows pictures
        time.sleep(0.1)
    visitor.load()
    visitor.session = uuid.uuid4().hex  # to the server a new one, which never loaded the page
    pick, *_ = visitor.events("pick")
    assert visitor.send(pick, ["shapes", None], {"picture": "shapes-3"})["success"]
    gone = dict.fromkeys(("shapes-999999", "moon-1", "shapes"), "not here any more")
    for name, words in (*gone.items(), (None, "must be a text"), ({}, "must be a text")):
        answer = visitor.send(pick, ["shapes", None], {"picture": name})
        assert not answer["success"] and words in answer["output"]["error"]
    turn = next(event for event in visitor.events("click") if event["targets"][0][0] == _other(visitor))
    assert visitor.send(turn, ["shapes", None])["success"]


def _other(visitor: Visitor) -> int:
    buttons = (part for part in visitor.config["components"] if part["props"].get("value") == "Other pictures")
    return next(buttons)["id"]
