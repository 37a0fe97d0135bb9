"""A second engine in a few lines: a pool of processes that paths go to and rows come back from."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from typing import Any

from imgcluster.child import ChildDied, TimedOut
from imgcluster.engines.protocol import Job, Outcome

_made: list[Callable[[Any], Any]] = []


class PoolWorkers:
    def __init__(self, job: Job[Any, Any], *, timeout: float = math.inf) -> None:
        self._job, self._timeout = job, timeout
        self._pending: deque[tuple[Any, Future[Any]]] = deque()
        self._make_pool()

    def _make_pool(self) -> None:
        self._pool = ProcessPoolExecutor(2, get_context("spawn"), _start, (self._job,))
        self._since = time.monotonic()
        waiting, self._pending = self._pending, deque()
        for item, _ in waiting:
            self.submit(item)

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def has_room(self) -> bool:
        return len(self._pending) < 4

    def submit(self, item: Any) -> None:
        try:
            future = self._pool.submit(_do, item)
        except BrokenExecutor as error:  # by an item before, whose turn to be told of comes first
            future = Future()
            future.set_exception(error)
        self._pending.append((item, future))

    def next(self, patience: float) -> Outcome[Any, Any] | None:
        item, future = self._pending[0]
        done = wait([future], patience).done
        if not done and time.monotonic() - self._since <= self._timeout:
            return None
        error = future.exception() if done else TimedOut(self._timeout)
        if isinstance(error, BrokenExecutor):
            error = ChildDied(str(error))
        self._pending.popleft()
        self._since = time.monotonic()
        if isinstance(error, ChildDied | TimedOut):  # whatever else was in flight begins anew
            self.close()
            self._make_pool()
        return Outcome(item, future.result()) if error is None else Outcome(item, error=error)

    def close(self) -> None:
        for process in list((self._pool._processes or {}).values()):
            process.kill()
        self._pool.shutdown(cancel_futures=True)


class PoolEngine:
    shares_memory = False
    start = PoolWorkers


def _start(job: Job[Any, Any]) -> None:
    _made.append(job.start())


def _do(item: Any) -> Any:
    return _made[0](item)
