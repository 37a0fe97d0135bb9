"""Work spread over threads of this process, in order, with bounded memory."""

from __future__ import annotations

import math
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from imgcluster.child import TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL_SECONDS = 0.1
_LAST_SECONDS = 0.5
"""How long a background thread that is told to stop may take to hand over what is finished."""


@dataclass
class Outcome(Generic[Item, Result]):
    """One item and what became of it: `error` is None where `result` counts."""

    item: Item
    result: Result | None = None
    error: Exception | None = None


@dataclass
class _Task(Generic[Item, Result]):
    outcome: Outcome[Item, Result]
    done: threading.Event = field(default_factory=threading.Event)
    started: float = field(default_factory=time.monotonic)
    given_up: bool = False

    def overdue(self, timeout: float) -> bool:
        return time.monotonic() - self.started >= timeout


class _End:
    """Comes after the last thing in a queue that a thread fills."""

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error

    def raise_error(self) -> None:
        if self._error is not None:
            raise self._error


class _Threads(Generic[Item, Result]):
    """Daemon threads that take items, one thread at a time, and apply one function to them side by side.

    A thread that hangs cannot be ended, only replaced.
    """

    def __init__(
        self, function: Callable[[Item], Result], items: Iterable[Item], count: int, window: int
    ) -> None:
        self._function = function
        self._remaining = iter(items)
        self._room = threading.Semaphore(window)
        self._taking = threading.Lock()
        self._finished = False
        self._tasks: queue.SimpleQueue[_Task[Item, Result] | _End] = queue.SimpleQueue()
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while (task := self._take()) is not None:
            try:
                task.outcome.result = self._function(task.outcome.item)
            except Exception as error:  # noqa: BLE001 - handed to the caller as the item's outcome
                task.outcome.error = error
            task.done.set()
            if task.given_up:
                return

    def _take(self) -> _Task[Item, Result] | None:
        self._room.acquire()
        with self._taking:
            if not self._finished:
                try:
                    task: _Task[Item, Result] = _Task(Outcome(next(self._remaining)))
                except StopIteration:
                    self._end(_End())
                except BaseException as error:  # noqa: BLE001 - raised again in the consumer
                    self._end(_End(error))
                else:
                    self._tasks.put(task)
                    return task
        self._room.release()  # the next thread that waits for room ends as well
        return None

    def _end(self, end: _End) -> None:
        self._finished = True
        self._tasks.put(end)

    def following(self, timeout: float) -> _Task[Item, Result] | _End | None:
        """Give the next task in the order of the items, None where none comes in time."""
        try:
            return self._tasks.get(timeout=timeout)
        except queue.Empty:
            return None

    def taken(self) -> None:
        self._room.release()

    def give_up(self, task: _Task[Item, Result]) -> None:
        task.given_up = True
        self._start()

    def finish(self) -> None:
        self._finished = True
        self._room.release()


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    threads: int,
    window: int,
    timeout: float,
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome[Item, Result]]:
    """Apply a function to items in threads; give the outcomes in the items' order.

    The threads themselves iterate over the items, so an item that is long in coming holds nothing back that
    is finished. At most `window` items are under way or waiting to be taken. One that takes longer than
    `timeout` seconds is given up: its outcome is `TimedOut`, and another thread takes its thread's place. An
    exception is an outcome and ends nothing; one of the iterator over the items is raised after the last
    outcome. Once `stopping` says so, the outcomes that are there still come, and the iterator ends within a
    moment.
    """
    pool = _Threads(function, items, threads, window)
    head: _Task[Item, Result] | _End | None = None
    try:
        while True:
            stop = stopping()
            if stop:
                pool.finish()
            patience = 0 if stop else _POLL_SECONDS
            head = head or pool.following(patience)
            if isinstance(head, _End):
                head.raise_error()
                return
            if head is not None and head.done.wait(patience):
                outcome = head.outcome
            elif stop:
                return
            elif head is not None and head.overdue(timeout):
                pool.give_up(head)
                outcome = Outcome(head.outcome.item, error=TimedOut(timeout))
            else:
                continue
            head = None
            pool.taken()
            yield outcome
    finally:
        pool.finish()


class _Background(Generic[Item]):
    """A thread that iterates and a bounded queue that it fills."""

    def __init__(self, items: Iterable[Item], depth: int) -> None:
        self._items = items
        self._ready: queue.Queue[Item | _End] = queue.Queue(maxsize=depth)
        self._abandoned = threading.Event()
        threading.Thread(target=self._produce, daemon=True).start()

    def _produce(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the consumer
            self._put(_End(error))
        else:
            self._put(_End())

    def _put(self, item: Item | _End) -> bool:
        while not self._abandoned.is_set():
            try:
                self._ready.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def get(self) -> Item | _End:
        return self._ready.get(timeout=_POLL_SECONDS)

    def abandon(self) -> None:
        self._abandoned.set()

    def leftovers(self) -> Iterator[Item]:
        while not self._ready.empty():
            item = self._ready.get()
            if not isinstance(item, _End):
                yield item


def in_background(
    items: Iterable[Item], *, depth: int, stopping: Callable[[], bool] = lambda: False
) -> Iterator[Item]:
    """Iterate over `items` in a thread of its own, at most `depth` items ahead of the consumer.

    An exception in the thread is raised in the consumer. Once `stopping` says so, the iterator gives what is
    ready or comes within a moment, and ends, whatever the thread is at.
    """
    background = _Background(items, depth)
    last = math.inf
    try:
        while time.monotonic() < last:
            if stopping():
                last = min(last, time.monotonic() + _LAST_SECONDS)
            try:
                item = background.get()
            except queue.Empty:
                continue
            if isinstance(item, _End):
                item.raise_error()
                return
            yield item
        background.abandon()
        yield from background.leftovers()
    finally:
        background.abandon()
