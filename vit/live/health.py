"""How this server is, for whoever runs it: one answer, without a line of the visitors' own."""

import shutil
from collections import Counter

from vit import __version__
from vit.live import models, runs, storage
from vit.live.datasets import SOURCES

GB = 1e9


def health() -> dict:
    """Version, models, data, runs by status, and gigabytes of the disk that runs lie on: free, theirs and the bound."""
    place = storage.FOLDER
    while not place.exists():  # nothing was saved yet
        place = place.parent
    status = Counter(run.status for run in list(runs.RUNS.values()))
    return {
        "version": __version__,
        "models": models.shipped(),
        "data": {name: source.state for name, source in SOURCES.items()},
        "runs": {"places": runs.MAX_RUNS, "waiting_places": runs.MAX_QUEUE, **status},
        "disk": {
            "free": round(shutil.disk_usage(place).free / GB, 6),
            "runs": round(storage.size() / GB, 6),
            "runs_at_most": storage.MAX_DISK,
        },
    }
