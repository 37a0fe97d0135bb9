"""Work spread over threads of this process, in order, with bounded memory."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL_SECONDS = 0.1


class TimedOut(Exception):
    """An item did not come back in time; its thread was given up."""


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
    started: float | None = None
    given_up: bool = False

    def overdue(self, timeout: float) -> bool:
        return self.started is not None and time.monotonic() - self.started >= timeout


class _Threads(Generic[Item, Result]):
    """Daemon threads that apply one function; a thread that hangs cannot be ended, only replaced."""

    def __init__(self, function: Callable[[Item], Result], count: int) -> None:
        self._function = function
        self._count = count
        self._tasks: queue.SimpleQueue[_Task[Item, Result] | None] = queue.SimpleQueue()
        for _ in range(count):
            self._start()

    def _start(self) -> None:
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.started = time.monotonic()
            try:
                task.outcome.result = self._function(task.outcome.item)
            except Exception as error:  # noqa: BLE001 - handed to the caller as the item's outcome
                task.outcome.error = error
            task.done.set()
            if task.given_up:
                return

    def submit(self, item: Item) -> _Task[Item, Result]:
        task: _Task[Item, Result] = _Task(Outcome(item))
        self._tasks.put(task)
        return task

    def give_up(self, task: _Task[Item, Result]) -> None:
        task.given_up = True
        self._start()

    def finish(self) -> None:
        for _ in range(self._count):
            self._tasks.put(None)


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

    At most `window` items are under way or waiting to be taken. One that takes longer than `timeout` seconds
    is given up: its outcome is `TimedOut`, and another thread takes its thread's place. An exception is an
    outcome and ends nothing. Once `stopping` says so, the iterator ends within a moment.
    """
    pool = _Threads(function, threads)
    remaining = iter(items)
    try:
        pending = deque(pool.submit(item) for item in itertools.islice(remaining, window))
        while pending and not stopping():
            head = pending[0]
            if head.done.wait(_POLL_SECONDS):
                outcome = head.outcome
            elif head.overdue(timeout):
                pool.give_up(head)
                outcome = Outcome(head.outcome.item, error=TimedOut(f"gave no answer within {timeout:g} s"))
            else:
                continue
            pending.popleft()
            pending.extend(pool.submit(item) for item in itertools.islice(remaining, 1))
            yield outcome
    finally:
        pool.finish()


class _End:
    """Closes the queue between a background thread and its consumer."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


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
    ready and ends within a moment, whatever the thread is at.
    """
    background = _Background(items, depth)
    try:
        while not stopping():
            try:
                item = background.get()
            except queue.Empty:
                continue
            if not isinstance(item, _End):
                yield item
            elif item.error is not None:
                raise item.error
            else:
                return
        background.abandon()
        yield from background.leftovers()
    finally:
        background.abandon()
