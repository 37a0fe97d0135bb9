"""All cores for work in pieces, one thread for each piece: it comes out the same on any number of cores."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from threadpoolctl import ThreadpoolController

from imgcluster.machine import cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

Item = TypeVar("Item")
Result = TypeVar("Result")


def one_thread() -> AbstractContextManager[object]:
    """Hold BLAS and OpenMP to one thread: sums are then taken in one order, whatever the machine."""
    limits: AbstractContextManager[object] = _controller(with_sklearn="sklearn.cluster" in sys.modules).limit(
        limits=1
    )
    return limits


def on_all_cores(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Give ``work(item)`` for each item, in their order; as many at once as there are cores.

    Each call is held to one thread. Inside such a call, one item comes after the other.
    """
    if getattr(_worker, "busy", False):
        return [work(item) for item in items]

    def alone(item: Item) -> Result:
        _worker.busy = True
        try:
            with one_thread():  # OpenMP's limit is each thread's own
                return work(item)
        finally:
            _worker.busy = False

    with one_thread():
        pieces = [_pool().submit(alone, item) for item in items]
        # None may outlive this block: the limit on BLAS is everyone's.
        _, left = wait(pieces, return_when=FIRST_EXCEPTION)
        for piece in left:
            piece.cancel()
        wait(left)
        return [piece.result() for piece in pieces]


_worker = threading.local()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), "analysis")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # no thread lives on in a fork


@cache
def _controller(*, with_sklearn: bool) -> ThreadpoolController:  # noqa: ARG001 - scikit-learn brings a pool of its own
    """Find the thread pools once: looking through all loaded libraries takes milliseconds."""
    return ThreadpoolController()


# Without it scikit-learn asks joblib for the physical cores, and joblib complains at length where the system
# has no answer (in containers). Set here and not by the command line, for it has to be there before
# scikit-learn is, whoever comes into this room.
os.environ.setdefault("OMP_NUM_THREADS", str(cores()))
