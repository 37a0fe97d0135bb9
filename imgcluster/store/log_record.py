"""One commit as it lies in a log: pages with their numbers, and a checksum over all of it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

PAGE = 4096
_MAGIC = b"pagelog1"
# magic, sequence, pages, size of the file after the commit; then the crc32 of these and of all that follows
_HEADER = struct.Struct("<8sQQQ")
_CRC = struct.Struct("<I")
_NUMBER = struct.Struct("<Q")


@dataclass(frozen=True)
class Record:
    """The pages of one commit that were not written past the end, and the file's size after it."""

    sequence: int
    size: int
    pages: dict[int, bytes] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the record as it lies in a log."""
        parts = [_HEADER.pack(_MAGIC, self.sequence, len(self.pages), self.size)]
        for number, page in self.pages.items():
            parts += (_NUMBER.pack(number), page)
        body = b"".join(parts)
        return _CRC.pack(zlib.crc32(body)) + body

    @staticmethod
    def decode(data: bytes) -> Record | None:
        """Read the record at the start of a log, or None where it is empty or torn."""
        start = _CRC.size + _HEADER.size
        if len(data) < start:
            return None
        magic, sequence, count, size = _HEADER.unpack_from(data, _CRC.size)
        step = _NUMBER.size + PAGE
        end = start + count * step
        if (
            magic != _MAGIC
            or end > len(data)
            or _CRC.unpack_from(data)[0] != zlib.crc32(data[_CRC.size : end])
        ):
            return None
        pages = {
            _NUMBER.unpack_from(data, at)[0]: data[at + _NUMBER.size : at + step]
            for at in range(start, end, step)
        }
        return Record(sequence, size, pages)
