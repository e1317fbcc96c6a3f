"""The app as a program meets it: a real server, driven by gradio_client."""

import subprocess
import sys
import time
from pathlib import Path

import gradio as gr
import pytest
from gradio_client import handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.conftest import ROOT, SETTINGS, await_end
from vit.data.registry import DATASETS
from vit.live import speed
from vit.precision import Precision
from vit.ui import page, top

ENDPOINTS = {"/about", "/classify", "/attention", "/start", "/status", "/stop"}
ENDPOINTS |= {"/attention_statistics", "/relevance", "/without_heads", "/head_importance"}
ENDPOINTS |= {"/head_regions", "/logit_lens", "/cover", "/position_similarity"}
ENDPOINTS |= {"/lesson"}
ENDPOINTS |= {"/classify_batch", "/evaluate", "/compare"}
ENDPOINTS |= {"/pause", "/resume", "/set_learning_rate", "/snapshot", "/download", "/delete", "/animation"}
ENDPOINTS |= {"/teach_add", "/teach", "/teach_status", "/teach_stop", "/teach_delete", "/teach_delete_model"}


def test_importing_app_builds_and_opens_nothing():
    code = "import app, sys; print([name for name in ('gradio', 'torch', 'vit.ui') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_names_the_flags():
    done = subprocess.run([sys.executable, "app.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(flag in done.stdout for flag in ("--share", "--host", "--port"))


def test_without_network_the_app_says_so_and_has_shapes(client):
    while "%" in (about := client.predict(api_name="/about"))["data"]["cifar10"]:
        time.sleep(0.2)
    assert about["data"]["shapes"] == "ready"
    assert about["data"]["cifar10"] == "can't be reached (offline, and not cached)"
    assert "shapes" in about["models"]


def test_the_line_on_top_says_the_precision_once_it_is_known(monkeypatch):
    monkeypatch.setattr(speed, "precisions", [])
    assert "by trial" not in top.status_line(None, {})
    speed.precisions.append(Precision("bf16", "by trial: 1,240 against 690 images/s"))
    line = ', <span title="bf16 by trial: 1,240 against 690 images/s">bf16 by trial</span></span>'
    assert top.status_line(None, {}).endswith(line)
    assert page.about()["device"].endswith(", bf16 by trial: 1,240 against 690 images/s")


def test_the_page_stays_drawn_by_the_browser_where_a_space_asks_for_a_server_of_node(monkeypatch):
    monkeypatch.setenv("GRADIO_SSR_MODE", "True")
    with gr.Blocks() as demo:
        gr.Markdown("Nothing")
    page.launch(demo, prevent_thread_lock=True, quiet=True)
    try:
        assert not demo.ssr_mode
    finally:
        demo.close()


def test_named_endpoints_are_described_and_plumbing_is_hidden(client):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == ENDPOINTS
    assert all(endpoint["description"] for endpoint in named.values())


def test_classify_gives_a_probability_for_each_class(client, picture, shapes):
    said = client.predict(picture, "shapes", api_name="/classify")
    confidences = {entry["label"]: entry["confidence"] for entry in said["confidences"]}
    assert set(confidences) == set(shapes.test.classes)
    assert sum(confidences.values()) == pytest.approx(1, abs=1e-4)
    assert said["label"] == max(confidences, key=confidences.get)


@pytest.mark.parametrize(
    "name, content, says",
    [
        ("my holiday photo.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n{} loop\n", "is an EPS file, which is a program: expected"),
        ("another.png", b"%!PS\n/loop { loop } def loop", "is an EPS file, which is a program: expected"),
        ("a long paper.pdf", b"%PDF-1.7\n", "is a PDF document: expected a picture"),
    ],
)
def test_what_is_no_picture_is_refused_by_its_own_name_alone(client, picture, tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AppError) as caught:
        client.predict(handle_file(tmp_path / name), "shapes", api_name="/classify")
    assert str(caught.value).startswith(f"{name} {says}") and str(caught.value).endswith("save it as PNG or JPEG")
    assert client.predict(picture, "shapes", api_name="/classify")["label"]


def test_attention_gives_the_grid_and_the_figure(client, picture):
    result, figure = client.predict(picture, "shapes", 2, 1, figure=True, api_name="/attention")
    assert [len(row) for row in result["grid"]] == [len(result["grid"])] * len(result["grid"])
    assert 0 < sum(map(sum, result["grid"])) <= 1.0001
    width, height = Image.open(figure).size
    assert width > 2 * height
    mean, none = client.predict(picture, "shapes", 2, 0, api_name="/attention")
    assert mean["grid"] != result["grid"] and none is None


SMALL = {"depth": 2, "embed_dim": 32, "num_heads": 2}


@pytest.mark.slow
def test_a_model_that_is_being_trained_is_not_used_yet(client, picture):
    run = client.predict("shapes", "vit_live", 10, *SETTINGS.values(), SMALL, api_name="/start")
    with pytest.raises(AppError, match="still being trained"):
        client.predict(picture, run["run_id"], api_name="/classify")
    client.predict(run["run_id"], run["owner_token"], api_name="/stop")
    assert await_end(client, run["run_id"])["status"] == "stopped"


def test_a_program_trains_a_model_and_uses_it(client, picture, judge):
    run = client.predict("shapes", "vit_live", 0.05, *SETTINGS.values(), SMALL, api_name="/start")
    assert run["owner_token"] != run["run_id"]
    status = await_end(client, run["run_id"])
    assert status["status"] == "finished", status["message"]
    assert status["step"] > 0 and status["images_per_second"] > 0
    assert 0 <= status["validation_accuracy"] <= 1
    assert len(status["curve"]["loss"]) == len(status["curve"]["seconds"]) > 0
    assert 0 <= status["test_accuracy"] <= 1
    judge(status["seconds_drawing"] <= 0.1 * status["curve"]["seconds"][-1], f"drew {status['seconds_drawing']:.2f} s")
    assert client.predict(picture, run["run_id"], api_name="/classify")["label"]
    start, end = (client.predict(run["run_id"], step, api_name="/snapshot") for step in (0, status["step"]))
    assert start["step"] == 0 and end["step"] == status["step"]
    assert start["attention"] != end["attention"] and len(start["truth"]) == len(start["probabilities"]) == 6
    assert client.predict(run["run_id"], api_name="/download").endswith("vit-live-shapes.zip")
    gif = client.predict(run["run_id"], 2, api_name="/animation")
    assert Image.open(gif).n_frames > 1 and Path(gif).stat().st_size < 3_000_000
    with pytest.raises(AppError, match="layers 1 to 2, got 9"):
        client.predict(run["run_id"], 9, api_name="/animation")
    with pytest.raises(AppError, match="Only the page that started this run"):
        client.predict(run["run_id"], "guess", api_name="/delete")
    assert client.predict(run["run_id"], run["owner_token"], api_name="/delete")["deleted"]
    with pytest.raises(AppError, match="no such run"):
        client.predict(run["run_id"], api_name="/status")


def test_a_program_pauses_changes_the_rate_and_resumes(client):
    run = client.predict("shapes", "vit_live", 10, *SETTINGS.values(), {"depth": 1}, api_name="/start")
    who = run["run_id"], run["owner_token"]
    assert run["command"].endswith("--batch-size 32 --depth 1")
    while client.predict(who[0], api_name="/status")["step"] < 2:
        time.sleep(0.1)
    client.predict(*who, api_name="/pause")
    while (paused := client.predict(who[0], api_name="/status"))["status"] != "paused":
        time.sleep(0.1)
    assert client.predict(*who, 1e-6, api_name="/set_learning_rate")["learning_rate"] == 1e-6
    with pytest.raises(AppError, match="tend to diverge"):
        client.predict(*who, 50, api_name="/set_learning_rate")
    client.predict(*who, api_name="/resume")
    while client.predict(who[0], api_name="/status")["step"] < paused["step"] + 2:
        time.sleep(0.1)
    client.predict(*who, api_name="/stop")
    rates = await_end(client, who[0])["curve"]["lr"]
    assert rates[-1] <= 1e-6 < rates[0]


def test_only_the_owner_stops_a_run(client):
    run = client.predict("shapes", "vit_live", 10, *SETTINGS.values(), {"depth": 1}, api_name="/start")
    with pytest.raises(AppError, match="Only the page or program that started"):
        client.predict(run["run_id"], run["run_id"], api_name="/stop")
    assert client.predict(run["run_id"], run["owner_token"], api_name="/stop")["stopping"]
    assert await_end(client, run["run_id"])["status"] == "stopped"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"minutes": 0}, "Minutes must be a positive number, at most 10, got 0"),
        ({"minutes": 1000}, "at most 10, got 1000"),
        ({"dataset": "mnist"}, f"one of {', '.join(DATASETS)}, got 'mnist'"),
        ({"model": "vit_base"}, "one of vit_live, .*got 'vit_base'"),
        ({"batch_size": 0}, "Batch size must be a whole number from 1 to 1,024"),
        ({"learning_rate": -1}, "Learning rate must be a positive number"),
        ({"seed": None}, "Seed is empty"),
        ({"advanced": {"depth": 2.7}}, "Depth must be a whole number from 1 to 24, got 2.7"),
        ({"advanced": {"flip": "maybe"}}, "Flip must be true or false"),
        ({"advanced": {"embed_dim": 98}}, "choose a width of 96 or 100"),
        ({"advanced": {"classes": ["heart"]}}, "choose at least 2"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(client, change, words):
    settings = {"dataset": "shapes", "model": "vit_live", "minutes": 1, **SETTINGS, **change}
    with pytest.raises(AppError, match=words):
        client.predict(*settings.values(), api_name="/start")


def test_cifar10_without_network_fails_with_a_remedy(client):
    run = client.predict("cifar10", "vit_live", 1, *SETTINGS.values(), api_name="/start")
    status = await_end(client, run["run_id"])
    assert status["status"] == "failed" and "Shapes" in status["message"]


def test_bad_pictures_models_layers_and_runs_are_named(client, picture, tmp_path):
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"0" * 50)
    for name in ("notes.txt", "torn.png"):
        with pytest.raises(AppError, match="expected a picture"):
            client.predict(handle_file(tmp_path / name), "shapes", api_name="/classify")
    with pytest.raises(AppError, match=r"choose .*shapes"):
        client.predict(picture, "nothing", api_name="/classify")
    with pytest.raises(AppError, match=r"layers 1 to \d+, got 99"):
        client.predict(picture, "shapes", 99, 0, api_name="/attention")
    with pytest.raises(AppError, match="no such run"):
        client.predict("guess", api_name="/status")


def test_a_link_waits_for_its_picture_while_the_data_is_on_its_way(monkeypatch, shapes):
    from vit.live import datasets
    from vit.ui import links

    source = datasets.Source("shapes")
    monkeypatch.setitem(datasets.SOURCES, "shapes", source)
    assert source.splits is None
    assert links.linked({"model": "shapes", "picture": "shapes-17"}) == ("shapes", ("shapes", 17))
    assert source.splits is not None
