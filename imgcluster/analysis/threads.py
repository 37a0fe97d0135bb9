"""One thread for whatever must come out the same on every machine with the same processor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager[object]:
    """Hold BLAS and OpenMP to one thread: sums are then taken in one order, whatever the machine."""
    return threadpool_limits(limits=1)  # type: ignore[no-any-return]


def cores() -> int:
    """Give the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1
