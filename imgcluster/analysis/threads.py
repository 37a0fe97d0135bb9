"""One thread for whatever must come out the same on every machine with the same processor."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

from threadpoolctl import ThreadpoolController

from imgcluster.cores import cores

if TYPE_CHECKING:
    from contextlib import AbstractContextManager


def one_thread() -> AbstractContextManager[object]:
    """Hold BLAS and OpenMP to one thread: sums are then taken in one order, whatever the machine."""
    limits: AbstractContextManager[object] = _controller(with_sklearn="sklearn.cluster" in sys.modules).limit(
        limits=1
    )
    return limits


@cache
def _controller(*, with_sklearn: bool) -> ThreadpoolController:  # noqa: ARG001 - scikit-learn brings a pool of its own
    """Find the thread pools once: looking through all loaded libraries takes milliseconds."""
    return ThreadpoolController()


# Without it scikit-learn asks joblib for the physical cores, and joblib complains at length where the system
# has no answer (in containers). Set here and not by the command line, for it has to be there before
# scikit-learn is, whoever comes into this room.
os.environ.setdefault("OMP_NUM_THREADS", str(cores()))
