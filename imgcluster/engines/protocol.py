"""What an engine is: it starts workers for a job, and these turn items into outcomes, wherever they run."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, Protocol, TypedDict, TypeVar, Unpack

from imgcluster.child import ChildDied, TimedOut

Item = TypeVar("Item")
Result = TypeVar("Result")
Item_contra = TypeVar("Item_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)

PATIENCE_SECONDS = 0.05
"""After how long without an outcome whoever waits for one is given the chance to do something else."""


@dataclass(frozen=True)
class Outcome(Generic[Item, Result]):
    """One item and what became of it: `error` is None where `result` counts."""

    item: Item
    result: Result | None = None
    error: Exception | None = None


class Job(Protocol[Item_contra, Result_co]):
    """What is to be done with each item, told by small values: it can be sent to where the workers are."""

    def start(self) -> Callable[[Item_contra], Result_co]:
        """Make a worker: what takes long, such as loading a network, happens here, once for each process.

        Threads share their process's worker and call it side by side.
        """


@dataclass(frozen=True)
class Call(Generic[Item, Result]):
    """The job of a function that needs nothing made beforehand."""

    function: Callable[[Item], Result]

    def start(self) -> Callable[[Item], Result]:
        """Give the function."""
        return self.function


class Workers(Protocol[Item, Result]):
    """The workers of one job; used from one thread."""

    @property
    def in_flight(self) -> int:
        """How many items were submitted whose outcome was not given yet."""

    def has_room(self) -> bool:
        """Whether another item may be submitted: results that nobody fetches fill the memory."""

    def submit(self, item: Item) -> None:
        """Hand over an item."""

    def next(self, patience: float) -> Outcome[Item, Result] | None:
        """Give the outcome of the oldest item in flight, None where there is none within `patience` seconds.

        An exception of the job is an outcome, and so are `TimedOut` and `ChildDied`: the engine replaces a
        worker that hangs or dies.
        """

    def close(self) -> None:
        """Give up what is in flight, and let the workers go."""


@dataclass(frozen=True)
class EngineSettings:
    """What may be said about an engine whose workers are elsewhere.

    `address` is that of a running cluster; None: one is started here. `workers` None: as many as there are
    CPUs for; `cpus_per_worker` and `gpus_per_worker` are what each has to itself.
    """

    address: str | None = None
    workers: int | None = None
    cpus_per_worker: int = 1
    gpus_per_worker: float = 0.0


class Engine(Protocol):
    """A way to spread work."""

    @property
    def shares_memory(self) -> bool:
        """Whether workers live in this process: only then are pixels handed to and fro, and not just rows."""

    def start(self, job: Job[Item, Result], *, timeout: float = math.inf) -> Workers[Item, Result]:
        """Start workers for a job; an item has `timeout` seconds."""


class Handling(TypedDict, Generic[Item], total=False):
    """How items are handled: each has `timeout` seconds, and none is taken once `stopping` says so.

    Of an item that ended its worker or took too long, the parts that `cut` gives are done in its place; what
    has no parts is done again, until it was tried `tries` times (once).
    """

    timeout: float
    stopping: Callable[[], bool]
    tries: int
    cut: Callable[[Item], Sequence[Item]]


def stream(
    engine: Engine, job: Job[Item, Result], items: Iterable[Item], **more: Unpack[Handling[Item]]
) -> Iterator[Outcome[Item, Result] | None]:
    """Do a job with each item; yield outcomes in the items' order, and None after a moment without one.

    What is done again comes after what was in flight; when work is to stop, outcomes that are there come.
    """
    timeout, tries = more.get("timeout", math.inf), more.get("tries", 1)
    stopping, cut = more.get("stopping", lambda: False), more.get("cut", lambda item: (item,))
    left, again, numbers = iter(items), deque[tuple[Item, int]](), deque[int]()
    with closing(engine.start(job, timeout=timeout)) as workers:
        while True:
            stop = stopping()
            while not stop and workers.has_room():
                try:
                    item, number = again.popleft() if again else (next(left), 1)
                except StopIteration:
                    break
                workers.submit(item)
                numbers.append(number)
            if not workers.in_flight:
                return
            outcome = workers.next(0 if stop else PATIENCE_SECONDS)
            if stop and outcome is None:
                return
            number = numbers.popleft() if outcome else 0
            if outcome and isinstance(outcome.error, ChildDied | TimedOut):
                parts = cut(outcome.item)
                if len(parts) > 1 or number < tries:
                    again.extend((part, number + 1 if len(parts) == 1 else 1) for part in parts)
                    continue
            yield outcome


def in_order(
    engine: Engine, job: Job[Item, Result], items: Iterable[Item], **more: Unpack[Handling[Item]]
) -> Iterator[Outcome[Item, Result]]:
    """Do as `stream`, and yield the outcomes alone."""
    yield from filter(None, stream(engine, job, items, **more))


def result_of(outcome: Outcome[Item, Result]) -> Result:
    """Give the result, or raise the error in its place."""
    if outcome.result is None:
        raise outcome.error or RuntimeError("a result was lost")
    return outcome.result
