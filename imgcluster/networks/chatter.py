"""Keep TensorFlow's start-up messages from the user's terminal."""

from __future__ import annotations

import os
import re
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# What absl logs below ERROR, and its own preamble: no environment variable keeps these back at import.
_CHATTER = re.compile(
    rb"^(?:WARNING: All log messages before absl::InitializeLog.*|[IW]\d{4} [\d:. ]+ .*)\n", re.MULTILINE
)


@contextmanager
def without_chatter() -> Iterator[None]:
    """Let through what is written to stderr meanwhile, by any thread, except log lines below an error."""
    try:
        sys.stderr.flush()
        original = os.dup(2)
    except (AttributeError, OSError):  # stderr is closed, so nobody is bothered
        yield
        return
    reader, writer = os.pipe()
    thread = threading.Thread(target=_forward, args=(reader, original), daemon=True)
    thread.start()
    os.dup2(writer, 2)
    os.close(writer)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(original, 2)  # closes the last writing end, so that the thread comes to its end
        thread.join()
        os.close(reader)
        os.close(original)


def _forward(reader: int, target: int) -> None:
    while chunk := os.read(reader, 1 << 16):
        os.write(target, _CHATTER.sub(b"", chunk))
