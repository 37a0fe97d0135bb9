"""What is decoded, how much memory that needs, and the budget that all decoders of a process share."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.machine import default_memory

_GIB = 1 << 30
_NEXT_TO_NOTHING = 1000
# Bytes of a pixel: in Pillow by its mode, where colours stand in four; in a format's decoder besides (its own
# copy, coefficients, a strip that may be all there is); and in what is made of it, RGB upright and before.
_OF_MODE = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_OF_DECODER = {"JPEG": 6, "TIFF": 4, "WebP": 8, "AVIF": 8, "HEIC": 8, "JPEG 2000": 12, "GIF": 1}
_OF_DECODER |= {"BMP": 3, "TIFF of floats": 36}
_OF_OTHER_MODES, _OF_RESULT, _OF_ROW = 4, 6, 16


MAX_PIXELS = 500_000_000
"""Lets panoramas and large scans through (22,000 x 22,000), and no decompression bomb."""


@dataclass(frozen=True)
class DecodeLimits:
    """What is still decoded: width times height by the header, and whether a JPEG whose end is missing.

    One that is missing is filled in, and the note says so.
    """

    max_pixels: int = MAX_PIXELS
    accept_truncated: bool = False


def bytes_to_decode(kind: str, mode: str, size: tuple[int, int], kept: int) -> int:
    """Return what it takes to decode that size in one of Pillow's modes, and to keep `kept` pixels."""
    width, height = size
    pixel = _OF_MODE.get(mode, _OF_OTHER_MODES) + _OF_DECODER.get(kind, 0)
    return height * (width * pixel + _OF_ROW) + bytes_of_result(kept)


def bytes_of_result(pixels: int) -> int:
    """Return what that many pixels take as RGB, with a copy that is turned."""
    return _OF_RESULT * pixels


class MemoryBudget:
    """Lets decoders start as long as what they need together stays within `total` bytes.

    A picture that needs more than that is decoded while no other is, one that needs more than `largest` is
    refused. By default the one is the 32nd part of the memory that this process may use, from 256 MiB to
    2 GiB, and the other 4 GiB, or three quarters of that memory.
    Where nothing is given back for `patience` seconds, a decoder starts all the same: another that was given
    up never gives back what it took.
    """

    def __init__(self, total: int | None = None, largest: int | None = None, patience: float = 20) -> None:
        quarter = default_memory() or 2 * _GIB
        self.total = min(max(_GIB // 4, min(2 * _GIB, quarter // 8)), quarter) if total is None else total
        self.largest = min(4 * _GIB, 3 * quarter) if largest is None else largest
        self.patience = patience
        self._taken = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taking(self, size: int) -> Iterator[None]:
        """Hold `size` bytes for a block of code, once they are free; UnreadableImage for too many.

        What is next to nothing is not counted, for that takes its time.
        """
        if size > self.largest:
            needed, most = (f"{number / _GIB:.1f} GiB" for number in (size, self.largest))
            raise UnreadableImage(
                f"decoding takes {needed} of memory, and no image may take more than {most}: save it smaller",
                FailureCode.OUT_OF_MEMORY,
            )
        if size * _NEXT_TO_NOTHING <= self.total:
            yield
            return
        with self._changed:
            self._wait_for(size)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()

    def _wait_for(self, size: int) -> None:
        """Wait until there is room and all who came before have theirs, or whoever holds it has hung."""
        me = object()
        self._waiting.append(me)
        while self._waiting[0] is not me or (self._taken and self._taken + size > self.total):
            if not self._changed.wait(self.patience):
                break
        self._waiting.remove(me)
        self._changed.notify_all()  # there may be room for the next as well


_FILES = MemoryBudget(MemoryBudget().total // 4, sys.maxsize)
"""For files that are being read and decoded, besides their pixels, however many threads there are."""
_COPIES, _COPIES_OF_PNG = 2, 4


def room_for(path: str, size: int) -> contextlib.AbstractContextManager[None]:
    """Wait until the memory for reading and decoding a file of that size is free."""
    return _FILES.taking(size * (_COPIES_OF_PNG if path.lower().endswith(".png") else _COPIES))
