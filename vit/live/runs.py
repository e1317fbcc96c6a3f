"""Training runs: each in one daemon thread, a few at a time, the others in a queue in order of arrival.

Pages and programs hold a run's id and only read; steering it takes the owner's token. Limits come from the environment:
VIT_MAX_RUNS at once, VIT_MAX_QUEUE waiting, VIT_KEEP_RUNS that have ended.
"""

import contextlib
import contextvars
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from vit.data import Dataset, DatasetUnavailable, Splits, select_classes
from vit.device import keeping_memory
from vit.evaluation import evaluate
from vit.live import storage, zerogpu
from vit.live.datasets import SOURCES
from vit.live.run import UNWATCHED_MINUTES, LiveRun, Turn, changed
from vit.live.settings import check_lr
from vit.live.space import ON_ZERO
from vit.live.visitors import Visitor, check_share
from vit.live.worker import Frame, begin
from vit.live.zerogpu import LONGEST_PAUSE, Letter
from vit.training import TrainingDiverged
from vit.training.moments import figures
from vit.training.spec import RunSpec

MAX_RUNS = int(os.getenv("VIT_MAX_RUNS", "1"))
MAX_QUEUE = int(os.getenv("VIT_MAX_QUEUE", "8"))
KEEP_RUNS = int(os.getenv("VIT_KEEP_RUNS", "12"))

SAVE_EVERY = 20.0  # seconds in the loop
LONGEST_TEST = 180.0  # seconds, in which others wait

RUNS: dict[str, LiveRun] = {}  # in order of arrival
OTHERS: dict[str, Turn] = {}  # what else takes turns with them


class RunEnded(ValueError):
    """A run whose training is over can't be steered."""


class Untested(Exception):
    """Why a test was not gone through with."""


def start(settings: RunSpec, visitor: Visitor | None = None) -> LiveRun:
    """Queues a run and returns at once. Raises ValueError where the queue, or the visitor's share of it, is full."""
    visitor = visitor or Visitor()
    run = LiveRun(settings, address=visitor.address)
    admit(run, RUNS, visitor)
    context = contextvars.copy_context()  # has the visitor's request, whose quota a lent GPU counts against
    threading.Thread(target=context.run, args=(_work, run), name=f"run-{run.id}", daemon=True).start()
    return run


def admit(turn: Turn, among: dict, visitor: Visitor) -> None:
    """Puts it at the end of the queue, and into RUNS or OTHERS, which forget what ended long ago. Raises ValueError."""
    with changed:
        going = [other for other in _all() if other.live]
        if len(going) >= MAX_RUNS + MAX_QUEUE:
            raise ValueError(f"{MAX_QUEUE} runs are waiting already; try again in a few minutes.")
        check_share(visitor, going, MAX_RUNS + MAX_QUEUE)
        among[turn.id] = turn
        ended = [other.id for other in list(among.values()) if not other.live]  # one may be restored meanwhile
        for turn_id in ended[: max(0, len(ended) - KEEP_RUNS)]:
            del among[turn_id]


def _all() -> list[Turn]:
    """In order of arrival."""
    return sorted([*RUNS.values(), *OTHERS.values()], key=lambda turn: turn.arrived)


def find(run_id: str) -> LiveRun:
    """The run, from disk where the server was restarted since. Raises ValueError where there is none any more.

    That is a storage.DamagedRun where there is one that can't be read.
    """
    if (run := RUNS.get(run_id)) is None:  # asked once: it may be forgotten at any moment
        if (restored := LiveRun.restore(run_id)) is None:
            raise ValueError("There is no such run, or it is no longer kept; start a new one.")
        run = RUNS.setdefault(run_id, restored)
    return run


def place(turn: Turn) -> int:
    """In the queue, from 1; 0 once it has its turn."""
    waiting = [other.id for other in _all() if other.status == "queued"]
    return waiting.index(turn.id) + 1 if turn.id in waiting else 0


def watch(run_id: str) -> LiveRun:
    """As find; the run knows that somebody is there."""
    run = find(run_id)
    run.watched_at = time.monotonic()
    return run


