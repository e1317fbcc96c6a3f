"""How long the page takes to answer for the first time, beside an empty page of Gradio's with torch imported."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT

EMPTY = """
import torch, gradio as gr
with gr.Blocks() as demo:
    pass
demo.launch()
"""
PAIRS, RATIO = 5, 1.15


def seconds_to_answer(*command: str, folder: Path) -> float:
    """From the start of the process to the first 200."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "VIT_"))}
    environment |= {"PYTHONUNBUFFERED": "1", "GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1"}
    environment |= {"HF_HOME": str(folder), "VIT_RUNS_FOLDER": str(folder / "runs")}
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdout=subprocess.PIPE) as server:
        try:
            said = next(line for line in server.stdout if b"http://" in line)
            assert httpx.get(said.split()[-1].decode(), timeout=60, trust_env=False).status_code == 200
            return time.perf_counter() - started
        finally:
            server.terminate()


@pytest.mark.benchmark
def test_the_page_starts_nearly_as_fast_as_an_empty_one(tmp_path, judge):
    ratios = []
    for _ in range(PAIRS):
        ours = seconds_to_answer("app.py", folder=tmp_path)
        ratios.append(ours / seconds_to_answer("-c", EMPTY, folder=tmp_path))
    ratio = statistics.median(ratios)
    judge(ratio <= RATIO, f"the first answer takes {ratio:.2f} times as long as an empty page's; expected {RATIO}")
