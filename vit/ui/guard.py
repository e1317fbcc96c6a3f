"""What bounds a stranger's request where Gradio does not: pictures by their address, bodies, places in the queue."""

import asyncio
import functools
import inspect
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urljoin, urlparse

import gradio as gr
import httpx
import safehttpx
from gradio import processing_utils, queueing, route_utils, utils
from gradio.data_classes import PredictBodyInternal
from gradio_client.utils import strip_invalid_filename_characters
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vit.live import uploads
from vit.ui.errors import BadInput

LARGEST_PICTURE = 20_000_000  # bytes of one that is given by its address, as of one that is sent
LONGEST_FETCH = 60.0  # seconds for all of it
LARGEST_BODY = 64_000_000  # bytes; the page's own questions have 28e6 at most
UPLOAD = f"{route_utils.API_PREFIX}/upload"
PLACES = 500  # of events that go on at the same time
IN_THREADS = 30  # of them those that keep one of Gradio's 40 threads; whatever is short has the others
WAITING = 20  # events, for each of a kind that may go on at the same time
HEARD = 6.0  # seconds after which an event that goes on says something, though it has nothing new to say:
# Gradio looks only then whether the visitor is still there, and keeps their place, and so their run, until it does.


def install(demo: gr.Blocks) -> None:
    """Puts this file's queue, download and sweep into the place of Gradio's own, which nobody can tell such bounds."""
    demo._queue.__class__ = Queue
    processing_utils.async_ssrf_protected_download = download
    route_utils.delete_files_created_by_app = delete_files


def delete_files(blocks: gr.Blocks, age: float | None) -> None:
    """Deletes what was sent and is older than age seconds, or all of it.

    Gradio's own walks through sets that uploads change meanwhile; at that error its looks at them end for good.
    """
    stay = set().union(*(getattr(block, "keep_in_cache", ()) for block in blocks.blocks.values()))
    for files in blocks.temp_file_sets:
        for file in list(files):
            try:
                if file not in stay and (age is None or time.time() - os.lstat(file).st_ctime > age):
                    os.remove(file)
                    files.discard(file)
            except FileNotFoundError:
                files.discard(file)
            except OSError:  # perhaps it can be deleted at the next look
                continue


async def download(url: str, cache_dir: str) -> str:
    """The file that an address on the web was saved to, of at most LARGEST_PICTURE. Raises BadInput.

    Gradio's own reads whatever comes into memory. Addresses within the server's network are refused, as there.
    """
    folder = Path(cache_dir) / processing_utils.hash_url(url)
    file = folder / (strip_invalid_filename_characters(Path(urlparse(url).path.rstrip("/")).name) or "file")
    if not uploads.outdated(file, time.time()):  # else it would be refused as such
        return str(utils.abspath(file))
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{token_hex(8)}"  # others may fetch the same
    try:
        await asyncio.wait_for(_fetch(url, part), LONGEST_FETCH)
        os.replace(part, file)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, asyncio.TimeoutError) as error:
        reason = str(error) or "it takes too long"
        raise BadInput(f"{url:.100} can't be fetched ({reason}); save the picture, and send the file.") from error
    finally:
        part.unlink(missing_ok=True)
    return str(utils.abspath(file))


