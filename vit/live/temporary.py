"""Where lies what ends with this process."""

import atexit
import shutil
import tempfile
from pathlib import Path


def folder(name: str) -> Path:
    """A new one in the system's temporary folder, from which Gradio serves; nobody else may look into it or knows what
    it is called."""
    made = tempfile.mkdtemp(prefix=f"{name}-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)
