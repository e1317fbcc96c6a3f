"""Which kind of machine hosts the page: somebody's own, or a Space with CPUs, with a GPU, or with ZeroGPU.

The one place that asks. A Space with a GPU of its own needs no word of its own: `choose_device` finds the GPU there, as
on any other machine.
"""

import os
from pathlib import Path

NAME = os.getenv("SPACE_ID", "")  # OWNER/NAME; empty elsewhere
ON_SPACE = bool(NAME)
ON_ZERO = os.getenv("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
SIGNS_IN = ON_SPACE and bool(os.getenv("OAUTH_CLIENT_ID"))  # hf_oauth: true in the README's front matter
DISK = Path("/data")  # storage that outlives a restart, where the Space's owner has added it


def runs_folder(otherwise: Path) -> Path:
    """Where runs are saved: VIT_RUNS_FOLDER, or the storage that a Space keeps, or otherwise."""
    if chosen := os.getenv("VIT_RUNS_FOLDER"):
        return Path(chosen)
    return DISK / "runs" if ON_SPACE and os.access(DISK, os.W_OK) else otherwise