async def _fetch(url: str, file: Path) -> None:
    """Raises ValueError where what is there is too large, or can't be had."""
    headers = {"Accept-Encoding": "identity"}  # a few packed bytes may be any number of them
    for _ in range(processing_utils.MAX_REDIRECTS + 1):
        async with (
            httpx.AsyncClient(transport=await _transport(httpx.URL(url).host)) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if not response.has_redirect_location:
                return await _save(response, file)
            url = urljoin(url, response.headers["Location"])
    raise ValueError(f"it leads on to other addresses more than {processing_utils.MAX_REDIRECTS} times")


async def _transport(host: str) -> httpx.AsyncBaseTransport | None:
    """To one public address of the host, the one that was looked at, whatever its name leads to by then."""
    if safehttpx.matches_domain_whitelist(host, processing_utils.PUBLIC_HOSTNAME_WHITELIST):
        return None
    return safehttpx.AsyncSecureTransport(await safehttpx.async_validate_url(host))


async def _save(response: httpx.Response, file: Path) -> None:
    if response.status_code != 200:
        raise ValueError(f"it was answered with status {response.status_code}")
    size = 0
    with file.open("wb") as saved:
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > LARGEST_PICTURE:
                raise ValueError(f"it has more than {LARGEST_PICTURE / 1e6:g} MB")
            saved.write(chunk)


class Bodies:
    """ASGI middleware: a body of more than LARGEST_BODY is answered with 413, and no more of it is read.

    A file that is uploaded may be any, as Gradio bounds it and writes it to disk as it comes; it is answered so where
    the disk has less than uploads.LEAST_FREE.
    """

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers, upload, came = Headers(scope=scope), scope["path"] == UPLOAD, 0
        # Gradio's parser deletes what it has of a form after this error alone, and answers it with 413 by its words.
        form = headers.get("content-type", "").startswith("multipart/form-data")
        too_large = f"File size exceeded: {LARGEST_BODY / 1e6:g} MB is the maximum allowed size at once; send less."
        full = "The server's disk is full, so the maximum allowed size is 0 bytes for now; try again later."

        async def bounded() -> Message:
            nonlocal came
            message = await receive()
            if body := message.get("body"):
                came += len(body)
                if upload and _free() < uploads.LEAST_FREE:
                    raise MultiPartException(full)
                if not upload and came > LARGEST_BODY:
                    raise MultiPartException(too_large) if form else HTTPException(413, too_large)
            return message

        if not upload and int(headers.get("content-length", 0)) > LARGEST_BODY:
            return await PlainTextResponse(too_large, 413)(scope, receive, send)
        await self.app(scope, bounded, send)


def _free() -> int:
    """Bytes of the disk that uploads are written to."""
    folder = Path(utils.get_upload_folder()).absolute()
    return shutil.disk_usage(next(there for there in (folder, *folder.parents) if there.exists())).free


class Queue(queueing.Queue):
    """Gradio's, with more places, and with bounds for each kind of events that is limited instead of one for all."""

    def start(self) -> None:
        # Gradio has as many places as threads. Whoever follows a run is a coroutine: it holds a place, and no thread.
        super().start()
        self.active_jobs.extend([None] * (PLACES - len(self.active_jobs)))

    def get_events(self) -> tuple[list[queueing.Event], bool, str] | None:
        """Who is next: while so many threads are taken, one of those that keep none."""
        if sum(_in_thread(job[0].fn.fn) for job in filter(None, self.active_jobs)) < IN_THREADS:
            return super().get_events()
        everybody = self.event_queue_per_concurrency_id
        self.event_queue_per_concurrency_id = {
            kind: events for kind, events in everybody.items() if events.queue and not _in_thread(events.queue[0].fn.fn)
        }
        try:
            return super().get_events()
        finally:
            self.event_queue_per_concurrency_id = everybody

    def compute_analytics_summary(self, records: dict) -> dict:
        """Nothing: Gradio's makes a table of all events after each of them, for a dashboard that is off here."""
        return self.cached_event_analytics_summary

    async def push(
        self, body: PredictBodyInternal, request: Request, username: str | None
    ) -> tuple[bool, str | list, Any]:
        """As Gradio's: whether the event was taken in, its id or why it was not, and a word for that."""
        if body.fn_index is not None:
            kind = route_utils.get_fn(self.blocks, None, body).concurrency_id
            there = self.event_queue_per_concurrency_id.get(kind)
            if there and there.concurrency_limit and len(there.queue) >= WAITING * there.concurrency_limit:
                return False, f"{len(there.queue)} are waiting for this already; try again in a minute.", "queue_full"
        return await super().push(body, request, username)


@functools.lru_cache(maxsize=1000)  # asked of all that goes on, a thousand times a second
def _in_thread(function: Callable) -> bool:
    return not inspect.isasyncgenfunction(function)
