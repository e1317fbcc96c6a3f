"""The files of a ZIP archive, one at a time: nothing in an archive says where, or how much, is written."""

import contextlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

LARGEST = 20_000_000  # bytes of a file in it, unpacked
TOTAL = 1_000_000_000  # bytes of all of them
DIRECTORY = 8_000_000  # bytes of its table of contents, which takes twenty times as much memory
CHUNK = 1 << 16

UNPACKING = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error)


class UnreadableArchive(ValueError):
    """A file that is no ZIP archive, or one whose contents can't be listed."""


def is_archive(path: Path) -> bool:
    """Whether a file begins as a ZIP archive does, whatever it is called."""
    try:
        with open(path, "rb") as file:
            return file.read(4) in (b"PK\3\4", b"PK\5\6")
    except OSError:
        return False


def unpack(archive: Path, folder: Path) -> Iterator[tuple[str, Path | None, str]]:
    """Yields each file's name, where it lies, and why it does not: one file in `folder`, which the next one replaces.

    Names are for people: none of them becomes a path. Folders, links and what systems add to an archive are left out
    or refused by name; a damaged, encrypted or too large file is refused by name, and the others go on. Raises
    UnreadableArchive.
    """
    target, written = folder / "unpacked", 0
    with open_archive(archive) as opened:
        for name, info, reason in listed(opened):
            if reason:
                yield name, None, reason
                continue
            if written > TOTAL:
                yield name, None, f"is not unpacked: the archive holds more than {TOTAL // 1_000_000:,} MB; split it"
                continue
            size, reason = extract(opened, info, target)
            written += size
            yield name, None if reason else target, reason


def listed(opened: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo, str]]:
    """Each file's name, its entry, and why it is refused, if it is; without folders and what systems add."""
    for info in opened.infolist():
        name = _readable(info)
        if not info.is_dir() and not _added_by_a_system(name):
            yield name, info, _refusal(info)


def open_archive(archive: Path) -> zipfile.ZipFile:
    """To be read by who takes its files one by one. Raises UnreadableArchive."""
    try:
        if _directory_size(archive) > DIRECTORY:
            raise UnreadableArchive(f"{archive.name} lists too many files: expected fewer; split it into several.")
        return zipfile.ZipFile(archive)
    except UnreadableArchive:
        raise
    except UNPACKING as error:
        raise UnreadableArchive(
            f"{archive.name} is no intact ZIP archive ({_said(error)}): expected one; pack it again."
        ) from error


def _directory_size(archive: Path) -> int:
    """Bytes of the table of contents, by the record at the end of the file (APPNOTE 4.3.16)."""
    with open(archive, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 22 - 65_535))
        tail = file.read()
    at = tail.rfind(b"PK\5\6")
    return struct.unpack_from("<I", tail, at + 12)[0] if 0 <= at <= len(tail) - 22 else 0


def _readable(info: zipfile.ZipInfo) -> str:
    """Its name, in whatever script: many programs write UTF-8 and don't say so."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with contextlib.suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\0", "")[:255]


def _added_by_a_system(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


def _refusal(info: zipfile.ZipInfo) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link: expected a picture; pack the picture itself"
    if info.flag_bits & 1:
        return "is encrypted: expected a picture; pack it without a password"
    return ""


def extract(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> tuple[int, str]:
    """Unpacks a picture's file; returns its bytes, and why they can't be used, "" where they can."""
    try:
        size = write(opened, info, target, LARGEST)
    except UNPACKING as error:
        return 0, f"can't be unpacked ({_said(error)}): expected an intact file; pack it again"
    too_much = f"has more than {LARGEST // 1_000_000} MB: expected less; scale it down first"
    return size, too_much if size > LARGEST else ""


def write(opened: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, most: int) -> int:
    """Unpacks what is there, whatever size the archive promises, up to one chunk above `most`; returns its bytes.

    Raises one of UNPACKING.
    """
    size = 0
    with opened.open(info) as source, open(target, "wb") as file:
        while size <= most and (chunk := source.read(CHUNK)):
            size += file.write(chunk)
    return size


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:100] or type(error).__name__
