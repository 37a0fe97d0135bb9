"""A child process for each item: slow, for what may take its process with it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic

from imgcluster.child import call_in_child
from imgcluster.engines.local import LocalEngine
from imgcluster.engines.protocol import Item, Job, Result, Workers


@dataclass(frozen=True)
class ProcessEngine:
    """One child after the other: what one did to its process, a second would do to the machine."""

    shares_memory = False

    def start(self, job: Job[Item, Result], *, timeout: float = math.inf) -> Workers[Item, Result]:
        """Start a thread that starts the children, which have a clock of their own."""
        return LocalEngine(threads=1, max_in_flight=1).start(_InChild(job, timeout))


@dataclass(frozen=True)
class _InChild(Generic[Item, Result]):
    job: Job[Item, Result]
    timeout: float

    def start(self) -> Callable[[Item], Result]:
        return partial(
            call_in_child, _do, self.job, timeout=None if math.isinf(self.timeout) else self.timeout
        )


def _do(job: Job[Item, Result], item: Item) -> Result:
    return job.start()(item)
