"""Reading in a thread beside whoever works on what was read."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

Item = TypeVar("Item")


def read_ahead(items: Iterator[Item], count: int = 4) -> Iterator[Item]:
    """Yield the items, none of them None; a thread makes up to `count` of them ahead."""
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        coming = deque(reader.submit(next, items, None) for _ in range(count))
        try:
            while (item := coming.popleft().result()) is not None:
                coming.append(reader.submit(next, items, None))
                yield item
        finally:
            for unwanted in coming:
                unwanted.cancel()
