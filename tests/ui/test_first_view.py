"""How long a visitor waits for the first complete view, beside an empty page of Gradio's."""

import statistics

import gradio as gr
import pytest

from tests.conftest import serving

ROUNDS, RATIO = 5, 1.5


def seconds_until(browser, url: str, ready: str) -> float:
    """From the address to what is waited for, in a browser that has been here before, as a class's second visitor."""
    with browser.new_context() as context:
        for _ in range(2):
            page = context.new_page()
            page.set_default_timeout(120_000)
            page.goto(url)
            page.wait_for_selector(ready)
            took = page.evaluate("performance.now()") / 1000
            page.close()
    return took


@pytest.mark.benchmark
def test_the_first_complete_view_takes_hardly_longer_than_an_empty_page(browser, tmp_path, judge):
    with gr.Blocks() as empty:
        gr.Markdown("Ready", elem_id="ready")
    _, plain, _ = empty.launch(prevent_thread_lock=True, quiet=True)
    variables = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "VIT_RUNS_FOLDER": str(tmp_path / "runs")}
    with serving(**variables) as url:
        seconds_until(browser, url, "#forming canvas.map")  # the server's first answer loads data and model
        ours = [seconds_until(browser, url, "#forming canvas.map") for _ in range(ROUNDS)]
        theirs = [seconds_until(browser, plain, "#ready") for _ in range(ROUNDS)]
    empty.close()
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"first view {statistics.median(ours):.2f} s, empty page {statistics.median(theirs):.2f} s: {ratio:.2f}")
    judge(ratio <= RATIO, f"the first complete view takes {ratio:.2f} times as long as an empty page; expected {RATIO}")
