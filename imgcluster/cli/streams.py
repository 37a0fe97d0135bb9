"""Whose stderr is it: ours, or that of the libraries."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

STDOUT = "stdout"
"""What errors of stdout have for a file name."""


class _Heedless(io.FileIO):
    """A file that takes what it cannot keep: that a line cannot be told ends no work."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data) or len(data)  # None: a full pipe that does not wait
        except OSError:
            return len(data)


class _Stdout(io.FileIO):
    """Stdout, whose errors say so."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise OSError(error.errno, error.strerror, STDOUT) from None


def _telling(descriptor: int, encoding: str, *, closefd: bool) -> TextIO:
    file = io.BufferedWriter(_Heedless(descriptor, "w", closefd=closefd))
    return io.TextIOWrapper(file, encoding, "backslashreplace", line_buffering=True)


def settle() -> None:
    """Open what the caller has closed, so that no file of ours is taken for it, and let letters be shown.

    A terminal of few letters shows the others as numbers; stderr is so by itself.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            free = os.open(os.devnull, os.O_RDWR)  # the lowest number
            os.set_inheritable(free, True)  # noqa: FBT003
    encoding = sys.stdout.encoding if sys.stdout else "utf-8"
    file = io.BufferedWriter(_Stdout(1, "w", closefd=False))
    sys.stdout = io.TextIOWrapper(file, encoding, "backslashreplace", line_buffering=os.isatty(1))
    sys.stderr = _telling(2, "utf-8" if sys.stderr is None else sys.stderr.encoding, closefd=False)


@contextlib.contextmanager
def without_noise() -> Iterator[None]:
    """Keep what C libraries write to stderr off the terminal; what Python writes still goes there.

    Decoders remark on damaged files there, in the midst of a progress bar and without the file's name. Should
    one of them crash, Python says where.
    """
    python = sys.stderr
    try:
        python.flush()
        terminal = os.dup(2) if python.fileno() == 2 else -1
    except (AttributeError, OSError, ValueError):  # stderr is closed, or stands for something else
        terminal = -1
    if terminal < 0:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with _telling(terminal, python.encoding, closefd=True) as ours:
        os.dup2(nowhere, 2)
        os.close(nowhere)
        sys.stderr = ours
        faulthandler.enable(ours, all_threads=False)
        try:
            yield
        finally:
            faulthandler.disable()
            sys.stderr = python
            os.dup2(terminal, 2)
