"""What goes to the server's log: one line of JSON for whatever went wrong, wherever it did."""

import json
import logging
import secrets
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

import gradio as gr
from uvicorn.config import LOGGING_CONFIG

from vit.ui import endpoints
from vit.ui.errors import BadInput

log = logging.getLogger("vit.page")


class Line(logging.Formatter):
    """A record as one line of JSON: time, level, where, what; of an error its kind, and the way to it."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "where": record.name,
            "what": record.getMessage(),
            **getattr(record, "more", {}),
        }
        if record.exc_info and (error := record.exc_info[1]):
            line["error"] = f"{type(error).__name__}: {error}"
            line["way"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in _frames(error)]
        return json.dumps(line)


def start() -> None:
    """From now on: warnings and errors of all libraries, and of threads that end by one."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line())
    LOGGING_CONFIG["formatters"]["default"] = {"()": Line}  # of the web server, which sets its own once it starts
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)

    def ended(args: threading.ExceptHookArgs) -> None:
        if args.exc_value:
            name = args.thread.name if args.thread else "a thread"
            log.error("%s ended", name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))

    threading.excepthook = ended


class Blocks(gr.Blocks):
    """Gradio's page, where an error that nobody foresaw is a line in the log, and the visitor gets its number.

    Of endpoints' components no browser is told, nor of several pages: it would draw a bar of them, which
    gr.Navbar(visible=False) leaves.
    """

    def get_config_file(self) -> Any:
        config = super().get_config_file()
        for page in config["page"].values():
            endpoints.leave_out(page, self.blocks)
        return {**config, "pages": config["pages"][:1]}

    async def process_api(self, block_fn: Any, *args: Any, **kwargs: Any) -> Any:
        """As gr.Blocks. Raises BadInput in place of what is no gr.Error."""
        try:
            return await super().process_api(block_fn, *args, **kwargs)
        except (gr.Error, StopAsyncIteration):
            raise
        except Exception as error:
            number = secrets.token_hex(4)
            name = getattr(block_fn, "api_name", None) or _name(block_fn)
            log.error("%s failed", name, exc_info=error, extra={"more": {"number": number}})
            raise BadInput(f"Something went wrong on the server; try again, or tell its owner {number}.") from error


def _name(block_fn: Any) -> str:
    function: Callable | None = getattr(block_fn, "fn", None)
    return getattr(function, "__qualname__", None) or "a handler"


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The way to an error, through those that caused it."""
    frames: list[traceback.FrameSummary] = []
    cause: BaseException | None = error
    while cause is not None:
        frames += traceback.extract_tb(cause.__traceback__)[-8:]
        cause = cause.__cause__
    return frames
