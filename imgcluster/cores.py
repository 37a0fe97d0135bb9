"""How many cores this process may use: the one answer for every room that starts threads."""

from __future__ import annotations

import os


def cores() -> int:
    """Give the number of cores that this process may use, where the system tells, else of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