def stop(run_id: str, owner: str) -> LiveRun:
    """Ends a run after the step under way, or its test; what it learned is kept; one that has ended stays as it is.

    Raises PermissionError for a wrong token.
    """
    with contextlib.suppress(RunEnded), _steering(run_id, owner, tested=True) as run:
        run.stopping = True
    return find(run_id)


def delete(run_id: str, owner: str) -> None:
    """Forgets a run that has ended, and deletes what is on disk of it; others' links to it lead nowhere then.

    Raises PermissionError for a wrong token, ValueError while it is live or where there is none.
    """
    run = find(run_id)
    if not run.owned_by(owner):
        raise PermissionError(
            "Only the page that started this run can delete it, and only until the server's next restart; the server "
            "deletes it by itself when newer runs need its place."
        )
    if run.live:
        raise ValueError("This run is still going on; stop it first, then delete it.")
    with changed:
        RUNS.pop(run_id, None)
        storage.delete(run_id)


def pause(run_id: str, owner: str) -> LiveRun:
    """Halts a run after the step under way. Raises PermissionError for a wrong token, RunEnded."""
    with _steering(run_id, owner) as run:
        if not run.pausing:
            run.paused_at = time.monotonic()  # a step in another process doesn't tell
        run.pausing = True
    return run


def resume(run_id: str, owner: str) -> LiveRun:
    """Lets a paused run go on. Raises PermissionError for a wrong token, RunEnded."""
    with _steering(run_id, owner) as run:
        run.pausing = False
    return run


def set_lr(run_id: str, owner: str, lr: float) -> LiveRun:
    """Changes the peak learning rate from the next step on. Raises PermissionError, or ValueError on absurd rates."""
    lr = check_lr(lr)
    with _steering(run_id, owner) as run:
        run.lr = lr
        run.history.changes.append((run.history.seconds[-1] if run.history.seconds else 0.0, lr))
    return run


@contextlib.contextmanager
def _steering(run_id: str, owner: str, tested: bool = False) -> Iterator[LiveRun]:
    """The run, whose owner changes what is wanted of it; then wherever it trains gets to know.

    tested: also while it is tested.
    """
    run = find(run_id)
    if not run.owned_by(owner):
        raise PermissionError("Only the page or program that started this run can stop or steer it; you can watch it.")
    with changed:
        trained = run.progress and run.progress.done >= 1
        if not run.live or (not tested if run.status == "testing" else trained):
            raise RunEnded("This run's training is over, so nothing of it can be changed any more; start another.")
        yield run
        if letter := run.letter:
            with contextlib.suppress(FileNotFoundError):  # the run ended this moment
                letter.write(run.pausing, run.stopping, run.lr)
            run.status = "paused" if run.pausing and run.status == "running" else run.status
        changed.notify_all()


def _work(run: LiveRun) -> None:
    try:
        _await_data(run)
        await_turn(run)
        if not run.stopping:
            with keeping_memory():  # until the test is over: then what it took goes back, too
                _train(run)
    except (TrainingDiverged, DatasetUnavailable, ValueError) as error:
        _end(run, "failed", str(error))
    except Exception as error:  # out of memory, say: the page must not wait for ever
        if refusal := zerogpu.refusal(error):
            _end(run, "failed", refusal)
            return
        _end(run, "failed", f"Training broke off ({type(error).__name__}: {error}). Try a smaller model or batch.")
        raise
    finally:
        with changed:
            if run.live:  # it was stopped as its turn came, or not even its end went well: nobody else ends it
                run.status = "stopped" if run.stopping else "failed"
            changed.notify_all()


def _await_data(run: LiveRun) -> None:
    """Others' turns come meanwhile. Raises DatasetUnavailable."""
    source = SOURCES[run.settings.dataset]
    if source.splits is not None:
        return
    with changed:
        run.status = "loading"
        while source.loading and not run.end_if_left():
            changed.wait(0.5)
    if not run.stopping:
        source.load()


def await_turn(turn: Turn) -> None:
    """Returns once it is this one's turn, or it is to end."""
    with changed:
        turn.status = "queued"
        while not (turn.end_if_left() or (place(turn) == 1 and busy() < MAX_RUNS)):
            _end_long_pauses()
            changed.wait(2.0)
        turn.status = "stopped" if turn.stopping else "loading"
        changed.notify_all()


