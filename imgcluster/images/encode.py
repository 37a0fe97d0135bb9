"""Pixels to files."""

from __future__ import annotations

import zlib

from imgcluster.errors import ImgclusterError
from imgcluster.images.opencv import cv2
from imgcluster.images.resize import to_fit
from imgcluster.records import Pixels

_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
_HEADER_OF_PNG = 33
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})


def encode_image(pixels: Pixels, suffix: str, *, quality: int = 90, remark: str = "") -> bytes:
    """Encode (H, W, 3) RGB pixels as a file of the type that `suffix` names: ``.jpg``, ``.jpeg`` or ``.png``.

    Parameters
    ----------
    quality
        That of JPEG, 0 to 100.
    remark
        A few words that the file carries, in ASCII; other programs show them as its comment.

    Raises
    ------
    ImgclusterError
        For a suffix that is not written, or sides that the type cannot have.
    """
    if suffix.lower() not in _SUFFIXES:
        raise ImgclusterError(f"images cannot be written as {suffix!r}; use .jpg or .png")
    try:
        done, data = cv2.imencode(
            suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
    except cv2.error:
        done = False
    if not done:
        raise ImgclusterError(f"an image of {pixels.shape[1]} x {pixels.shape[0]} does not fit into {suffix}")
    return _with_remark(bytes(data), remark.encode("ascii")) if remark else bytes(data)


def thumbnail_jpeg(pixels: Pixels, long_side: int = 160, remark: str = "") -> bytes:
    """Encode (H, W, 3) pixels as a JPEG file whose longer side has at most `long_side` pixels."""
    return encode_image(to_fit(pixels, long_side), ".jpg", quality=80, remark=remark)


def _with_remark(data: bytes, remark: bytes) -> bytes:
    if data.startswith(_PNG):
        chunk = b"tEXtComment\0" + remark
        checksum = zlib.crc32(chunk).to_bytes(4, "big")
        chunk = (len(chunk) - 4).to_bytes(4, "big") + chunk + checksum
        return data[:_HEADER_OF_PNG] + chunk + data[_HEADER_OF_PNG:]
    # The application's segment, which says that it is a JPEG file, has to stay the first.
    start = len(_JPEG) + 2 + int.from_bytes(data[4:6], "big")
    return data[:start] + b"\xff\xfe" + (len(remark) + 2).to_bytes(2, "big") + remark + data[start:]
