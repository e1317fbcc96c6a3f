"""A lecture: thirty visitors at once while somebody trains; every answer is right, soon, and the run goes on."""

import os
import random
import statistics
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from tests.conftest import SETTINGS, serving

VISITORS = 30
SECONDS = float(os.getenv("VIT_LOAD_SECONDS", "30"))
THINKING = 4.0  # seconds at most between two calls of a visitor

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The app with as many threads as it takes by itself."""
    home, runs = (str(tmp_path_factory.mktemp(name)) for name in ("hf", "runs"))
    environment = {"OMP_NUM_THREADS": str(os.cpu_count()), "HF_HOME": home, "HF_HUB_OFFLINE": "1"}
    with serving(VIT_RUNS_FOLDER=runs, **environment) as address:
        yield address


def calls(picture: str) -> dict[str, tuple]:
    """What a visitor asks about one picture: the endpoint's name and its inputs."""
    image = handle_file(picture)
    return {
        "/classify": (image, "shapes"),
        "/attention_statistics": (image, "shapes"),
        "/logit_lens": (image, "shapes"),
        "/without_heads": (image, "shapes", "1.1"),
        "/attention": (image, "shapes", 2, 1),
        "/relevance": (image, "shapes", "heart"),
    }


def answer(client: Client, name: str, inputs: tuple):
    """The numbers that come back, without the figure of those who draw one, whose path is another each time."""
    found = client.predict(*inputs, api_name=name)
    return found[0] if isinstance(found, tuple) else found


def speed(client: Client, run_id: str, during) -> float:
    """Images a second of wall time that a run trains while something goes on."""
    before, since = client.predict(run_id, api_name="/status")["step"], time.monotonic()
    during()
    after = client.predict(run_id, api_name="/status")["step"]
    return (after - before) * SETTINGS["batch_size"] / (time.monotonic() - since)


def test_thirty_visitors_get_their_own_answers_soon_and_the_run_goes_on(url, tmp_path, shapes):
    paths = []
    for i in range(3):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(shapes.test.images[i].permute(1, 2, 0).numpy()).resize((300, 200)).save(paths[-1])
    host = Client(url, verbose=False)
    expected = {path: {name: answer(host, name, inputs) for name, inputs in calls(path).items()} for path in paths}
    assert expected[paths[0]] != expected[paths[1]] != expected[paths[2]]
    visitors = [Client(url, verbose=False) for _ in range(VISITORS)]

    run = host.predict("shapes", "vit_live", 10, *SETTINGS.values(), api_name="/start")
    while host.predict(run["run_id"], api_name="/status")["step"] < 5:
        time.sleep(0.2)
    alone = speed(host, run["run_id"], lambda: time.sleep(min(10, SECONDS / 3)))

    took, failed, crossed, over = defaultdict(list), [], [], threading.Event()

    def visit(number: int) -> None:
        chance, path = random.Random(number), paths[number % len(paths)]
        while not over.wait(chance.uniform(0, THINKING)):
            name, inputs = chance.choice(list(calls(path).items()))
            since = time.monotonic()
            try:
                said = answer(visitors[number], name, inputs)
            except Exception as error:
                failed.append(f"{name}: {error}")
                continue
            took[name].append(time.monotonic() - since)
            if said != expected[path][name]:
                crossed.append(name)

    with ThreadPoolExecutor(VISITORS) as pool:
        waiting = [pool.submit(visit, number) for number in range(VISITORS)]
        loaded = speed(host, run["run_id"], lambda: over.wait(SECONDS))
        over.set()
        for visitor in waiting:
            visitor.result()
    host.predict(run["run_id"], run["owner_token"], api_name="/stop")

    for name, seconds in sorted(took.items()):
        cuts = statistics.quantiles([*seconds, *seconds[:1]], n=20)
        print(f"{name:22} {len(seconds):4} calls, p50 {statistics.median(seconds):5.2f} s, p95 {cuts[-1]:5.2f} s")
    print(f"the run: {alone:.0f} images/s alone, {loaded:.0f} beside them; load average {os.getloadavg()[0]:.1f}")
    assert not failed and not crossed, (failed[:3], crossed[:3])
    assert set(took) == set(calls(paths[0])) and min(map(len, took.values())) > 1
    assert loaded > 0