def _end_long_pauses() -> None:
    """While somebody waits, a run may pause as long as it may be left alone."""
    for run in list(RUNS.values()):
        if run.status == "paused" and time.monotonic() - run.paused_at > 60 * UNWATCHED_MINUTES:
            run.message = f"It ended because it had been paused for {UNWATCHED_MINUTES:g} minutes while others waited."
            run.stopping = True


def _train(run: LiveRun) -> None:
    splits = select_classes(SOURCES[run.settings.dataset].load(), run.settings.classes)
    run.model = run.settings.build()
    with tempfile.TemporaryDirectory() if ON_ZERO else contextlib.nullcontext() as folder:
        if folder:
            with changed:  # as whenever it is written: another writer would take this one's file from under it
                run.letter = Letter(Path(folder) / "wanted.json")
                run.letter.write(run.pausing, run.stopping, run.lr)
        try:
            _follow(run, splits)
        finally:
            run.letter = None
    if run.pausing and not run.stopping and (run.progress is None or run.progress.done < 1):
        run.stopping, run.message = True, f"It ended: a lent GPU can't wait longer than {LONGEST_PAUSE:.0f} seconds."
    ended = "stopped" if run.stopping else "finished"
    _test(run, splits.test)
    _end(run, ended)


def _test(run: LiveRun, pictures: Dataset) -> None:
    """How good its model is. Its message says why where that stays unknown: stopped, left, or too slow a test."""
    with changed:
        run.status, run.stopping = "testing", False  # from here on, of its test
    since = time.monotonic()

    def tell(done: float, desc: str) -> None:
        run.tested = done
        if done < 1 and run.end_if_left():
            raise Untested("Its test ended early, so its test accuracy is not known.")
        if done < 1 and time.monotonic() - since > LONGEST_TEST:
            raise Untested(f"Its test took longer than {LONGEST_TEST:.0f} seconds, so its test accuracy is not known.")

    try:
        run.evaluation = evaluate(run.model, pictures, tell)
    except Untested as reason:
        run.message = f"{run.message} {reason}".strip()


def _follow(run: LiveRun, splits: Splits) -> None:
    """Takes in what the training hands over, and keeps its weights, until it ends."""
    saved_at, learned = 0.0, False
    run.keep()
    try:
        for frame in begin(run.model, run.settings, splits, run):
            _take_in(run, frame)
            if run.letter and run.end_if_left():
                with changed:
                    run.letter.write(run.pausing, run.stopping, run.lr)
            if frame.weights:
                run.model.load_state_dict(frame.weights)
                learned = True
                if frame.milestone:
                    run.keep()
                if frame.progress.elapsed - saved_at >= SAVE_EVERY or not saved_at:
                    saved_at = frame.progress.elapsed
                    run.save("interrupted")
    except Exception:
        if not learned:  # its weights are those of its random start
            run.model, run.earlier = None, []
        raise


def _take_in(run: LiveRun, frame: Frame) -> None:
    if frame.progress:
        run.history.add(frame.progress)
        run.progress, run.drawing = frame.progress, frame.drawing
        run.status = "paused" if run.pausing and run.letter else "running"
    if frame.precision:
        run.precision, run.settings = frame.precision, run.settings.computed_in(frame.precision)
    if frame.snapshot:
        averages = {"loss": run.history.loss, "accuracy": run.history.accuracy}
        measured = {name: values[-1] for name, values in averages.items() if values}
        run.album.add(frame.snapshot, figures(frame.progress, **measured, validation=run.accuracy))


def _end(run: LiveRun, status: str, message: str = "") -> None:
    run.message = message or run.message or run.divergence
    if run.progress is None:
        run.model, run.earlier = None, []
    if run.model is not None:
        run.model.eval()
        run.save(status)
    if storage.folder(run.id) and not run.warning:
        run.model = None  # on disk, from where those who use it load it
    run.status = status  # last: whoever sees it may use the model


def busy() -> int:
    """Runs that compute now, or are about to."""
    return sum(turn.computing for turn in _all())
