"""The real command line on a machine of 64 cores, with a network that is a few lines of arithmetic.

usage: container_commands.py THREADS COMMAND [OPTIONS]...
THREADS gets a line with the number of threads for each that is started.
"""

from __future__ import annotations

import os
import sys
import threading

from fakes import FakeSource

from imgcluster.cli import places
from imgcluster.cli.app import main

_, log, *arguments = sys.argv
start = threading.Thread.start


def counted(thread: threading.Thread) -> None:
    start(thread)
    with open(log, "a") as file:
        file.write(f"{threading.active_count()}\n")


os.sched_getaffinity = lambda _: set(range(64))
os.cpu_count = lambda: 64
threading.Thread.start = counted
places.choose_network = lambda *_: FakeSource()
sys.argv = ["imgcluster", *arguments]
main()
