"""A class: thirty phones watch a run; each sees it move, soon, to its end, and the run keeps its speed."""

import itertools
import json
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gradio_client import Client

from tests.conftest import SETTINGS, await_end, serving

WATCHERS = 30
SECONDS = 20.0
SOON = 5.0  # between two pictures of a run that learns all the time, on two cores that it needs itself
KEPT = 0.5  # of its speed


def watch(url: str, run_id: str) -> tuple[list[float], str]:
    """As a phone's page does: when something new came, and the last headline."""
    with httpx.Client(base_url=f"{url.rstrip('/')}/gradio_api/call/", timeout=120, trust_env=False) as http:
        asked = http.post("follow", params={"run": run_id}, json={"data": []}).raise_for_status().json()["event_id"]
        came, said, event = [], "", ""
        with http.stream("GET", f"follow/{asked}") as stream:
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif event == "generating" and line:
                    came.append(time.monotonic())
                    said = json.loads(line.removeprefix("data: "))[0]
                assert event != "error", line
    return came, said


def speed(client: Client, run_id: str) -> float:
    """Steps a second over some time."""
    before, since = client.predict(run_id, api_name="/status")["step"], time.monotonic()
    time.sleep(SECONDS / 2)
    return (client.predict(run_id, api_name="/status")["step"] - before) / (time.monotonic() - since)


@pytest.mark.benchmark
@pytest.mark.timeout(400)
def test_thirty_phones_follow_a_run_to_its_end(tmp_path, judge):
    variables = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "VIT_RUNS_FOLDER": str(tmp_path / "runs")}
    with serving(OMP_NUM_THREADS=str(os.cpu_count()), **variables) as url:
        host = Client(url, verbose=False)
        run = host.predict("shapes", "vit_live", 10, *SETTINGS.values(), api_name="/start")
        while host.predict(run["run_id"], api_name="/status")["step"] < 5:
            time.sleep(0.2)
        alone = speed(host, run["run_id"])
        with ThreadPoolExecutor(WATCHERS) as pool:
            watching = [pool.submit(watch, url, run["run_id"]) for _ in range(WATCHERS)]
            time.sleep(SECONDS / 2)
            watched = speed(host, run["run_id"])
            host.predict(run["run_id"], run["owner_token"], api_name="/stop")
            await_end(host, run["run_id"])
            seen = [one.result() for one in watching]
    waits = [later - earlier for came, _ in seen for earlier, later in itertools.pairwise(came)]
    slowest = statistics.quantiles(waits, n=20)[-1]
    print(f"{WATCHERS} watchers: {len(waits)} changes, p50 {statistics.median(waits):.1f} s, p95 {slowest:.1f} s")
    print(f"the run: {alone:.2f} steps/s alone, {watched:.2f} with them")
    assert all("Stopped: vit-live" in said for _, said in seen)
    few = min(len(came) for came, _ in seen)
    judge(few >= SECONDS / SOON, f"a phone saw {few} changes in {SECONDS:g} s and more")
    judge(slowest <= SOON, f"one change of twenty came {slowest:.1f} s and more after the one before")
    judge(watched >= KEPT * alone, f"the run made {alone:.2f} steps a second alone, {watched:.2f} beside the phones")
