"""What the threads of one process promise."""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcluster.engines.local import TimedOut, in_background, ordered_map

if TYPE_CHECKING:
    from collections.abc import Iterator


@given(st.lists(st.integers(0, 3)), st.integers(1, 4), st.integers(1, 8))
def test_outcomes_come_in_the_order_of_the_items(delays: list[int], threads: int, window: int) -> None:
    def work(item: tuple[int, int]) -> int:
        time.sleep(item[1] / 10_000)
        return item[0]

    outcomes = ordered_map(work, enumerate(delays), threads=threads, window=window, timeout=10)
    assert [outcome.result for outcome in outcomes] == list(range(len(delays)))


def test_an_exception_is_the_outcome_of_its_item_alone() -> None:
    outcomes = list(ordered_map(lambda n: 6 // n, [3, 0, 2], threads=2, window=2, timeout=10))
    assert [outcome.result for outcome in outcomes] == [2, None, 3]
    assert isinstance(outcomes[1].error, ZeroDivisionError)


def test_one_that_hangs_is_given_up_and_the_others_go_on() -> None:
    never = threading.Event()

    def work(item: int) -> int:
        if item % 3 == 1:
            never.wait()
        return item

    outcomes = list(ordered_map(work, range(6), threads=2, window=4, timeout=0.3))
    assert [outcome.result for outcome in outcomes] == [0, None, 2, 3, None, 5]
    assert all(isinstance(outcomes[n].error, TimedOut) for n in (1, 4))
    never.set()


def test_no_more_items_are_taken_than_the_window_holds() -> None:
    taken = itertools.count()
    seen = 0

    def items() -> Iterator[int]:
        for n in range(100):
            next(taken)
            yield n

    for outcome in ordered_map(lambda n: n, items(), threads=2, window=5, timeout=10):
        seen = outcome.item
        if seen == 20:
            break
    assert next(taken) <= seen + 6


def test_a_map_that_is_told_to_stop_ends_although_an_item_hangs() -> None:
    never = threading.Event()
    start = time.monotonic()
    outcomes = ordered_map(
        lambda _: never.wait(),
        range(3),
        threads=1,
        window=2,
        timeout=60,
        stopping=lambda: time.monotonic() > start + 0.2,
    )
    assert list(outcomes) == []
    assert time.monotonic() < start + 5
    never.set()


def test_what_is_finished_comes_although_the_next_item_is_long_in_coming() -> None:
    never = threading.Event()

    def items() -> Iterator[int]:
        yield from range(3)
        never.wait(10)

    outcomes = ordered_map(lambda n: n, items(), threads=2, window=2, timeout=10)
    start = time.monotonic()
    assert [next(outcomes).result for _ in range(3)] == [0, 1, 2]
    assert time.monotonic() < start + 5
    outcomes.close()
    never.set()


def test_an_item_is_fetched_while_the_consumer_is_at_work() -> None:
    fetched = threading.Event()

    def items() -> Iterator[int]:
        yield from range(2)
        fetched.set()
        yield 2

    outcomes = ordered_map(lambda n: n, items(), threads=2, window=2, timeout=10)
    next(outcomes)
    assert fetched.wait(5)
    assert [outcome.result for outcome in outcomes] == [1, 2]


def test_what_was_finished_when_it_was_told_to_stop_still_comes() -> None:
    never, ready = threading.Event(), threading.Barrier(3)
    stop = threading.Event()

    def work(item: int) -> int:
        if item in (1, 2, 3):
            return item
        if item > 3:
            ready.wait(5)  # all before it are done
            never.wait()
        return item

    outcomes = ordered_map(work, range(9), threads=2, window=6, timeout=60, stopping=stop.is_set)
    assert next(outcomes).result == 0
    ready.wait(5)
    stop.set()
    assert [outcome.result for outcome in outcomes] == [1, 2, 3]
    never.set()


def test_what_fails_between_the_items_is_raised_after_the_last_outcome() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    outcomes = ordered_map(lambda n: n, items(), threads=2, window=4, timeout=10)
    assert next(outcomes).result == 1
    with pytest.raises(ValueError, match="broken"):
        next(outcomes)


def test_threads_end_with_their_work() -> None:
    before = threading.active_count()
    assert len(list(ordered_map(lambda n: n, range(50), threads=8, window=3, timeout=10))) == 50
    next(ordered_map(lambda n: n, range(50), threads=8, window=3, timeout=10))
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_what_the_background_finishes_when_it_is_told_to_stop_is_kept() -> None:
    stop = threading.Event()

    def items() -> Iterator[int]:
        yield from range(4)  # more than the queue takes
        stop.wait(5)
        yield 4
        threading.Event().wait(10)

    start, seen = time.monotonic(), []
    for item in in_background(items(), depth=1, stopping=stop.is_set):
        seen.append(item)
        time.sleep(0.05)
        stop.set()
    assert seen == [0, 1, 2, 3, 4]
    assert time.monotonic() < start + 2


def test_the_background_is_never_further_ahead_than_its_depth() -> None:
    produced = []

    def items() -> Iterator[int]:
        for n in range(20):
            produced.append(n)
            yield n

    for item in in_background(items(), depth=2):
        time.sleep(0.01)
        assert len(produced) <= item + 4


def test_what_fails_in_the_background_is_raised_in_front() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    consumer = in_background(items(), depth=1)
    assert next(consumer) == 1
    with pytest.raises(ValueError, match="broken"):
        next(consumer)
