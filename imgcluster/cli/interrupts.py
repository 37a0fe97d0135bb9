"""Ctrl-C: the first asks to stop, the second ends the process whatever it is at."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator

EXIT_CODE = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE_SECONDS = 0.3
_SHOW_CURSOR = b"\x1b[?25h"


def watch(note: Callable[[str], None]) -> None:
    """From now on, answer signals also while the main thread is in a library that does not return.

    Python runs signal handlers in the main thread, between two of its own instructions; a byte in this pipe
    is written at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    threading.Thread(target=_answer, args=(reader, note), daemon=True).start()


def _answer(reader: int, note: Callable[[str], None]) -> None:
    asked = 0
    while True:
        asked += sum(number in _SIGNALS for number in os.read(reader, 64))
        if asked > 1:
            _end()
        if asked and not select.select([reader], [], [], _PATIENCE_SECONDS)[0]:
            note("stopping; Ctrl-C again ends at once")


def _end() -> None:
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), _SHOW_CURSOR)  # progress bars hide it
    os._exit(EXIT_CODE)


@contextlib.contextmanager
def asking_to_stop(ask: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM ask for an end instead of breaking off whatever is going on."""
    heeded = [n for n in _SIGNALS if signal.getsignal(n) is not signal.SIG_IGN]
    before = {n: signal.signal(n, lambda *_: ask()) for n in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
