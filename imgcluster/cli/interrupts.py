"""Ctrl-C: the first asks to stop, the second ends the process whatever it is at."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from typing import TYPE_CHECKING

from imgcluster.cli import console

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from imgcluster.cli.console import ConsoleProgress

EXIT_CODE = 130
_PATIENCE_SECONDS = 0.3
_SHOW_CURSOR = b"\x1b[?25h"


def watch() -> None:
    """From now on, answer signals also while the main thread is in a library that does not return.

    Python runs signal handlers in the main thread, between two of its own instructions; a byte in this pipe
    is written at once.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=_answer, args=(reader,), daemon=True).start()


def _answer(reader: int) -> None:
    asked = 0
    while True:
        asked += sum(number in (signal.SIGINT, signal.SIGTERM) for number in os.read(reader, 64))
        if asked > 1:
            _end()
        if asked and not select.select([reader], [], [], _PATIENCE_SECONDS)[0]:
            console.note("stopping; Ctrl-C again ends at once")


def _end() -> None:
    with contextlib.suppress(OSError, ValueError):
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), _SHOW_CURSOR)  # progress bars hide it
    os._exit(EXIT_CODE)


@contextlib.contextmanager
def keeping_work(progress: ConsoleProgress, since: str) -> Iterator[None]:
    """From the stage `since` on, let Ctrl-C ask the workflow to finish what it has in hand.

    Before that nothing is lost, so Ctrl-C breaks off whatever is going on, such as a download.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        progress.stopping = True
        if progress.stage != since:
            signal.default_int_handler(number, frame)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
