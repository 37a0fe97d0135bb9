"""What the child processes of the tests are asked to do."""

from __future__ import annotations

import os
import sys
import time


class Unportable(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def echo(text: str) -> bytes:
    print("noise")
    os.write(1, b"more noise\n")
    return os.fsencode(text)


def import_path() -> list[str]:
    return sys.path


def dies() -> None:
    os._exit(7)


def is_killed(number: int) -> None:
    os.kill(os.getpid(), number)


def raises(error: Exception) -> None:
    raise error


def raises_unportable() -> None:
    raise Unportable("not", "foreseen")


def hangs() -> None:
    time.sleep(3600)
