"""Stops the code at a chosen step: with an exception, or with kill -9 in a child process."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

from cluster_files import make, photograph, placed
from forks import end_of, fork

from imgcluster import held
from imgcluster.output.manifest import read_assignments
from imgcluster.ownership import Ownership

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgcluster.records import Placement

# Every call by which the code changes something; between two of them, nothing happens on the disk.
STEPS = [
    (os, name)
    for name in (
        "mkdir",
        "rename",
        "replace",
        "unlink",
        "rmdir",
        "link",
        "symlink",
        "fsync",
        "chmod",
        "utime",
        "open",
    )
] + [(held, "_renameat2"), (shutil, "copyfile")]


OPEN = os.open


class Interruption:
    """Does something at one step: before the step is made, or just after.

    `patch` replaces a function, as pytest's monkeypatch does.
    """

    def __init__(
        self,
        patch: Callable[[Any, str, Any], None],
        at: int,
        what: Callable[[], None],
        *,
        after: bool = False,
    ) -> None:
        self.count, self._at, self._what = 0, at, what
        for module, name in STEPS:
            patch(module, name, self._wrapped(getattr(module, name), after=after))

    def _wrapped(self, call: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
        def step(*arguments: Any, **options: Any) -> Any:
            if call is OPEN and not arguments[1] & (os.O_WRONLY | os.O_RDWR):
                return call(*arguments, **options)
            self.count += 1
            mine = self.count == self._at
            if mine and not after:
                self._what()
            result = call(*arguments, **options)
            if mine and after:
                self._what()
            return result

        return step

    @property
    def happened(self) -> bool:
        return self.count >= self._at


COUNT = 30


def prepare(photos: str, out: str, story: str, owner: Ownership) -> list[Placement]:
    """Photographs, for the story "again" moved into clusters before; what to build next."""
    sources = [photograph(f"{photos}/{i}.jpg", f"image {i}") for i in range(COUNT)]
    placements = [placed(source, i % 2) for i, source in enumerate(sources)]
    if story == "again":
        make(placements, out, "move", owner=owner)
        known = read_assignments(out)
        return [placed(p.path, i % 3, p.original) for i, p in enumerate(known)]
    return placements


def is_killed(placements: list[Placement], out: str, when: str, owner: Ownership) -> bool:
    """Build in a child process that dies at step ``s17``, or is killed after ``t1500`` microseconds."""

    def build() -> None:
        if when[0] == "s":
            Interruption(setattr, int(when[1:]), lambda: os.kill(os.getpid(), signal.SIGKILL))
        make(placements, out, "move", owner=owner)

    child = fork(build)
    if when[0] == "t":
        time.sleep(int(when[1:]) / 1e6)
        os.kill(child, signal.SIGKILL)
    return end_of(child) == -signal.SIGKILL


def moments(steps: int, timed: int, seed: int) -> list[str]:
    """Some steps and some points of time at which to kill."""
    chance = random.Random(seed)
    return [f"s{n}" for n in sorted(chance.sample(range(1, 60), steps))] + [
        f"t{n}" for n in sorted(chance.sample(range(200, 12_000), timed))
    ]
