"""What the child processes of the tests are asked to do."""

from __future__ import annotations

import os
import signal
import time


def echo(text: str) -> bytes:
    print("noise")
    os.write(1, b"more noise\n")
    return os.fsencode(text)


def dies() -> bytes:
    os._exit(7)


def is_killed() -> bytes:
    os.kill(os.getpid(), signal.SIGSEGV)
    return b""


def raises() -> bytes:
    raise ValueError("not foreseen")


def hangs() -> bytes:
    time.sleep(3600)
    return b""
