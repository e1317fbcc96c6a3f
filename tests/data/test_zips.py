"""ZIP archives as they come: what is in them is read file by file, and what is not a picture's harms nothing."""

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from vit.data import zips
from vit.data.zips import UnreadableArchive, is_archive, unpack


def png(color: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def packed(tmp_path):
    """packed({name: content}) is an archive of these."""

    def pack(files: dict, **options) -> Path:
        with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in files.items():
                file.writestr(name, content)
        return tmp_path / "a.zip"

    return pack


def listed(archive: Path, folder: Path) -> list[tuple[str, bytes | None, str]]:
    """Each file's name, content and refusal; nothing but one file may have been written."""
    inside = folder / "inside"
    inside.mkdir()
    there = [(name, file and file.read_bytes(), reason) for name, file, reason in unpack(archive, inside)]
    assert {path.name for path in inside.rglob("*")} <= {"unpacked"}
    assert {path.name for path in folder.iterdir()} == {"inside", archive.name}
    return there


def test_files_come_in_their_order_with_names_in_any_script_and_without_a_systems_own(packed, tmp_path):
    names = ["b.png", "a folder/а фото.png", "写真.png", "صورة 🐈.png"]
    extra = {"__MACOSX/b.png": b"", "a folder/.DS_Store": b"", "empty folder/": b""}
    found = listed(packed({**dict.fromkeys(names, png()), **extra}), tmp_path)
    assert found == [(name, png(), "") for name in names]


def test_a_name_in_utf8_that_is_not_said_to_be_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("xx.png", png())
    content = (tmp_path / "a.zip").read_bytes().replace(b"xx.png", "ю.png".encode().ljust(6, b"g"))
    (tmp_path / "a.zip").write_bytes(content)
    ((name, _, _),) = listed(tmp_path / "a.zip", tmp_path)
    assert name.startswith("ю.png")


@pytest.mark.parametrize("name", ["../../escaped.png", "/etc/escaped.png", "C:\\escaped.png", "a/../../../escaped.png"])
def test_a_path_that_leads_out_is_a_name_alone(name, packed, tmp_path):
    ((shown, content, reason),) = listed(packed({name: png()}), tmp_path)
    assert content == png() and not reason and "escaped" in shown
    assert not list(tmp_path.parent.glob("escaped*"))


def test_a_link_is_refused_by_name(tmp_path):
    link = zipfile.ZipInfo("link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
        file.writestr("good.png", png())
    found = listed(tmp_path / "a.zip", tmp_path)
    assert found == [
        ("link.png", None, "is a link: expected a picture; pack the picture itself"),
        ("good.png", png(), ""),
    ]


def test_what_unpacks_to_more_than_is_sensible_is_stopped(packed, tmp_path, monkeypatch):
    monkeypatch.setattr(zips, "LARGEST", 1_000_000)
    monkeypatch.setattr(zips, "TOTAL", 2_500_000)
    bomb = bytes(50_000_000)
    found = listed(packed({"a": bomb, "b": bomb, "c": bomb, "d": png()}), tmp_path)
    assert [name for name, content, _ in found if content is None] == ["a", "b", "c", "d"]
    assert "more than 1 MB: expected less" in found[0][2] and "is not unpacked" in found[3][2]
    assert not (tmp_path / "inside" / "unpacked").exists() or (tmp_path / "inside" / "unpacked").stat().st_size < 1.2e6


def test_an_archive_in_an_archive_is_handed_on_as_a_file_and_not_opened(packed, tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("a.png", png())
    assert listed(packed({"inner.zip": inner.getvalue()}), tmp_path) == [("inner.zip", inner.getvalue(), "")]


def test_a_damaged_and_an_encrypted_file_are_refused_and_the_next_is_read(packed, tmp_path):
    archive = packed({"torn.png": torch.randint(256, (5000,), dtype=torch.uint8).numpy().tobytes(), "good.png": png()})
    content = bytearray(archive.read_bytes())
    content[200:260] = bytes(60)
    archive.write_bytes(content)
    torn, good = listed(archive, tmp_path)
    assert torn[1] is None and "can't be unpacked" in torn[2] and good == ("good.png", png(), "")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("secret.png", png())
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    at = content.index(b"PK\1\2")
    content[at + 8] |= 1
    archive.write_bytes(content)
    (tmp_path / "inside" / "unpacked").unlink()
    (tmp_path / "inside").rmdir()
    assert "is encrypted" in listed(archive, tmp_path)[0][2]


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"PK\5\6" + bytes(5), b"no archive", b"PK\3\4" + bytes(500)])
def test_what_is_no_archive_is_refused_in_a_sentence(content, tmp_path):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(UnreadableArchive, match=r"^a\.zip is no intact ZIP archive"):
        list(unpack(tmp_path / "a.zip", tmp_path))


def test_a_table_of_contents_that_fills_the_memory_is_not_read(packed, tmp_path):
    archive = packed({"a.png": png()})
    content = bytearray(archive.read_bytes())
    struct.pack_into("<I", content, content.rindex(b"PK\5\6") + 12, 2**31)
    archive.write_bytes(content)
    with pytest.raises(UnreadableArchive, match="lists too many files"):
        list(unpack(archive, tmp_path))
    assert is_archive(archive) and not is_archive(tmp_path) and not is_archive(tmp_path / "none")
