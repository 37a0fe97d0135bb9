"""Work spread over the machines of a Ray cluster: processes, made once, that do one item after the other.

Ray brings items there and results back, and no more: what is done is told by the caller's own store.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Generic

from imgcluster import machine
from imgcluster.child import ChildDied, TimedOut, portable
from imgcluster.engines.protocol import EngineSettings, Item, Job, Outcome, Result
from imgcluster.engines.ray_session import connected
from imgcluster.errors import ImgclusterError, MissingExtra

_QUEUED = 2
"""A worker finds its next item there when it has done one."""
_IN_FLIGHT_PER_WORKER = 4
"""Results of some wait for that of a slower one before them; no more than that are kept."""
_SLOW = 3.0
"""An item that takes so many times as long as those before it is done once more elsewhere."""
_FEWEST_SECONDS = 1.0
_REMEMBERED = 64
_FAILED_STARTS = 3


@dataclass(frozen=True)
class RayEngine(EngineSettings):
    """Actors on a Ray cluster, or on this machine, where a Ray is started for them and ended with them."""

    shares_memory = False

    def __post_init__(self) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingExtra("--engine ray", "ray")

    def start(self, job: Job[Item, Result], *, timeout: float = math.inf) -> _Actors[Item, Result]:
        """Start the workers; ImgclusterError where no cluster is at the address, or it has no room."""
        return _Actors(self, job, timeout)


class _Worker(Generic[Item, Result]):
    """What lives in the process of an actor."""

    def __init__(self, job: Job[Item, Result], cpus: int) -> None:
        machine.use_at_most(cpus)
        self._job = job

    def start(self) -> tuple[str, Exception | None]:
        """Make the worker of the job; tell this machine's name, and what went wrong."""
        try:
            self._do = self._job.start()
        except Exception as error:  # noqa: BLE001 - the caller's to handle
            return socket.gethostname(), portable(error)
        return socket.gethostname(), None

    def do(self, item: Item) -> tuple[Result | None, Exception | None]:
        try:
            return self._do(item), None
        except Exception as error:  # noqa: BLE001 - handed to the caller as the item's outcome
            return None, portable(error)


@dataclass(eq=False)
class _Task(Generic[Item, Result]):
    item: Item
    outcome: Outcome[Item, Result] | None = None
    copies: int = 0


@dataclass(eq=False)
class _Actor(Generic[Item, Result]):
    """The caller's side of one: calls that were made and not answered, the first of them under way."""

    handle: Any
    starting: Any
    calls: deque[tuple[Any, _Task[Item, Result]]] = field(default_factory=deque)
    since: float = 0.0

    @property
    def next_answer(self) -> Any | None:
        return self.starting or (self.calls[0][0] if self.calls else None)


