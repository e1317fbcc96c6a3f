"""Who asks for a run, and how many of the places one may take: so that a lecture fits behind one address, and no one
takes all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vit.live.run import Turn

RUNS_EACH = 2  # of a browser: one that trains and one that waits
FORWARDING = ("x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip")
LOOPBACK = ("127.", "::1", "localhost")


@dataclass(frozen=True)
class Visitor:
    """owned: the browser's runs, id -> owner's token; a program has none. address: None where many may share it."""

    owned: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None


def address_of(host: str | None, headers: Mapping[str, str]) -> str | None:
    """A client's address; None where it is that of a proxy or a tunnel, which forwards, or runs on this machine."""
    forwarded = any(headers.get(name) for name in FORWARDING)
    return None if not host or forwarded or host.startswith(LOOPBACK) else host


def check_share(visitor: Visitor, running: Sequence[Turn], places: int) -> None:
    """Raises ValueError where the visitor's browser, or half of the queue's places by one address, are taken.

    running: all runs that train or wait. places: how many there are in all.
    """
    own = [run for run in running if run.id in visitor.owned and run.owned_by(visitor.owned[run.id])]
    if len(own) >= RUNS_EACH:
        raise ValueError(
            f"This browser has {len(own)} runs going or waiting, which is as many as one may have; stop one, or wait "
            "until it ends."
        )
    most, there = max(1, places // 2), sum(run.address == visitor.address for run in running)
    if visitor.address is not None and there >= most:
        raise ValueError(
            f"From your address {there} runs are going or waiting, half of the {places} places here; wait until one "
            "ends."
        )
