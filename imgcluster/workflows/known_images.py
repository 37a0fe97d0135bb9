"""Images that are known, seen again: the file of a key is read and decoded, wherever it may lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from imgcluster.engines.protocol import Call, Engine, Item, Outcome, Result, in_order
from imgcluster.engines.table import find_engine
from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.file_bytes import content_key, read_file
from imgcluster.images.memory import DecodeLimits, room_for
from imgcluster.records import Pixels

KNOWN_LIMITS = DecodeLimits(accept_truncated=True)
"""What `extract` takes by itself, and what it was told to fill in; pixels are counted as it counts them."""

_READING_SECONDS = 60.0
"""How long one file may take to be read and decoded again."""


def with_each(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    engine: str | Engine = "local",
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome[Item, Result]]:
    """Do what reads a file again with each of them; yield the outcomes in their order."""
    return in_order(find_engine(engine), Call(function), items, timeout=_READING_SECONDS, stopping=stopping)


def decode_known(key: bytes, paths: Sequence[str], at_least: int) -> Pixels:
    """Decode an image, (H, W, 3) uint8 RGB, from the first of `paths` that still holds the bytes of `key`.

    Parameters
    ----------
    at_least
        How many pixels the shorter side needs; a larger picture may come at a reduced scale.

    UnreadableImage where none does, with the reason that the first path gave.
    """
    from imgcluster.images.decode import decode

    return make_of_known(key, paths, lambda data: decode(data, KNOWN_LIMITS, at_least=at_least).pixels)


def make_of_known(key: bytes, paths: Sequence[str], make: Callable[[bytes], Result]) -> Result:
    """Make something of the bytes of `key`, when there is memory for them; raises as `decode_known` does."""
    sizes = [status.st_size for status in map(status_of, paths) if status]
    with room_for(paths[0] if paths else "", max(sizes, default=0)):
        return make(read_known(key, paths))


def read_known(key: bytes, paths: Sequence[str]) -> bytes:
    """Read the bytes of `key` from the first of `paths` that holds them; raises as `decode_known` does."""
    refusals = []
    for path in dict.fromkeys(paths):
        try:
            data = read_file(path)
        except UnreadableImage as refusal:
            refusals.append(refusal)
            continue
        if content_key(data) == key:
            return data
        refusals.append(UnreadableImage("changed since it was extracted", FailureCode.CHANGED))
    raise refusals[0] if refusals else UnreadableImage("no file with it is known", FailureCode.VANISHED)


def status_of(path: str) -> os.stat_result | None:
    """Return a file's status, links followed; None where there is none."""
    try:
        return os.stat(path)
    except OSError:
        return None


def permissions(*paths: str) -> int:
    """Return the permissions that all of these files have; of one that is gone, those of its owner."""
    mode = 0o666
    for status in map(status_of, paths):
        mode &= status.st_mode if status else 0o600
    return mode
