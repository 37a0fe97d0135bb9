"""The real command line where one thing is slow, so that there is time to press Ctrl-C.

usage: slow_commands.py network|download|library|links|nothing LOG COMMAND [OPTIONS]...
LOG gets a line per slow step.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
from typing import Any

from fakes import FakeNetwork, FakeSource

from imgcluster.cli import places
from imgcluster.cli.app import main

_, slow, log, *arguments = sys.argv


def step() -> None:
    with open(log, "a") as file:
        file.write("step\n")


class SlowNetwork(FakeNetwork):
    def embed(self, pixels: Any) -> Any:
        step()
        time.sleep(0.1)
        return super().embed(pixels)


def download() -> None:
    step()
    time.sleep(3600)


def library() -> None:
    """Like a library that never comes back: signals do not wake who waits for a mutex."""
    mutex = (ctypes.c_char * 64)()
    lock = ctypes.CDLL(None).pthread_mutex_lock
    lock(mutex)
    threading.Timer(0.3, step).start()  # a line before this thread waits would be too early
    lock(mutex)


def choose_network(*_: Any, **__: Any) -> FakeSource:
    {"download": download, "library": library}.get(slow, lambda: None)()
    return FakeSource(SlowNetwork() if slow == "network" else FakeNetwork())


def slow_link(*arguments: Any, **options: Any) -> None:
    step()
    time.sleep(0.1)
    link(*arguments, **options)


link = os.link
if slow == "links":
    os.link = slow_link
places.choose_network = choose_network
sys.argv = ["imgcluster", *arguments]
main()
