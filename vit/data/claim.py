"""A folder that one process alone writes into."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows, where nobody is kept out
    fcntl = None


@contextmanager
def claimed(file: Path, refusal: str) -> Iterator[None]:
    """Holds a file of the folder, which must exist; the system forgets the claim of a process that was killed.

    Raises ValueError, with the refusal, while another process holds it.
    """
    with open(file, "w", encoding="utf-8") as held:
        try:
            if fcntl:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(refusal) from None
        try:
            yield
        finally:
            if fcntl:  # Windows lets nobody remove what is open; there it stays, empty
                file.unlink(missing_ok=True)
