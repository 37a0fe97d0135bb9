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
