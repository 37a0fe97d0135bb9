"""Prefetching gives what reading would, in its order."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from imgcluster.store.rows import prefetch

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_everything_comes_in_order() -> None:
    assert list(prefetch(iter(range(100)))) == list(range(100))
    assert list(prefetch(iter([]))) == []


def test_items_are_made_beside_the_work_but_not_many() -> None:
    made: list[int] = []
    fourth = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 3:
                fourth.set()
            yield number

    ahead = prefetch(numbers(), 3)
    assert next(ahead) == 0
    assert fourth.wait(10)
    ahead.close()  # type: ignore[attr-defined]
    assert made == [0, 1, 2, 3]


def test_an_error_comes_where_the_item_would_have() -> None:
    def numbers() -> Iterator[int]:
        yield 0
        raise OSError("the disk is gone")

    ahead = prefetch(numbers())
    assert next(ahead) == 0
    with pytest.raises(OSError, match="the disk is gone"):
        next(ahead)
