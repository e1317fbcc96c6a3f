"""A run for a class: its view-only page as a link and as a QR code."""

from pathlib import Path

import gradio as gr

from vit.ui import pictures

HERE = Path(__file__).parent


def build() -> gr.HTML:
    """Folded; its value is a run's id, without one it isn't there."""
    return pictures.html(template=HERE / "share")
