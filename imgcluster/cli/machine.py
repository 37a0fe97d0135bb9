"""How much memory there is to use: what `--memory` is where nobody gives it."""

from __future__ import annotations

import os
from pathlib import Path

_SHARE = 4
"""A quarter is for embeddings; the rest is for files, other programs and what else is computed."""


def default_memory(root: str = "/") -> int | None:
    """Give a quarter of the memory that this process may use, in bytes; None where the system does not tell.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` are.
    """
    limits = [*_group_limits(root), *_physical()]
    return min(limits) // _SHARE if limits else None


def _physical() -> list[int]:
    try:
        return [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # not on this system
        return []


def _group_limits(root: str) -> list[int]:
    """Read the limits of this process's control group and of those that it lies in (containers have them)."""
    try:
        groups = Path(root, "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        return []
    limits = []
    for line in groups:
        _, _, controllers_and_group = line.partition(":")
        controllers, _, group = controllers_and_group.partition(":")
        if controllers == "":
            limits += _limits_upwards(Path(root, "sys/fs/cgroup"), group, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits_upwards(Path(root, "sys/fs/cgroup/memory"), group, "memory.limit_in_bytes")
    return limits


def _limits_upwards(top: Path, group: str, file: str) -> list[int]:
    inner = top / group.lstrip("/")
    # In a container the own group may be shown as the top, and its path lead nowhere.
    folders = [inner, *inner.parents][: len(inner.parts) - len(top.parts) + 1]
    texts = [_text(folder / file) for folder in folders]
    return [int(text) for text in texts if text.isdigit()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
