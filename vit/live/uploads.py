"""How long the server keeps what visitors send, and what is made of it: in memory as on disk."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

KEPT, EVERY = 3600, 600  # seconds it is kept, and between two looks at what is that old
MINUTES = (KEPT + EVERY) // 60  # after which it is surely gone
LEAST_FREE = 500_000_000  # bytes of a disk, below which nothing that is sent is taken in


def outdated(file: str | Path, now: float) -> bool:
    """Whether a file that was sent is KEPT seconds old, or gone already. now: as time.time()."""
    try:
        return now - Path(file).stat().st_ctime >= KEPT  # a copy's st_mtime may be of the original
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return True


def look(sweep: Callable[[float], object]) -> None:
    """From now on calls sweep(time.time()) every EVERY seconds, in a thread that ends with this process."""
    threading.Thread(target=_keep_looking, args=(sweep,), name="sweep", daemon=True).start()


def _keep_looking(sweep: Callable[[float], object]) -> None:
    while True:
        time.sleep(EVERY)
        sweep(time.time())
