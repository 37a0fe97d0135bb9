"""One file to the pixels that the network takes: in a decoder thread, or apart from this process."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.engines.child import ChildDied, call_in_child, function_named, name_of
from imgcluster.engines.local import TimedOut
from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import DecodeLimits, decode
from imgcluster.images.hashing import content_key
from imgcluster.images.header import wrong_name
from imgcluster.images.reading import read_file
from imgcluster.images.resize import to_square
from imgcluster.records import Failure, ImageFile, PathEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from imgcluster.records import JsonObject, Pixels

    Reading = Callable[[ImageFile, Collection[bytes], "ReadSettings"], "ReadImage"]
    """A function like `read_image`, one that a module defines, so that a child process finds it."""

DEADLY = "ended the process that decoded it, twice"
"""How the reason of a file begins that is never to be decoded in this process again."""


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
    decoded = decode(data, settings.limits, at_least=settings.input_size)
    note = decoded.note or wrong_name(file.path, decoded.kind)
    return ReadImage(entry, to_square(decoded.pixels, settings.input_size), note)


def read_apart(file: ImageFile, settings: ReadSettings, reading: Reading) -> ReadImage | Failure:
    """Read a file in a child process, for it was in a decoder's hands when an earlier process died."""
    arguments = {"reading": name_of(reading), "file": asdict(file), "settings": asdict(settings)}
    try:
        return _unpacked(call_in_child(read_and_pack, arguments, settings.timeout), file, settings)
    except (ChildDied, TimedOut) as error:
        return failure(file, error)


def read_and_pack(reading: str, file: JsonObject, settings: JsonObject) -> bytes:
    """Run in the child: give what came of a file as a line of JSON and the bytes of its pixels."""
    image_file = ImageFile(**file)
    limits = DecodeLimits(**settings["limits"])
    try:
        image: ReadImage = function_named(reading)(
            image_file, (), ReadSettings(**{**settings, "limits": limits})
        )
    except Exception as error:  # noqa: BLE001 - told to the parent as the file's failure
        refused = failure(image_file, error)
        return json.dumps({"reason": refused.reason, "temporary": refused.temporary}).encode()
    head = {"read_ns": image.entry.read_ns, "key": image.entry.key.hex(), "note": image.note}
    pixels = b"" if image.pixels is None else image.pixels.tobytes()
    return json.dumps(head).encode() + b"\n" + pixels


def _unpacked(packed: bytes, file: ImageFile, settings: ReadSettings) -> ReadImage | Failure:
    line, _, pixels = packed.partition(b"\n")
    head = json.loads(line)
    if "reason" in head:
        return Failure(file.path, head["reason"], file.size, file.mtime_ns, head["temporary"])
    entry = PathEntry(file.path, file.size, file.mtime_ns, head["read_ns"], bytes.fromhex(head["key"]))
    shape = (settings.input_size, settings.input_size, 3)
    return ReadImage(entry, np.frombuffer(pixels, np.uint8).reshape(shape), head["note"])


def failure(file: ImageFile, error: Exception | None) -> Failure:
    """Say in words why a file was not read."""
    if isinstance(error, UnreadableImage):
        reason, temporary = str(error), error.temporary
    elif isinstance(error, TimedOut):
        reason, temporary = str(error), True
    elif isinstance(error, ChildDied):
        reason, temporary = f"{DEADLY} ({error})", False
    else:
        reason, temporary = f"could not be decoded: {type(error).__name__}: {error}", False
    return Failure(file.path, reason, file.size, file.mtime_ns, temporary)