class _Actors(Generic[Item, Result]):
    def __init__(self, engine: RayEngine, job: Job[Item, Result], timeout: float) -> None:
        self._engine, self._timeout = engine, timeout
        self._pending: deque[_Task[Item, Result]] = deque()
        self._waiting: deque[_Task[Item, Result]] = deque()
        self._actors: list[_Actor[Item, Result]] = []
        self._failed_starts = 0
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)
        self._session = contextlib.ExitStack()
        try:
            self._ray = self._session.enter_context(connected(engine))
            self._wanted = engine.workers or _room(self._ray, engine)
            self._job = self._ray.put(job)
            self._make = self._ray.remote(
                num_cpus=engine.cpus_per_worker,
                num_gpus=engine.gpus_per_worker,
                scheduling_strategy="SPREAD",
            )(_Worker).remote
            for _ in range(self._wanted):
                self._add_actor()
        except BaseException:
            self._session.close()
            raise

    @property
    def in_flight(self) -> int:
        return len(self._pending)

    def has_room(self) -> bool:
        return len(self._pending) < _IN_FLIGHT_PER_WORKER * self._wanted

    def submit(self, item: Item) -> None:
        task: _Task[Item, Result] = _Task(item)
        self._pending.append(task)
        self._waiting.append(task)
        self._hand_out()

    def next(self, patience: float) -> Outcome[Item, Result] | None:
        last = time.monotonic() + patience
        while self._pending and self._pending[0].outcome is None:
            self._hand_out()
            answers = {actor.next_answer: actor for actor in self._actors if actor.next_answer is not None}
            left = max(last - time.monotonic(), 0.0)
            done, _ = self._ray.wait([*answers], timeout=left) if answers else ([], None)
            for answer in done:
                self._take(answers[answer])
            self._give_up_overdue()
            if not done and time.monotonic() >= last:
                break
        if not self._pending or self._pending[0].outcome is None:
            return None
        return self._pending.popleft().outcome

    def close(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor.handle)
        self._session.close()

    def _add_actor(self) -> None:
        handle = self._make(self._job, self._engine.cpus_per_worker)
        self._actors.append(_Actor(handle, handle.start.remote()))

    def _hand_out(self) -> None:
        """Give each worker something to do, and all of them the next one before any a third."""
        ready = [actor for actor in self._actors if actor.starting is None]
        for count in range(_QUEUED):
            for actor in ready:
                task = self._next_task(actor) if len(actor.calls) == count else None
                if task is not None:
                    if not actor.calls:
                        actor.since = time.monotonic()
                    task.copies += 1
                    actor.calls.append((actor.handle.do.remote(task.item), task))

    def _next_task(self, actor: _Actor[Item, Result]) -> _Task[Item, Result] | None:
        while self._waiting:
            task = self._waiting.popleft()
            if task.outcome is None:
                return task
        if actor.calls:
            return None
        # Idle, it takes over what lies behind another's item, or what takes too long.
        usual = median(self._seconds) if self._seconds else math.inf
        now, slow = time.monotonic(), max(_SLOW * usual, _FEWEST_SECONDS)
        for other in self._actors:
            for place, (_, task) in enumerate(other.calls):
                if task.outcome is None and task.copies == 1 and (place or now - other.since > slow):
                    return task
        return None

    def _take(self, actor: _Actor[Item, Result]) -> None:
        """Take what an actor answers."""
        try:
            answer = self._ray.get(actor.next_answer)
        except self._ray.exceptions.RayError as error:
            self._bury(actor, ChildDied(_how(error)))
            return
        if actor.starting is not None:
            self._started(actor, *answer)
            return
        _, task = actor.calls.popleft()
        now = time.monotonic()
        self._seconds.append(now - actor.since)
        actor.since = now
        task.copies -= 1
        task.outcome = task.outcome or Outcome(task.item, *answer)

    def _started(self, actor: _Actor[Item, Result], host: str, error: Exception | None) -> None:
        actor.starting = None
        self._failed_starts = 0
        if error is not None:  # it would be the same everywhere
            told = error if isinstance(error, ImgclusterError) else ImgclusterError(f"on {host}: {error}")
            self._end_all(told)

    def _bury(self, actor: _Actor[Item, Result], error: ChildDied | TimedOut) -> None:
        """Let another take the place of an actor; the item that it was at is to blame."""
        self._actors.remove(actor)
        self._ray.kill(actor.handle)
        blamed = True
        for _, task in actor.calls:
            task.copies -= 1
            if task.outcome is None and not task.copies:
                if blamed:
                    task.outcome = Outcome(task.item, error=error)
                else:
                    self._waiting.appendleft(task)
            blamed = False
        if actor.starting is not None:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                self._end_all(
                    ImgclusterError(f"{self._failed_starts} Ray workers died as they started: {error}")
                )
        self._add_actor()

    def _give_up_overdue(self) -> None:
        for actor in [*self._actors]:
            if actor.calls and time.monotonic() - actor.since > self._timeout:
                self._bury(actor, TimedOut(self._timeout))

    def _end_all(self, error: ImgclusterError) -> None:
        for task in self._pending:
            task.outcome = task.outcome or Outcome(task.item, error=error)


def _how(error: Exception) -> str:
    """Say in a line how an actor died."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = next((line for line in lines if "Worker exit detail" in line), lines[-1] if lines else repr(error))
    return told.partition("Worker exit detail: ")[2].partition(" Some common causes")[0] or told


def _room(ray: Any, engine: EngineSettings) -> int:
    """Count the workers that the cluster has room for."""
    cpus, gpus, room = engine.cpus_per_worker, engine.gpus_per_worker, 0
    for node in ray.nodes():
        there = node["Resources"] if node["Alive"] else {}
        fits = int(there.get("CPU", 0) // cpus) if cpus else 1
        room += min(fits, int(there.get("GPU", 0) // gpus)) if gpus else fits
    if not room:
        wanted = f"{cpus} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
        raise ImgclusterError(
            f"no machine of the Ray cluster has {wanted} for a worker: ask for less of them"
        )
    return room
