"""What of the machine this process may use: cores and memory, also in a container.

Containers are limited by control groups: version 2 has one tree of them, version 1 one for each kind.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path

_MEMORY_SHARE = 4
"""A quarter is for embeddings; the rest is for files, other programs and what else is computed."""


_most = math.inf


def use_at_most(count: int) -> None:
    """Let `cores` give no more than that, in a process that shares its machine with others of its kind."""
    global _most  # noqa: PLW0603 - as much a property of the process as the system's own limits
    _most = max(count, 1)


@cache
def _quota(root: str) -> float:
    """Give how many cores' time the control groups allow; infinite where they set no limit."""
    quotas = [math.inf]
    for folder, version in _groups(root, "cpu"):
        if version == 2:
            quota, _, period = _text(folder / "cpu.max").partition(" ")
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(period):
            quotas.append(int(quota) / int(period))
    return min(quotas)


_threads: ContextVar[int | None] = ContextVar("threads", default=None)


@contextlib.contextmanager
def using_threads(number: int | None) -> Iterator[None]:
    """Have `cores` give this number in the block and in threads that take its context; None: as before."""
    token = _threads.set(number or _threads.get())
    try:
        yield
    finally:
        _threads.reset(token)


def cores(root: str = "/", *, least: int = 1) -> int:
    """Give the number of cores that this process may use: the one answer for all who start threads.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    least
        How many threads it takes where nobody has said how many.
    """
    chosen = _threads.get()
    return max(least, _available(root)) if chosen is None else chosen


def _available(root: str) -> int:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = min(_quota(root), _most)
    return allowed if math.isinf(quota) else max(1, min(allowed, math.ceil(quota)))


def default_memory(root: str = "/") -> int | None:
    """Give a quarter of the memory that this process may use, in bytes; None where the system does not tell.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    """
    limits = _physical()
    for folder, version in _groups(root, "memory"):
        names = ("memory.max", "memory.high") if version == 2 else ("memory.limit_in_bytes",)
        limits += [int(text) for text in (_text(folder / name) for name in names) if text.isdigit()]
    return min(limits) // _MEMORY_SHARE if limits else None


def _physical() -> list[int]:
    try:
        return [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # not on this system
        return []


def _groups(root: str, controller: str) -> Iterator[tuple[Path, int]]:
    """Yield the folders of this process's control group and of those that it lies in, with their version."""
    for line in _text(Path(root, "proc/self/cgroup")).splitlines():
        _, _, controllers_and_group = line.partition(":")
        controllers, _, group = controllers_and_group.partition(":")
        top = Path(root, "sys/fs/cgroup")
        if controllers and controller not in controllers.split(","):
            continue
        if controllers:
            top /= controller
        inner = top / group.lstrip("/")
        # In a container the own group may be shown as the top, and its path lead nowhere.
        for folder in [inner, *inner.parents][: len(inner.parts) - len(top.parts) + 1]:
            yield folder, 1 if controllers else 2


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # not Linux, or no such limit
        return ""
