"""For whoever hosts the page: where runs are kept, what they may take of the disk, and how the server is."""

import importlib
import re

import pytest

import vit
from tests.conftest import ROOT
from tests.live.conftest import start, stopped
from vit.live import space, storage
from vit.live.health import health
from vit.training.moments import Album

ASKED = re.compile("SPACE_ID|SPACES_ZERO_GPU|OAUTH_CLIENT")  # variables of a Space


@pytest.fixture
def hosted(monkeypatch):
    """Reads the module anew under other variables; afterwards as it was."""

    def read(**variables: str):
        for name in ("SPACE_ID", "SPACES_ZERO_GPU", "OAUTH_CLIENT_ID", "VIT_RUNS_FOLDER"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return importlib.reload(space)

    yield read
    monkeypatch.undo()
    importlib.reload(space)


def test_a_laptop_is_no_space(hosted, tmp_path):
    read = hosted(OAUTH_CLIENT_ID="left over")
    assert (read.ON_SPACE, read.ON_ZERO, read.SIGNS_IN) == (False, False, False)
    assert read.runs_folder(tmp_path) == tmp_path


def test_a_space_keeps_runs_where_they_outlive_a_restart(hosted, monkeypatch, tmp_path):
    read = hosted(SPACE_ID="someone/vit", SPACES_ZERO_GPU="1", OAUTH_CLIENT_ID="id")
    assert (read.ON_SPACE, read.ON_ZERO, read.SIGNS_IN) == (True, True, True)
    monkeypatch.setattr(read, "DISK", tmp_path / "missing")
    assert read.runs_folder(tmp_path) == tmp_path, "where the owner has not added a disk"
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(read, "DISK", tmp_path / "data")
    assert read.runs_folder(tmp_path) == tmp_path / "data" / "runs"
    monkeypatch.setenv("VIT_RUNS_FOLDER", str(tmp_path / "chosen"))
    assert read.runs_folder(tmp_path) == tmp_path / "chosen"


def test_runs_take_no_more_of_the_disk_than_they_may_and_the_latest_stays(registry, monkeypatch, small_vit):
    small_vit.classes = tuple("abcdefghij")
    storage.save("0" * 16, small_vit, {}, Album())
    one = storage.size()
    monkeypatch.setattr(storage, "MAX_DISK", 2.5 * one / 1e9)
    for i in range(1, 5):
        storage.save(f"{i}" * 16, small_vit, {}, Album())
    assert sorted(path.name for path in storage.FOLDER.iterdir()) == ["3" * 16, "4" * 16]
    assert storage.size() == 2 * one
    monkeypatch.setattr(storage, "MAX_DISK", 0.0)
    storage.save("5" * 16, small_vit, {}, Album())
    assert [path.name for path in storage.FOLDER.iterdir()] == ["5" * 16]


def test_the_answer_on_health_counts_runs_and_says_what_there_is(registry):
    before = health()
    assert before["version"] == vit.__version__ and before["models"] == ["cifar10", "shapes"]
    assert before["data"]["shapes"] == "ready" and before["disk"]["runs"] == 0 < before["disk"]["free"]
    assert "stopped" not in before["runs"]
    run = stopped(start())
    after = health()
    assert after["runs"]["stopped"] == 1 and after["disk"]["runs"] > 0
    assert run.id not in str(after) and run.owner not in str(after)


def test_one_module_knows_what_hosts_the_page():
    asking = [path.name for path in (ROOT / "vit").rglob("*.py") if ASKED.search(path.read_text(encoding="utf-8"))]
    assert asking == ["space.py"]
