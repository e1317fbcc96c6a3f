"""Strangers' machines: another console, a notebook's variables, a proxy, a port in use, another working directory."""

import json
import os
import socket
import subprocess
import sys
import urllib.request

import httpx
import pytest
from PIL import Image

from tests.conftest import ROOT, serving
from vit import environment

NOTEBOOK = {"MPLBACKEND": "module://of_a_notebook.that_is_elsewhere"}
FOREIGN = {  # consoles and locales
    "ASCII": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "Western Windows": {"PYTHONIOENCODING": "cp1252"},
    "Chinese Windows": {"PYTHONIOENCODING": "gbk"},
}
IMPORT_ALL = """
import warnings, io
warnings.filterwarnings("error", category=EncodingWarning, module=r"(vit|app)(\\..*)?$")
from vit.ui import page
from vit.cli import COMMANDS, build_parser
page.build()
print(len(page.models.shipped()))
"""


def run(*command: object, **variables: str) -> subprocess.CompletedProcess:
    words = [sys.executable, *map(str, command)]
    return subprocess.run(words, cwd=ROOT, env={**os.environ, **variables}, capture_output=True)


@pytest.fixture
def clean(monkeypatch):
    """No proxy in the environment, which is put back."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    return os.environ


@pytest.mark.slow
def test_the_page_reads_no_text_in_the_systems_code_page():
    done = run("-X", "warn_default_encoding", "-c", IMPORT_ALL, **FOREIGN["ASCII"])
    assert (done.returncode, done.stdout.split()) == (0, [b"2"]), done.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_printed_survives_a_foreign_console(kind, tmp_path):
    path = tmp_path / "mön 写真 🎈.png"
    Image.new("RGB", (40, 40)).save(path)
    done = run("-m", "vit", "predict", "checkpoints/shapes", path, **FOREIGN[kind])
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith(b"%") and b"\\" in done.stdout.partition(b".png: ")[0]
    said = run("-m", "vit", "predict", "checkpoints/shapes", path.with_suffix(".heic"), **FOREIGN[kind])
    assert said.returncode == 2 and b".heic does not exist" in said.stderr


@pytest.mark.slow
def test_a_notebooks_backend_does_not_keep_a_command_from_drawing(tmp_path):
    picture, figure = ROOT / "docs" / "train.png", tmp_path / "map.png"
    drawn = run("-m", "vit", "attention", "checkpoints/shapes", picture, "--out", figure, **NOTEBOOK)
    assert drawn.returncode == 0 and figure.exists(), drawn.stderr
    assert run("-m", "vit", "--help", **NOTEBOOK).returncode == 0


def test_matplotlib_is_not_imported_where_nothing_is_drawn():
    code = "import sys, vit.cli.train, vit.cli.predict, vit.cli.evaluate; print('matplotlib' in sys.modules)"
    assert run("-c", code).stdout.split() == [b"False"]


@pytest.mark.parametrize(
    ("name", "address", "says"),
    [
        ("all_proxy", "socks://127.0.0.1:9", "a proxy of the kind socks: expected one of http, https, socks5, socks5h"),
        ("ALL_PROXY", "socks5://127.0.0.1:9", "needs the package socksio"),
    ],
)
def test_a_proxy_that_no_client_can_use_is_left_out_with_a_word(clean, capsys, monkeypatch, name, address, says):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda _: None)
    clean[name] = address
    environment.settle()
    assert name not in clean
    assert name in (said := capsys.readouterr().err) and says in said


def test_nothing_is_asked_of_a_proxy_about_this_machine(clean):
    clean.update(http_proxy="http://proxy.example:3128", no_proxy="intranet.example")
    environment.settle("192.168.0.7")
    environment.settle("192.168.0.7")
    assert clean["no_proxy"] == "intranet.example,localhost,127.0.0.1,::1,192.168.0.7"
    assert clean["http_proxy"] == "http://proxy.example:3128", "the Hub is still asked through it"
    assert urllib.request.proxy_bypass_environment("127.0.0.1") and not urllib.request.proxy_bypass_environment("hf.co")


def test_without_a_proxy_no_variable_is_made(clean):
    environment.settle()
    assert "no_proxy" not in clean and "NO_PROXY" not in clean  # alone it would hide a proxy that Windows knows of


@pytest.mark.slow
@pytest.mark.parametrize("proxy", [{"http_proxy": "http://127.0.0.1:9"}, {"all_proxy": "socks5://127.0.0.1:9"}])
def test_the_app_starts_whatever_proxy_is_set(proxy, tmp_path):
    variables = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "VIT_RUNS_FOLDER": str(tmp_path / "runs")}
    with serving(**variables, **proxy) as url:
        assert httpx.get(url, trust_env=False).status_code == 200


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_a_sentence_with_the_next_free_one(taken):
    done = run("app.py", "--port", taken)
    assert done.returncode == 2
    said = done.stderr.decode().strip()
    start = f"app.py: Port {taken} of 127.0.0.1 is in use by another program; take --port "
    assert said.startswith(start) and "\n" not in said
    free = int(said.removeprefix(start).split(",")[0])
    assert free > taken
    environment.check_address("127.0.0.1", free)


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("127.0.0.1", 70_000, "from 1 to 65535, got 70000"),
        ("127.0.0.1", 0, "from 1 to 65535, got 0"),
        ("nowhere.invalid", None, "no machine called 'nowhere.invalid'.*127.0.0.1 for this machine"),
        ("203.0.113.1", None, "203.0.113.1 can't be listened on.*0.0.0.0"),
    ],
)
def test_an_address_that_cannot_be_listened_on_is_named(host, port, words):
    with pytest.raises(ValueError, match=words):
        environment.check_address(host, port)


@pytest.mark.parametrize("words", ["", "name", "name:", ":password"])
def test_a_login_without_name_or_password_is_refused(words):
    with pytest.raises(ValueError, match="NAME:PASSWORD"):
        environment.login(words)


def test_a_login_may_have_colons_in_its_password():
    assert environment.login("a:b:c") == ("a", "b:c") and environment.login(None) is None


def test_the_apps_own_folders_do_not_depend_on_where_it_is_started(tmp_path):
    code = "from vit.data import cifar10; from vit.live import models, storage; import json; "
    code += "print(json.dumps([str(p) for p in (cifar10.FOLDER, models.CHECKPOINTS, storage.FOLDER)]))"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("VIT_")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    expected = [ROOT / "data" / "cifar-10-batches-py", ROOT / "checkpoints", ROOT / "runs" / "page"]
    assert json.loads(done.stdout) == list(map(str, expected)), done.stderr


@pytest.mark.slow
def test_a_login_keeps_out_who_does_not_know_it(tmp_path):
    variables = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "VIT_RUNS_FOLDER": str(tmp_path / "runs")}
    with serving("--auth", "class:chalk", **variables) as url, httpx.Client(base_url=url, trust_env=False) as visitor:
        call = {"data": []}
        assert visitor.post("gradio_api/call/about", json=call).status_code == 401
        assert visitor.post("login", data={"username": "class", "password": "cheese"}).status_code == 400
        assert visitor.post("login", data={"username": "class", "password": "chalk"}).json() == {"success": True}
        assert visitor.post("gradio_api/call/about", json=call).status_code == 200


@pytest.mark.slow
def test_other_machines_of_the_network_get_in_where_they_may(tmp_path):
    variables = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "VIT_RUNS_FOLDER": str(tmp_path / "runs")}
    with serving("--host", "0.0.0.0", **variables) as url:
        own = socket.gethostbyname(socket.gethostname())
        assert httpx.get(url.replace("0.0.0.0", own), trust_env=False).status_code == 200
