"""Large PNG files band by band, so that their full size never stands in memory."""

from __future__ import annotations

import io
import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.pillow import Image
from imgcluster.images.png import Png, PngHeader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from imgcluster.records import Pixels

_RGB = 2
# A row's filter knows bytes, not colours: any picture with as many bytes per pixel undoes it alike.
_COLOUR_OF_PIXEL_BYTES = {1: 0, 2: 4, 3: 2, 4: 6}


def can_be_banded(header: PngHeader) -> bool:
    """Whether the rows lie in the file one after the other, in pixels that Pillow keeps byte for byte."""
    return not header.interlaced and header.pixel_bytes in _COLOUR_OF_PIXEL_BYTES


def bands(png: Png, rows: int, decode: Callable[[bytes], Pixels]) -> Iterator[Pixels]:
    """Yield the picture as RGB pixels, `rows` rows at a time, the last time what is left.

    `decode` decodes a PNG file whose rows bear no filter; what holds RGB as it is does without.

    Raises
    ------
    UnreadableImage
        When the data are damaged or end early.
    """
    header = png.header
    above = bytes(header.row_bytes - 1)
    blocks = _inflated(png.rows, rows * header.row_bytes)
    for top in range(0, header.height, rows):
        count = min(rows, header.height - top)
        filtered = next(blocks, b"")[: count * header.row_bytes]
        if len(filtered) < count * header.row_bytes:
            raise UnreadableImage("the PNG is cut short", FailureCode.DAMAGED)
        plain = _unfiltered(header, above, filtered, count)
        above = plain[-1].tobytes()
        if (header.colour, header.bits, png.colours) == (_RGB, 8, b""):
            yield plain.reshape(count, header.width, 3)
        else:
            band = np.zeros((count, header.row_bytes), np.uint8)
            band[:, 1:] = plain
            yield decode(Png(replace(header, height=count), png.colours, (_stored(band.tobytes()),)).file())


def _inflated(parts: tuple[bytes, ...], size: int) -> Iterator[bytes]:
    """Yield what the parts unpack to in blocks of `size` bytes; the last may be shorter."""
    unpacker = zlib.decompressobj()
    block = bytearray()
    try:
        for part in parts:
            packed = part
            while unpacked := unpacker.decompress(packed, size - len(block)):
                packed = unpacker.unconsumed_tail
                block += unpacked
                if len(block) == size:
                    yield bytes(block)
                    block.clear()
    except zlib.error as error:
        raise UnreadableImage(f"a damaged PNG file ({error})", FailureCode.DAMAGED) from error
    yield bytes(block)


def _unfiltered(header: PngHeader, above: bytes, filtered: bytes, count: int) -> NDArray[np.uint8]:
    """Undo the filters of `count` rows below a plain one, to (count, bytes per row)."""
    size = header.pixel_bytes
    stand_in = PngHeader(len(above) // size, count + 1, 8, _COLOUR_OF_PIXEL_BYTES[size])
    data = Png(stand_in, b"", (_stored(b"\0" + above + filtered),)).file()
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
            return np.asarray(image).reshape(count + 1, -1)[1:]
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImage("a damaged PNG file (wrong filter)", FailureCode.DAMAGED) from error


def _stored(content: bytes) -> bytes:
    return zlib.compress(content, 0)
