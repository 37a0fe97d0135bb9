"""Ctrl-C at a harmless moment."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_back() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until the block ends: an exception in a callback breaks HDF5's own state.

    Python runs signal handlers in the main thread only, so in others there is nothing to hold back; nor is
    there where a signal has no handler of Python's.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Callable[[int, Any], Any]] = {}
    for number in _SIGNALS:
        handler = signal.getsignal(number)
        if callable(handler):
            handlers[number] = handler
    caught: list[tuple[Any, Any]] = []
    try:
        for handled in handlers:
            signal.signal(handled, lambda number, frame: caught.append((number, frame)))
        yield
    finally:
        for signal_number, handler in handlers.items():
            signal.signal(signal_number, handler)
        if caught:
            received, frame = caught[0]
            handlers[received](received, frame)
