"""Rows on all cores: cut into tiles of one shape, one thread for each, so that cores change nothing.

In tiles of one shape, each held to one thread, the same rows give the same bits on any number of cores.
Within a tile some processors' BLAS adds up a row's last bits in an order that depends on the row's place.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from imgcluster.machine import cores

Item = TypeVar("Item")
Result = TypeVar("Result")

_IN_CACHE = 1 << 19
"""Numbers of a tile that stays in a core's cache from one step of the work to the next."""
_TALLEST = 4096
_TALLEST_WIDE = 512
_LOWEST = 64
_WIDE_NUMBERS = 1 << 22
"""Tiles of very wide rows leave the cache anyway; this many numbers keep matrix products worth while."""


def on_all_cores(work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Give ``work(item)`` for each item, in their order; as many at once as there are cores.

    Each call is held to one thread. Inside such a call, one item comes after the other.
    """
    items = list(items)
    if getattr(_worker, "busy", False):
        return [work(item) for item in items]
    if len(items) == 1:
        return [_here(lambda: work(items[0]))]
    return _in_pool(work, items)


def alone(work: Callable[[], Result], *, brief: bool = False) -> Result:
    """Give ``work()``, held to one thread: libraries then take their sums in one order.

    What is not `brief` runs beside the caller's thread, which hears Ctrl-C meanwhile.
    """
    if getattr(_worker, "busy", False):
        return work()
    if brief:
        return _here(work)
    (result,) = _in_pool(lambda _: work(), [None])
    return result


def _in_pool(work: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    def run(item: Item) -> Result:
        # OpenMP's limit is each thread's own: nobody else sees it, and it stays.
        if getattr(_worker, "limited", None) is not with_sklearn:
            _controller(with_sklearn=with_sklearn).limit(limits=1, user_api="openmp")
            _worker.limited = with_sklearn
        return _busy(lambda: work(item))

    with one_thread:
        with_sklearn = "sklearn.cluster" in sys.modules
        pool = _pool(cores())
        pieces = [pool.submit(run, item) for item in items]
        # None may outlive this block: the limit on BLAS is everyone's.
        _, left = wait(pieces, return_when=FIRST_EXCEPTION)
        for piece in left:
            piece.cancel()
        wait(left)
        return [piece.result() for piece in pieces]


def _here(work: Callable[[], Result]) -> Result:
    """Work on the caller's thread: another takes longer to hear of small work than to do it."""
    with one_thread:
        controller = _controller(with_sklearn="sklearn.cluster" in sys.modules)
        with controller.limit(limits=1, user_api="openmp"):
            return _busy(work)


def _busy(work: Callable[[], Result]) -> Result:
    _worker.busy = True
    try:
        return work()
    finally:
        _worker.busy = False


def each_tile(
    rows: NDArray[np.float32], work: Callable[[slice, NDArray[np.float32]], Result], answers: int = 0
) -> list[Result]:
    """Give ``work(place, tile)`` for tiles of one height, in their order, on all cores.

    The last tile may be lower, by a power of two: the number of rows alone says how high it is.

    Parameters
    ----------
    rows
        (N, D).
    work
        Given where the tile's rows lie among `rows`, and the tile, (height, D); the last one is filled up
        with zeros. Called from several threads at once.
    answers
        How many numbers the work makes of a row: where they are many, tiles are lower.
    """
    width = max(rows.shape[1], answers, 1)
    height = max(min(_TALLEST, _IN_CACHE // width), min(_TALLEST_WIDE, _WIDE_NUMBERS // width), 1)

    def run(start: int) -> Result:
        tile = rows[start : start + height]
        place = slice(start, start + len(tile))
        if len(tile) < height:
            full = min(height, max(_LOWEST, 1 << (len(tile) - 1).bit_length()))
            tile = np.concatenate([tile, np.zeros((full - len(tile), tile.shape[1]), rows.dtype)])
        return work(place, np.ascontiguousarray(tile))

    return on_all_cores(run, range(0, len(rows), height))


class _OneThread:
    """BLAS held to one thread as long as anybody is inside: the limit is the whole process's.

    The first that enters sets it, the last that leaves puts back what was there. So does the number of
    threads of OpenMP: where it is not said, scikit-learn has joblib look for the physical cores, and joblib
    complains at length where the system has no answer (in containers).
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before.enter_context(_controller(with_sklearn=False).limit(limits=1, user_api="blas"))
                if "OMP_NUM_THREADS" not in os.environ:
                    os.environ["OMP_NUM_THREADS"] = str(cores())
                    self._before.callback(os.environ.pop, "OMP_NUM_THREADS", None)
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.close()


one_thread = _OneThread()
_worker = threading.local()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "analysis")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # no thread lives on in a fork


@cache
def _controller(*, with_sklearn: bool) -> ThreadpoolController:  # noqa: ARG001 - scikit-learn brings a pool of its own
    """Find the thread pools once: looking through all loaded libraries takes milliseconds."""
    return ThreadpoolController()
