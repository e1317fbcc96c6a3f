"""Who trains when: the queue, runs that nobody watches, and those that wait for their data."""

import threading

import pytest

from tests.live.conftest import TINY, start, steps, stopped, until
from vit import data
from vit.live import models, runs, settings
from vit.live.datasets import SOURCES, Source
from vit.live.run import LiveRun, changed
from vit.live.visitors import Visitor, address_of
from vit.live.zerogpu import Letter

pytestmark = pytest.mark.usefixtures("registry")


def test_five_visitors_one_trains_and_four_wait_in_order():
    five = [start() for _ in range(5)]
    until(lambda: steps(five[0]))
    assert [runs.place(run) for run in five] == [0, 1, 2, 3, 4]
    assert len({run.id for run in five} | {run.owner for run in five}) == 10
    runs.stop(five[2].id, five[2].owner)
    until(lambda: not five[2].live)
    assert [runs.place(run) for run in five] == [0, 1, 0, 2, 3] and five[2].status == "stopped" and not five[2].usable
    runs.stop(five[0].id, five[0].owner)
    until(lambda: steps(five[1]))
    assert [runs.place(run) for run in five[3:]] == [1, 2]


def test_a_full_queue_refuses_and_old_runs_are_forgotten(monkeypatch):
    monkeypatch.setattr(runs, "MAX_QUEUE", 1)
    monkeypatch.setattr(runs, "KEEP_RUNS", 1)
    first = start()
    until(lambda: steps(first))
    second = start()
    with pytest.raises(ValueError, match="waiting already"):
        start()
    stopped(first)
    stopped(second)
    start()
    assert first.id not in runs.RUNS and second.id in runs.RUNS


def test_a_run_nobody_watches_ends_and_keeps_its_result(monkeypatch):
    watched, left = start(), None
    until(lambda: steps(watched) >= 3)
    monkeypatch.setattr("vit.live.run.UNWATCHED_MINUTES", 5.0)
    assert runs.watch(watched.id) is watched and watched.live
    left = watched
    left.watched_at -= 5 * 60 + 1
    until(lambda: not left.live)
    assert "nobody had watched it for 5 minutes" in left.message
    assert left.usable and models.find(left.id).classes
    queued = [start(), start()][1]
    queued.watched_at -= 5 * 60 + 1
    until(lambda: queued.status == "stopped")


def test_a_run_whose_data_is_on_the_way_holds_nobody_up_and_can_be_stopped(monkeypatch):
    coming = Source("cifar10")
    monkeypatch.setitem(SOURCES, "cifar10", coming)
    arrived = threading.Event()
    monkeypatch.setattr(data, "load", lambda name, progress: arrived.wait())
    loading = threading.Thread(target=coming.load)
    loading.start()
    until(lambda: coming.loading)
    first = start(dataset="cifar10")
    until(lambda: first.status == "loading")
    second = start()
    until(lambda: steps(second))
    runs.stop(first.id, first.owner)
    until(lambda: first.status == "stopped")
    assert not first.usable and not steps(first)
    arrived.set()
    loading.join()


def test_a_long_pause_ends_when_somebody_waits():
    paused = start()
    until(lambda: steps(paused) >= 2)
    runs.pause(paused.id, paused.owner)
    until(lambda: paused.status == "paused")
    paused.paused_at -= 5 * 60 + 1
    assert paused.live
    waiting = start()
    until(lambda: steps(waiting))
    assert paused.status == "stopped" and "paused for 5 minutes while others waited" in paused.message


def test_a_pause_counts_from_its_beginning_however_long_the_run_had_waited_before(monkeypatch, tmp_path):
    run = LiveRun(settings.read(TINY), status="running", letter=Letter(tmp_path / "wanted.json"))
    monkeypatch.setitem(runs.RUNS, run.id, run)
    ended = []
    for began in (5 * 60 + 1, 0, 5 * 60 + 1):  # before the pause, then in it, where a second press of Pause is none
        run.paused_at -= began
        runs.pause(run.id, run.owner)
        runs._end_long_pauses()
        ended.append(run.stopping)
    run.status = "stopped"
    assert ended == [False, False, True]


def test_a_run_that_is_stopped_just_as_its_turn_comes_ends_and_makes_way(monkeypatch):
    await_turn = runs.await_turn

    def stopped_then(turn):
        await_turn(turn)
        turn.stopping = turn is run

    monkeypatch.setattr(runs, "await_turn", stopped_then)
    with changed:  # its thread waits for this
        run = start()
    until(lambda: not run.live)
    assert run.status == "stopped" and not run.usable
    following = start()
    until(lambda: steps(following))
    stopped(following)


@pytest.mark.parametrize("name", ["", "guess", "../../etc/passwd", "a" * 16, "..", "x" * 4000])
def test_an_unknown_run_is_named_as_such(name):
    with pytest.raises(ValueError, match="no such run"):
        runs.find(name)


def test_a_browser_has_one_run_that_trains_and_one_that_waits():
    mine = Visitor()
    for _ in range(2):
        run = start(visitor=mine)
        mine = Visitor({**mine.owned, run.id: run.owner})
    with pytest.raises(ValueError, match=r"This browser has 2 runs.*stop one"):
        start(visitor=mine)
    forged = Visitor(dict.fromkeys(mine.owned, "guessed"))
    assert start(visitor=forged).live, "somebody else's runs count for nobody else"
    runs.stop(run.id, run.owner)
    until(lambda: not run.live)
    assert start(visitor=mine).live


def test_no_address_takes_more_than_half_of_the_places(monkeypatch):
    monkeypatch.setattr(runs, "MAX_QUEUE", 3)
    for _ in range(2):
        start(visitor=Visitor(address="203.0.113.7"))
    with pytest.raises(ValueError, match=r"From your address 2 runs.*4 places"):
        start(visitor=Visitor(address="203.0.113.7"))
    assert start(visitor=Visitor(address="203.0.113.8")).live


def test_thirty_phones_behind_a_proxy_or_a_tunnel_are_thirty():
    assert address_of("203.0.113.7", {}) == "203.0.113.7"
    assert address_of("192.168.1.20", {}) == "192.168.1.20", "in a network of one's own each phone has its own"
    for host, headers in (("10.0.0.1", {"x-forwarded-for": "203.0.113.7"}), ("127.0.0.1", {}), ("::1", {}), (None, {})):
        assert address_of(host, headers) is None
    behind = [start(visitor=Visitor(address=None)) for _ in range(runs.MAX_RUNS + runs.MAX_QUEUE)]
    assert all(run.live for run in behind)


def test_a_run_that_is_forgotten_while_it_is_looked_for_is_found_all_the_same(monkeypatch):
    class Forgetful(dict):
        """Forgets what it has said to have."""

        def __contains__(self, run_id):
            return super().__contains__(run_id) and bool(self.pop(run_id))

    run = LiveRun(settings.read(TINY), status="stopped")
    monkeypatch.setattr(runs, "RUNS", Forgetful({run.id: run}))
    assert runs.find(run.id) is run
