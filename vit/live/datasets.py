"""The datasets of this process: loaded once, in the background, shared by all visitors."""

import contextlib
import threading
from collections.abc import Callable

from vit import data
from vit.data.registry import DATASETS, fallback, preferred


class Source:
    """One dataset and where its loading stands.

    splits: None until loaded. error: why the last attempt failed. fraction, doing: of the loading under way.
    """

    def __init__(self, name: str):
        self.name, self.label = name, DATASETS[name].label
        self.splits: data.Splits | None = None
        self.error: data.DatasetUnavailable | None = None
        self.fraction, self.doing = 0.0, f"Loading {self.label}"
        self._lock = threading.Lock()

    def load(self) -> data.Splits:
        """The splits, waiting for them; tries again after a failure. Raises DatasetUnavailable."""
        with self._lock:
            if self.splits is None:
                self.error = None
                try:
                    self.splits = data.load(self.name, progress=self._report)
                except data.DatasetUnavailable as error:
                    self.error = error
                    raise
        return self.splits

    @property
    def settled(self) -> bool:
        """Whether it is either there or out of reach."""
        return self.splits is not None or self.error is not None

    @property
    def loading(self) -> bool:
        """Whether it is on its way."""
        return self._lock.locked()

    @property
    def state(self) -> str:
        """Where the dataset stands, in a few words."""
        if self.splits is not None:
            return "ready"
        return f"can't be reached ({reason(self.error)})" if self.error else f"{self.doing}, {self.fraction:.0%}"

    def _report(self, fraction: float, desc: str) -> None:
        self.fraction, self.doing = fraction, desc


class Sources(dict[str, Source]):
    """By name, a source for each dataset that is registered, made when it is first asked for."""

    def __missing__(self, name: str) -> Source:
        return self.setdefault(name, Source(name))  # which of two threads made it is all the same


SOURCES = Sources({name: Source(name) for name in DATASETS})


def load_in_background(then: Callable[[], object]) -> None:
    """Loads the built-in dataset, then the others, delaying nobody; on a machine that is quiet again, calls `then`."""
    threading.Thread(target=_load_all, args=[then], name="datasets", daemon=True).start()


def _load_all(then: Callable[[], object]) -> None:
    for entry in sorted(DATASETS.values(), key=lambda entry: not entry.built_in):
        with contextlib.suppress(data.DatasetUnavailable):  # kept in error, where the page reads it
            SOURCES[entry.name].load()
    then()


def settled() -> bool:
    """Whether the preferred dataset is either loaded or out of reach."""
    return SOURCES[preferred().name].settled


def usable() -> str:
    """Name of the preferred dataset, or of the built-in one while that isn't there."""
    return (fallback() if SOURCES[preferred().name].splits is None else preferred()).name


def notice() -> str:
    """One sentence on the preferred dataset while it isn't there, else nothing."""
    source = SOURCES[preferred().name]
    if source.splits is not None:
        return ""
    return f"{source.label} {source.state}; using the built-in {fallback().label}" if source.error else source.state


def reason(error: data.DatasetUnavailable) -> str:
    """A few words on why, for a line that has to stay short; the error's own message has the rest."""
    names = {type(cause).__name__ for cause in _causes(error)}
    if "OfflineModeIsEnabled" in names:
        return "offline, and not cached"
    if names & {"ConnectError", "ConnectTimeout", "ConnectionError", "LocalEntryNotFoundError"}:
        return "no connection to the Hub"
    return str(error).split(":")[0]


def _causes(error: BaseException | None):
    while error is not None:
        yield error
        error = error.__cause__
