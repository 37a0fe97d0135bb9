"""Children that begin as copies of this process: what is killed needs no start of its own."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def fork(work: Callable[[], object]) -> int:
    """Start a child that does `work` and ends with status 0, or 1 after an exception; its process id."""
    child = os.fork()
    if not child:
        try:
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - nothing of the parent's may go on in the child
            traceback.print_exc()
        finally:
            os._exit(1)
    return child


def end_of(child: int) -> int:
    """Wait for a child; its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
