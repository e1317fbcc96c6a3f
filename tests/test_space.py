"""What a Space builds from: front matter that its host accepts, requirements that resolve, and only tracked files."""

import os
import re
import subprocess
import sys

import httpx
import pytest
import yaml
from huggingface_hub import SpaceHardware, constants

from tests.conftest import ROOT
from tests.weights.loopback import serving_hub
from vit.cli import main
from vit.data import DATASETS
from vit.weights import hub

# The Hub's reference of a Space's configuration, as of 2026-08: each key with what its value must be.
COLORS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
SCOPES = {"email", "read-repos", "gated-repos", "contribute-repos", "write-repos", "manage-repos", "inference-api"}
FRONT_MATTER = {
    "title": lambda v: 0 < len(v) <= 60,
    "emoji": lambda v: not v.isascii() and len(v) <= 4,
    "colorFrom": COLORS.__contains__,
    "colorTo": COLORS.__contains__,
    "sdk": lambda v: v == "gradio",
    "sdk_version": lambda v: re.fullmatch(r"\d+\.\d+\.\d+", v),
    "python_version": lambda v: re.fullmatch(r"3\.\d+", v),
    "app_file": lambda v: (ROOT / v).is_file(),
    "short_description": lambda v: 0 < len(v) <= 60,
    "license": lambda v: v == "mit",
    "suggested_hardware": lambda v: v in {hardware.value for hardware in SpaceHardware},
    "datasets": lambda v: set(v) == {entry.hub_name for entry in DATASETS.values() if entry.hub_name},
    "tags": lambda v: all(re.fullmatch(r"[a-z0-9-]+", tag) for tag in v),
    "hf_oauth": lambda v: v is True,
    "hf_oauth_scopes": lambda v: set(v) <= SCOPES,
}
# Root may write anywhere by these powers; without them it is to files what any other user is.
POWERLESS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]


@pytest.fixture(scope="module")
def front_matter() -> dict:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\0").split("\0")


def test_the_front_matter_has_documented_keys_and_values_alone(front_matter):
    assert front_matter.keys() <= FRONT_MATTER.keys()
    wrong = {name: value for name, value in front_matter.items() if not FRONT_MATTER[name](value)}
    assert not wrong
    assert {"title", "sdk", "sdk_version", "app_file", "python_version"} <= front_matter.keys()


def test_the_spaces_gradio_is_one_that_the_requirements_take(front_matter):
    from packaging.requirements import Requirement

    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    (gradio,) = (Requirement(line) for line in lines if line.startswith("gradio"))
    assert front_matter["sdk_version"] in gradio.specifier


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_requirements_resolve_as_in_an_environment_where_nothing_is_installed():
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
    command += ["--use-feature=fast-deps", "-r", ROOT / "requirements.txt"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def copied(tmp_path, tracked):
    """Exactly what git tracks, which nobody may write to."""
    folder = tmp_path / "mit Umläuten und Leerzeichen"
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="permissions are read from their bits")
def test_the_app_starts_without_a_home_from_tracked_files_that_it_may_not_write(copied, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    environment = {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    environment |= {"HF_HOME": str(cache), "TMPDIR": str(cache), "GRADIO_TEMP_DIR": str(cache)}
    command = [*(POWERLESS if os.getuid() == 0 else []), sys.executable, "app.py"]
    tried = [*command[:-1], "-c", "open('new', 'w', encoding='utf-8')"]
    assert b"PermissionError" in subprocess.run(tried, cwd=copied, env=environment, capture_output=True).stderr
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=copied, env=environment, **piped) as server:
        try:
            said = next((line for line in server.stdout if "http://" in line), None)
            assert said, server.stderr.read()
            url = said.split()[-1].rstrip("/")
            assert httpx.get(url, timeout=60, trust_env=False).status_code == 200
            health = httpx.get(f"{url}/gradio_api/health", timeout=60, trust_env=False).json()
            assert health["models"] == ["cifar10", "shapes"]
        finally:
            server.terminate()
        assert "Traceback" not in server.stderr.read()


@pytest.fixture
def my_hub(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with serving_hub() as (handler, address):
        monkeypatch.setattr(hub, "ENDPOINT", address)
        yield handler


def test_deploying_uploads_what_the_app_runs_from_and_only_what_is_tracked(my_hub, monkeypatch, tracked, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert main(["deploy", "--repo-id", "my-vit"]) == 0
    assert "/spaces/visitor/my-vit, which builds itself now" in capsys.readouterr().out
    (created,) = my_hub.created
    assert (created["type"], created["sdk"], created["visibility"]) == ("space", "gradio", "private")
    assert my_hub.tokens == {"Bearer hf_mine"}
    arrived = my_hub.files.keys()
    needed = {name for name in tracked if name.startswith(("vit/", "checkpoints/", "docs/"))}
    assert needed | {"app.py", "README.md", "requirements.txt"} <= arrived <= set(tracked)
    assert not [name for name in arrived if name.startswith("tests/")]


@pytest.mark.parametrize(("status", "words"), [(401, "doesn't know this token"), (403, "no right to write")])
def test_a_refused_deployment_names_the_remedy(my_hub, monkeypatch, capsys, status, words):
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    my_hub.refuse = status
    assert main(["deploy", "--repo-id", "my-vit"]) == 2
    assert words in capsys.readouterr().err and not my_hub.files


def test_a_name_that_cannot_be_a_spaces_is_refused_before_any_request(my_hub, capsys):
    assert main(["deploy", "--repo-id", "my vit"]) == 2
    assert "can't name a Space" in capsys.readouterr().err and not my_hub.tokens
