"""A folder that one process alone writes into, with and without a system that keeps others out."""

from pathlib import Path

import pytest

from vit.data import claim
from vit.data.claim import claimed


@pytest.mark.skipif(claim.fcntl is None, reason="the system keeps nobody out")
def test_who_comes_second_is_refused_and_what_is_left_is_nothing(tmp_path):
    refused = pytest.raises(ValueError, match="Wait")
    with claimed(tmp_path / ".claim", "Wait."), refused, claimed(tmp_path / ".claim", "Wait."):
        pass
    assert not list(tmp_path.iterdir())


def test_on_windows_where_nobody_removes_what_is_open_work_ends_well(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError("The process cannot access the file because it is being used by another process")

    monkeypatch.setattr(claim, "fcntl", None)
    monkeypatch.setattr(Path, "unlink", refuse)
    for _ in range(2):
        with claimed(tmp_path / ".claim", "Wait."):
            (tmp_path / "result").write_text("done")
    assert (tmp_path / "result").exists()
