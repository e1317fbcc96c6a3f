"""Options of events that need no sign of Gradio's while they go on, and are no endpoint."""

QUIET = {"show_progress": "hidden", "api_visibility": "private"}
LATEST = {**QUIET, "trigger_mode": "always_last"}  # of what has no more to say than its inputs
