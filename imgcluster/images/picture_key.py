"""The second key of a file: a digest of all that makes its picture, known again with other remarks in it."""

from __future__ import annotations

import hashlib

from imgcluster.errors import UnreadableImage
from imgcluster.images.jpeg import picture_parts as parts_of_jpeg
from imgcluster.images.png import picture_parts as parts_of_png

_PARTS = ((b"\xff\xd8\xff", parts_of_jpeg), (b"\x89PNG\r\n\x1a\n", parts_of_png))


def picture_key(data: bytes) -> bytes:
    """Return 32 bytes that two files share only where they decode to the same pixels; none in any doubt.

    Only JPEG and PNG have one. What is left out: comments and metadata, but for what is stated of the
    orientation and the colours.
    """
    parts = next((parts for start, parts in _PARTS if data.startswith(start)), None)
    if parts is None:
        return b""
    digest = hashlib.sha256(b"imgcluster picture 1\0")
    try:
        for part in parts(data):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    except UnreadableImage:
        return b""
    return digest.digest()
