"""Work spread over threads of this process."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Generic

from imgcluster.child import TimedOut
from imgcluster.engines.protocol import Item, Job, Outcome, Result
from imgcluster.machine import cores

_CLOSING_SECONDS = 0.3
"""How long the end waits for threads that are still at work."""


@dataclass(frozen=True)
class LocalEngine:
    """Daemon threads of this process, which share one worker.

    A thread that hangs cannot be ended, only abandoned and replaced. Where more than twice as many as there
    should be hang (files on a share that stalls), none is replaced any more; once no thread is left, all
    that is waiting has timed out.
    """

    threads: int = field(default_factory=lambda: cores(least=2))
    max_in_flight: int = 128
    shares_memory = True

    def start(self, job: Job[Item, Result], *, timeout: float = math.inf) -> _Threads[Item, Result]:
        """Start the threads."""
        return _Threads(job, self.threads, max(self.max_in_flight, 1), timeout)


class Stalled(TimedOut):
    """The item was not tried: those before it have all threads."""

    def __str__(self) -> str:
        return f"not tried: too many before it gave no answer within {self.seconds:g} s"


class _Thread(threading.Thread):
    pass


def threads_left() -> bool:
    """Tell whether threads of engines are still at work: a library may not survive a normal exit then."""
    return any(isinstance(thread, _Thread) for thread in threading.enumerate())


class _Task(Generic[Item, Result]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.started = math.inf
        self.outcome: Outcome[Item, Result] | None = None
        self.done = threading.Event()


class _Threads(Generic[Item, Result]):
    def __init__(self, job: Job[Item, Result], threads: int, max_in_flight: int, timeout: float) -> None:
        self._job = job
        self._worker: Callable[[Item], Result] | None = None
        self._wanted, self._max_in_flight, self._timeout = threads, max_in_flight, timeout
        self._pending: deque[_Task[Item, Result]] = deque()
        self._queue: queue.SimpleQueue[_Task[Item, Result] | None] = queue.SimpleQueue()
        self._lock, self._starting = threading.Lock(), threading.Lock()
        self._threads: list[_Thread] = []
        self._active = self._hung = 0
        self._closed = False
        for _ in range(threads):
            self._add_thread()

    def _add_thread(self) -> None:
        self._active += 1
        self._threads.append(_Thread(target=copy_context().run, args=(self._work,), daemon=True))
        self._threads[-1].start()

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def has_room(self) -> bool:
        return len(self._pending) < self._max_in_flight

    def submit(self, item: Item) -> None:
        self._pending.append(_Task(item))
        self._queue.put(self._pending[-1])

    def next(self, patience: float) -> Outcome[Item, Result] | None:
        if not self._pending:
            return None
        task = self._pending[0]
        if not task.done.wait(patience if self._active else 0) and not self._give_up(task):
            return None
        self._pending.popleft()
        return task.outcome

    def close(self) -> None:
        self._closed = True
        for _ in self._threads:
            self._queue.put(None)
        last = time.monotonic() + _CLOSING_SECONDS
        for thread in self._threads:
            thread.join(max(0, last - time.monotonic()))

    def _give_up(self, task: _Task[Item, Result]) -> bool:
        """Give up a task that has no time left, or that no thread is left for."""
        with self._lock:
            overdue = time.monotonic() - task.started >= self._timeout
            if task.done.is_set() or not (overdue or self._active == 0):
                return task.done.is_set()
            kind = TimedOut if overdue else Stalled
            task.outcome = Outcome(task.item, error=kind(self._timeout))
            task.done.set()
            if overdue:
                self._active -= 1
                self._hung += 1
                if self._hung <= 2 * self._wanted:
                    self._add_thread()
            return True

    def _work(self) -> None:
        while (task := self._queue.get()) is not None and not self._closed:
            with self._lock:
                if task.done.is_set():
                    continue
                task.started = time.monotonic()
            outcome = self._outcome(task.item)
            with self._lock:
                if not task.done.is_set():
                    task.outcome = outcome
                    task.done.set()
                    continue
                self._hung -= 1
                if self._active >= self._wanted:
                    return
                self._active += 1

    def _outcome(self, item: Item) -> Outcome[Item, Result]:
        try:
            with self._starting:
                self._worker = self._worker or self._job.start()
            return Outcome(item, self._worker(item))
        except Exception as error:  # noqa: BLE001 - handed to the caller as the item's outcome
            return Outcome(item, error=error)
