"""Strangers' machines: another console, a notebook's variables, a proxy, a port in use, another working directory."""

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
PREDICT_EACH = """
import sys
from vit.cli import main
print([main(["predict", "checkpoints/shapes", picture]) for picture in sys.argv[1:]])
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
    done = run("-c", PREDICT_EACH, path, path.with_suffix(".heic"), **FOREIGN[kind])
    answer, statuses = done.stdout.splitlines()
    assert statuses == b"[0, 2]", done.stderr
    assert answer.endswith(b"%") and b"\\" in answer.partition(b".png: ")[0]
    assert b".heic does not exist" in done.stderr


@pytest.mark.slow
def test_a_notebooks_backend_does_not_keep_a_command_from_drawing(tmp_path):
    picture, figure = ROOT / "docs" / "train.png", tmp_path / "map.png"
    drawn = run("-m", "vit", "attention", "checkpoints/shapes", picture, "--out", figure, **NOTEBOOK)
    assert drawn.returncode == 0 and figure.exists(), drawn.stderr
    assert run("-m", "vit", "--help", **NOTEBOOK).returncode == 0


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
        assert httpx.get(url, timeout=60, trust_env=False).status_code == 200


@pytest.fixture
def taken():
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_in_use_is_a_sentence_with_the_next_free_one(taken, clean, capsys):
    import app  # only now: it sets a variable

    with pytest.raises(SystemExit) as left:
        app.main(["--port", str(taken)])
    assert left.value.code == 2
    said = capsys.readouterr().err.strip()
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


@pytest.mark.slow
def test_other_machines_of_the_network_get_in_where_they_may_and_a_login_keeps_out_who_does_not_know_it(tmp_path):
    variables = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1", "VIT_RUNS_FOLDER": str(tmp_path / "runs")}
    own = socket.gethostbyname(socket.gethostname())
    with (
        serving("--host", "0.0.0.0", "--auth", "class:chalk", **variables) as url,
        httpx.Client(base_url=url.replace("0.0.0.0", own), timeout=60, trust_env=False) as visitor,
    ):
        call = {"data": []}
        assert visitor.post("gradio_api/call/about", json=call).status_code == 401
        assert visitor.post("login", data={"username": "class", "password": "cheese"}).status_code == 400
        assert visitor.post("login", data={"username": "class", "password": "chalk"}).json() == {"success": True}
        assert visitor.post("gradio_api/call/about", json=call).status_code == 200
        assert visitor.get("").status_code == 200
