"""How long uploads are kept: judged by their files, looked after by the clock."""

import os
import time

import pytest

from vit.live import uploads
from vit.live.uploads import EVERY, KEPT, MINUTES


def test_what_was_sent_is_looked_after_as_often_as_it_is_said(monkeypatch):
    class Enough(Exception):
        pass

    waited, swept = [], []

    def sleep(seconds):
        if len(waited) == 3:
            raise Enough
        waited.append(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    with pytest.raises(Enough):
        uploads._keep_looking(swept.append)
    assert waited == [EVERY] * 3 and len(swept) == 3 and KEPT + EVERY == 60 * MINUTES <= 70 * 60


def test_a_file_counts_from_when_it_came_and_not_from_when_the_picture_was_taken(tmp_path):
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"x")
    os.utime(file, (0, 0))
    came = file.stat().st_ctime
    assert not uploads.outdated(file, came + KEPT - 1)
    assert uploads.outdated(file, came + KEPT)
    file.unlink()
    assert uploads.outdated(file, came) and uploads.outdated("no\0name", came)
