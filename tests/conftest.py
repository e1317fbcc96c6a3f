"""What the tests share. Real CIFAR-10 comes from the Hub's cache beside the project where there is one."""

import contextlib
import functools
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HUB_BESIDE_THE_PROJECT = ROOT.parent / "shared" / "hub"
SETTINGS = {"batch_size": 32, "learning_rate": 3e-3, "weight_decay": 0.05, "seed": 0}  # of a run that a program starts

# Before huggingface_hub is imported: it reads its environment once.
if "HF_HUB_CACHE" not in os.environ and HUB_BESIDE_THE_PROJECT.is_dir():
    os.environ.update(HF_HUB_CACHE=str(HUB_BESIDE_THE_PROJECT), HF_HUB_OFFLINE="1")
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# Before torch is imported. Models this small gain little from a second thread, and on a machine that others use too,
# two threads that wait for each other are several times slower than one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from vit import ViT, data, vit_live_patch
from vit.data import shapes as drawing

KINDS = {  # of models: the arguments by which they differ in what tokens they have and what reads them
    "class token": {},
    "distilled": {"distilled": True},
    "registers": {"reg_tokens": 3},
    "attn": {"global_pool": "attn"},
    "attn with registers": {"global_pool": "attn", "reg_tokens": 2},
    "conv stem": {"stem": "conv"},
}


@pytest.fixture(scope="session", autouse=True)
def drawn_once() -> Iterator[None]:
    """Shapes are drawn once in a process, and not by each command that a test runs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(drawing, "draw", functools.cache(drawing.draw))
        yield


@pytest.fixture(scope="session")
def shapes(drawn_once) -> data.Splits:
    return data.load("shapes")


@pytest.fixture
def small_vit():
    """A ViT of a few thousand parameters, with weights large enough that its attention is not uniform."""
    return of_kind("class token")


def of_kind(kind: str) -> ViT:
    """small_vit, but of one of KINDS."""
    torch.manual_seed(0)
    model = vit_live_patch(embed_dim=24, depth=3, num_heads=3, **KINDS[kind])
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


@contextlib.contextmanager
def serving(*flags: str, **variables: str) -> Iterator[str]:
    """Address of a real `python app.py` of its own, with these flags and nothing but these of our variables."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "VIT_"))}
    environment |= {"PYTHONUNBUFFERED": "1", **variables}
    command = [sys.executable, "app.py", *flags]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            said = next((line for line in server.stdout if "http://" in line), None)
            assert said, "the app ended before it served"
            yield said.split()[-1]
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def app_url(tmp_path_factory) -> Iterator[str]:
    """Address of the app, offline and with nothing cached."""
    home, runs = (str(tmp_path_factory.mktemp(name)) for name in ("hf", "runs"))
    with serving(HF_HOME=home, HF_HUB_OFFLINE="1", VIT_RUNS_FOLDER=runs) as url:
        yield url


@pytest.fixture
def judge():
    """judge(fact, words) fails a benchmark where the fact doesn't hold; in CI, whose machine may be busy, it warns."""

    def said(holds: bool, words: str) -> None:
        if os.getenv("CI") and not holds:
            warnings.warn(words, stacklevel=2)
        else:
            assert holds, words

    return said


def await_end(client, run_id: str) -> dict:
    """The run's status once it has ended."""
    while (status := client.predict(run_id, api_name="/status"))["status"] not in ("finished", "stopped", "failed"):
        time.sleep(0.2)
    return status
