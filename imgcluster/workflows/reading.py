"""One file to the pixels that the network takes: in a decoder thread, or apart from this process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.child import ChildDied, TimedOut, call_in_child
from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.decode import DecodeLimits, decode
from imgcluster.images.header import wrong_name
from imgcluster.images.reading import content_key, read_file
from imgcluster.images.resize import side_needed, to_square
from imgcluster.records import Failure, ImageFile, PathEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from imgcluster.records import Pixels

    Reading = Callable[[ImageFile, Collection[bytes], "ReadSettings"], "ReadImage"]
    """A function like `read_image`, one that a module defines, so that a child process finds it."""


@dataclass(frozen=True)
class ReadImage:
    """A file that was read: its entry for the path table, and its pixels unless its embedding is known."""

    entry: PathEntry
    pixels: Pixels | None
    note: str = ""


@dataclass(frozen=True)
class ReadSettings:
    """How files are read and decoded; `timeout` in seconds per file."""

    input_size: int
    limits: DecodeLimits
    timeout: float
    threads: int
    crop: float = 0.0
    interpolation: str = "area"


def read_image(file: ImageFile, known: Collection[bytes], settings: ReadSettings) -> ReadImage:
    """Read a file once; hash it; decode it to the network's size unless its key is known.

    Raises
    ------
    UnreadableImage
        With the reason.
    """
    read_ns = time.time_ns()
    data = read_file(file.path)
    key = content_key(data)
    entry = PathEntry(file.path, file.size, file.mtime_ns, read_ns, key)
    if key in known:
        return ReadImage(entry, None)
    decoded = decode(data, settings.limits, at_least=side_needed(settings.input_size, settings.crop))
    note = decoded.note or wrong_name(file.path, decoded.kind)
    pixels = to_square(
        decoded.pixels, settings.input_size, crop=settings.crop, interpolation=settings.interpolation
    )
    return ReadImage(entry, pixels, note)


def read_apart(file: ImageFile, settings: ReadSettings, reading: Reading) -> ReadImage | Failure:
    """Read a file in a child process, for it was in a decoder's hands when an earlier process died."""
    try:
        return call_in_child(reading, file, frozenset(), settings, timeout=settings.timeout)
    except Exception as error:  # noqa: BLE001 - the file's failure
        return failure(file, error)


def failure(file: ImageFile, error: Exception | None) -> Failure:
    """Say in words why a file was not read."""
    pixels = 0
    if isinstance(error, UnreadableImage):
        reason, code, pixels = str(error), error.code, error.pixels
    elif isinstance(error, TimedOut):
        reason, code = str(error), FailureCode.TIMED_OUT
    elif isinstance(error, ChildDied):
        reason, code = f"ended the process that decoded it, twice ({error})", FailureCode.CRASHED_DECODER
    elif isinstance(error, MemoryError):
        reason, code = "not enough memory to read it", FailureCode.OUT_OF_MEMORY
    else:
        reason, code = f"could not be decoded: {type(error).__name__}: {error}", FailureCode.INTERNAL
    return Failure(file.path, reason, code, file.size, file.mtime_ns, pixels)
