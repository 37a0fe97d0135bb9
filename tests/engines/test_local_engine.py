"""What the threads of one process promise."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcluster.child import TimedOut
from imgcluster.engines.local import LocalEngine, Stalled, threads_left
from imgcluster.engines.protocol import Call, in_order
from imgcluster.engines.table import find_engine
from imgcluster.errors import UsageError


@given(st.lists(st.integers(0, 3)), st.integers(1, 4), st.integers(1, 8))
def test_outcomes_come_in_the_order_of_the_items(delays: list[int], threads: int, room: int) -> None:
    def work(item: tuple[int, int]) -> int:
        time.sleep(item[1] / 10_000)
        return item[0]

    outcomes = in_order(LocalEngine(threads, room), Call(work), enumerate(delays))
    assert [outcome.result for outcome in outcomes] == list(range(len(delays)))


def test_an_exception_is_the_outcome_of_its_item_alone() -> None:
    outcomes = list(in_order(LocalEngine(2), Call(lambda n: 6 // n), [3, 0, 2]))
    assert [outcome.result for outcome in outcomes] == [2, None, 3]
    assert isinstance(outcomes[1].error, ZeroDivisionError)


def test_threads_share_the_worker_of_their_job() -> None:
    starts = []

    class Counting:
        def start(self):  # type: ignore[no-untyped-def]
            starts.append(1)
            return str

    assert [outcome.result for outcome in in_order(LocalEngine(4), Counting(), range(9))] == list("012345678")
    assert starts == [1]


def test_one_that_hangs_is_given_up_and_the_others_go_on() -> None:
    never = threading.Event()

    def work(item: int) -> int:
        if item % 3 == 1:
            never.wait()
        return item

    outcomes = list(in_order(LocalEngine(2, 4), Call(work), range(6), timeout=1))
    assert [outcome.result for outcome in outcomes] == [0, None, 2, 3, None, 5]
    assert all(isinstance(outcomes[n].error, TimedOut) for n in (1, 4))
    never.set()


def test_where_all_hang_no_more_threads_are_started_than_a_few_and_the_rest_fails_at_once() -> None:
    never = threading.Event()
    before, started = set(threading.enumerate()), set()
    outcomes = []
    for outcome in in_order(LocalEngine(2), Call(lambda _: never.wait()), range(200), timeout=0.1):
        outcomes.append(outcome)
        started |= set(threading.enumerate()) - before
    assert all(isinstance(outcome.error, TimedOut) for outcome in outcomes)
    assert sum(not isinstance(outcome.error, Stalled) for outcome in outcomes) == len(started) == 6
    never.set()


def test_threads_that_come_back_are_taken_on_again() -> None:
    share = threading.Event()

    def work(item: int) -> int:
        share.wait()
        return item

    outcomes = in_order(LocalEngine(2, 1), Call(work), itertools.count(), timeout=0.1)
    while not isinstance(next(outcomes).error, Stalled):
        pass
    share.set()
    deadline = time.monotonic() + 60
    while next(outcomes).error:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    outcomes.close()  # type: ignore[attr-defined]


def test_no_more_items_are_taken_than_there_is_room_for() -> None:
    taken = itertools.count()
    seen = 0

    def items() -> Iterator[int]:
        for n in range(100):
            next(taken)
            yield n

    for outcome in in_order(LocalEngine(2, 5), Call(lambda n: n), items()):
        seen = outcome.item
        if seen == 20:
            break
    assert next(taken) <= seen + 6


def test_a_map_that_is_told_to_stop_ends_although_an_item_hangs() -> None:
    never = threading.Event()
    start = time.monotonic()
    outcomes = in_order(
        LocalEngine(1, 2),
        Call(lambda _: never.wait()),
        range(3),
        stopping=lambda: time.monotonic() > start + 0.2,
    )
    assert list(outcomes) == []
    assert time.monotonic() < start + 60
    never.set()


def test_what_was_finished_when_it_was_told_to_stop_still_comes() -> None:
    never, ready = threading.Event(), threading.Barrier(3)
    stop = threading.Event()

    def work(item: int) -> int:
        if item > 3:
            ready.wait(60)  # all before it are done
            never.wait()
        return item

    outcomes = in_order(LocalEngine(2, 6), Call(work), range(9), stopping=stop.is_set)
    assert next(outcomes).result == 0
    ready.wait(60)
    stop.set()
    assert [outcome.result for outcome in outcomes] == [1, 2, 3]
    never.set()


def test_threads_have_ended_when_the_outcomes_have() -> None:
    before = set(threading.enumerate())  # other tests may have left some that hang
    assert len(list(in_order(LocalEngine(8, 3), Call(lambda n: n), range(50)))) == 50
    assert set(threading.enumerate()) <= before
    outcomes = in_order(LocalEngine(8, 3), Call(lambda n: time.sleep(0.01)), range(50))
    next(outcomes)
    assert threads_left()
    outcomes.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before


def test_the_table_names_the_engines_that_there_are() -> None:
    assert find_engine("local").shares_memory
    with pytest.raises(UsageError, match=r"there is no engine cloud: choose one of local, .*process"):
        find_engine("cloud")
