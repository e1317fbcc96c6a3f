"""What a command makes of the surroundings that it was started in: another console's letters, variables of others."""

import contextlib
import errno
import importlib.util
import io
import os
import socket
import sys
from pathlib import Path
from urllib.request import getproxies_environment

CLONE = Path(__file__).resolve().parents[1]
# Where data/, checkpoints/ and runs/ lie: beside app.py, wherever that is started from; where the package is installed
# without it, in the folder that one is in.
ROOT = CLONE if (CLONE / "app.py").is_file() else Path()
HERE = ("localhost", "127.0.0.1", "::1")
ADVICE = "127.0.0.1 for this machine alone or 0.0.0.0 for its whole network"
NO_PORT = "leave --port out for the first free one from 7860"
PROXIES = ("http", "https", "socks5", "socks5h")  # that the page's and the Hub's clients know


def settle(*hosts: str) -> None:
    """Lets this process print anything, draw without a screen and look at itself; hosts: names of this machine's own.

    For programs alone, as it changes the process: a notebook that imports the package keeps its own surroundings.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a letter that the console's code page lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    os.environ.pop("MPLBACKEND", None)  # a notebook's, which matplotlib refuses elsewhere; figures have a canvas
    _leave_out_proxies(hosts)


def check_address(host: str, port: int | None) -> None:
    """Raises ValueError, with the next free port, where this machine can't listen on that one; None is any."""
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"A port is a whole number from 1 to 65535, got {port}; {NO_PORT}.")
    try:
        _listen(host, port or 0)
    except socket.gaierror as error:
        raise ValueError(f"There is no machine called {host!r}; expected an address of this one, {ADVICE}.") from error
    except PermissionError as error:
        raise ValueError(
            f"Port {port} is not for you ({error.strerror}); take one from 1024 on, or {NO_PORT}."
        ) from error
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not port:
            raise ValueError(f"{host} can't be listened on ({error.strerror}); take {ADVICE}.") from error
        free = _next_free(host, port)
        advice = f"take --port {free}, which is free, or {NO_PORT}" if free else NO_PORT
        raise ValueError(f"Port {port} of {host} is in use by another program; {advice}.") from error


def login(words: str | None) -> tuple[str, str] | None:
    """Name and password, written as NAME:PASSWORD; None for None. Raises ValueError."""
    name, colon, password = (words or "").partition(":")
    if words is not None and not (name and colon and password):
        raise ValueError("--auth takes a name and a password, NAME:PASSWORD, such as class:chalk.")
    return None if words is None else (name, password)


def _next_free(host: str, port: int) -> int | None:
    for other in range(port + 1, 65536):
        with contextlib.suppress(OSError):
            _listen(host, other)
            return other
    return None


def _listen(host: str, port: int) -> None:
    """Listens for a moment. Raises OSError."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as listener:
        if os.name == "posix":  # where a port stays closed for minutes after its server; on Windows this takes it away
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)


def _leave_out_proxies(hosts: tuple[str, ...]) -> None:
    """Takes away proxies that no client here can use, with a word, and has none asked for this machine itself."""
    for name, address in list(os.environ.items()):
        kind = address.partition("://")[0].lower() if "://" in address else "http"
        if not name.lower().endswith("_proxy") or name.lower() == "no_proxy" or not address:
            continue
        if kind not in PROXIES:
            why = f"expected one of {', '.join(PROXIES)}"
        elif kind.startswith("socks") and importlib.util.find_spec("socksio") is None:
            why = "it needs the package socksio: pip install socksio"
        else:
            continue
        del os.environ[name]
        print(f"Left out {name}, a proxy of the kind {kind}: {why}.", file=sys.stderr)
    proxies = getproxies_environment()
    if set(proxies) - {"no"}:
        there = filter(None, proxies.get("no", "").split(","))
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(dict.fromkeys([*there, *HERE, *hosts]))
