"""PNG: its chunks, checked, and reduced to those that make the picture; large ones band by band."""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import UnreadableImage
from imgcluster.images.memory import bytes_of_result
from imgcluster.images.pillow import decode_with_pillow, image_to_rgb, open_image, reasons, stated_orientation
from imgcluster.images.pixels import WHOLE, Decoded, Request, damaged, rows_of_block, scaled_size, shrunk
from imgcluster.records import Pixels

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Deflate cannot press more than this into one byte, so a header that promises more is a lie.
_BEST_COMPRESSION = 1032
# A photograph of 2 GiB in pieces of 8 KiB has a quarter of that; a chunk takes 12 bytes, and in Python 150.
_MOST_CHUNKS, _MOST_METADATA = 1 << 20, 1 << 20
_GREY, _RGB = 0, 2
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# A row's filter knows bytes, not colours: any picture with as many bytes per pixel undoes it alike.
_COLOUR_OF_PIXEL_BYTES = {1: 0, 2: 4, 3: 2, 4: 6}
# A band as it is unpacked, as a file, in Pillow, as an array, and all of it again for its colours.
_COPIES_OF_BAND = 10
_REMARKS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf"})
_ORIENTATION_CHUNK = re.compile(
    rb"eXIf|iTXtXML:com\.adobe\.xmp\0|(?:tEXt|zTXt)Raw profile type (?:exif|APP1)\0"
)


@dataclass(frozen=True)
class _Png:
    """A PNG taken apart: what its header states, chunks for colours and orientation, compressed rows."""

    width: int
    height: int
    bits: int
    colour: int
    interlaced: bool = False
    colours: bytes = b""
    metadata: bytes = b""
    rows: tuple[bytes, ...] = ()

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel, at least 1."""
        return max(1, self.bits * _SAMPLES.get(self.colour, 1) // 8)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row before compression, with the filter's byte."""
        return 1 + (self.width * self.bits * _SAMPLES.get(self.colour, 1) + 7) // 8

    def file(self, rows: bytes | None = None) -> bytes:
        """Put together a PNG without animation, text and profiles, at wish of other rows, uncompressed."""
        header = self.width, self.height, self.bits, self.colour, 0, 0, self.interlaced
        packed = self.rows if rows is None else (zlib.compress(rows, 0),)
        data = (_chunk(b"IDAT", part) for part in packed)
        ihdr = _chunk(b"IHDR", struct.pack(">IIBBBBB", *header))
        return b"".join([_SIGNATURE, ihdr, self.colours, *data, _chunk(b"IEND", b"")])


def decode_png(data: bytes, kind: str, request: Request) -> Decoded:
    """Decode the default image of a PNG to RGB over white, not yet turned.

    Animation, text and profiles are dropped: what is not needed cannot do harm (a text chunk that unpacks to
    gigabytes, a wrong checksum in a comment).

    Raises
    ------
    UnreadableImage
        For a file that is cut, whose checksums are wrong, or whose header states more than the data can hold.
    """
    png = _taken_apart(data)
    width, height = png.width, png.height
    request.check_size(width, height)
    scale = request.scale(width, height)
    if scale == WHOLE or png.interlaced or png.pixel_bytes not in _COLOUR_OF_PIXEL_BYTES:
        pixels = decode_with_pillow(png.file(), kind, request).pixels
    else:
        rows = rows_of_block(width, scale[0])
        kept = math.prod(scaled_size(width, height, scale))
        needed = _COPIES_OF_BAND * min(rows, height) * png.row_bytes + bytes_of_result(kept)
        with request.budget.taking(needed), reasons(kind):
            pixels = np.concatenate([shrunk(band, scale) for band in _bands(png, rows)])
    return Decoded(pixels, width, height, _orientation(png.metadata))


def _taken_apart(data: bytes) -> _Png:
    chunks = list(islice(_chunks(data), _MOST_CHUNKS + 1))
    if len(chunks) > _MOST_CHUNKS:
        raise damaged(f"a damaged PNG: more than {_MOST_CHUNKS:,} chunks")
    header = next((content for name, content in chunks if name == b"IHDR"), b"")
    if len(header) != 13:
        raise damaged("a damaged PNG: its header is missing or cut short")
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    png = _Png(width, height, bits, colour, bool(interlaced))
    rows = tuple(content for name, content in chunks if name == b"IDAT")
    stored = sum(map(len, rows))
    if not width or not height or not stored:
        raise damaged("a damaged PNG: without image data, or its header states an empty picture")
    if height * png.row_bytes > stored * _BEST_COMPRESSION:
        raise damaged(f"a PNG that claims {width} x {height} pixels but holds far fewer")
    colours, metadata = b"", b""
    for name, content in chunks:
        if len(colours) + len(metadata) > _MOST_METADATA:
            continue
        if name in {b"PLTE", b"tRNS"}:
            colours += _chunk(name, content if name == b"PLTE" else _transparency(png, content))
        else:
            metadata += _orientation_chunk(name, content)
    return replace(png, colours=colours, metadata=metadata, rows=rows)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of each chunk but the last; checksums count for those of the picture."""
    position = len(_SIGNATURE)
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        position += 12 + length
        if position > len(data) and name == b"IDAT":
            raise damaged("the PNG is cut short")
        if position > len(data) or name == b"IEND":
            return
        if name in {b"IHDR", b"PLTE", b"IDAT"} and _checksum(name, content) != data[position - 4 : position]:
            raise damaged(f"a damaged PNG: wrong checksum in its {name.decode()} data")
        yield name, content


def picture_parts(data: bytes) -> Iterator[bytes | memoryview]:
    """Yield all of a PNG that makes its pixels; UnreadableImage where that is not beyond doubt."""
    position, name, metadata = len(_SIGNATURE), b"", b""
    while name != b"IEND":
        name = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if len(name) < 4 or end > len(data):
            raise damaged("a PNG without an end")
        if name not in _REMARKS:
            yield memoryview(data)[position:end]
        elif len(metadata) <= _MOST_METADATA:
            metadata += _orientation_chunk(name, data[position + 8 : end - 4])
        position = end
    yield memoryview(data)[position:]
    yield b"PNG %d" % _orientation(metadata)


def _checksum(name: bytes, content: bytes) -> bytes:
    return zlib.crc32(content, zlib.crc32(name)).to_bytes(4, "big")


def _chunk(name: bytes, content: bytes) -> bytes:
    return b"".join([len(content).to_bytes(4, "big"), name, content, _checksum(name, content)])


def _transparency(png: _Png, content: bytes) -> bytes:
    """Return the colour that stands for nothing as Pillow compares it: to samples brought to 8 bits.

    Of 16 bits of colour it sees the upper half alone, so that hardly different colours vanish as well.
    """
    if png.colour == _GREY and 0 < png.bits < 8:
        levels = (1 << png.bits) - 1
        return struct.pack(">H", (int.from_bytes(content[:2], "big") & levels) * 255 // levels)
    if (png.colour, png.bits, len(content)) == (_RGB, 16, 6):
        return struct.pack(">HHH", *content[:6:2])
    return content


def _orientation_chunk(name: bytes, content: bytes) -> bytes:
    """Give a chunk as Pillow reads it where it may state the orientation, nothing for any other."""
    if not _ORIENTATION_CHUNK.match(name + content[:40]):
        return b""
    return _chunk(name, content.replace(b"type APP1\0", b"type exif\0", 1))


def _orientation(metadata: bytes) -> int:
    """Let Pillow read the orientation from a picture of one pixel that bears the metadata."""
    if not metadata:
        return 1
    file = _Png(1, 1, 8, _GREY, colours=metadata).file(bytes(2))
    try:
        with open_image(file, "PNG") as image:
            return stated_orientation(image)
    except UnreadableImage:  # a comment that unpacks to gigabytes is no reason to refuse the picture
        return 1


def _bands(png: _Png, rows: int) -> Iterator[Pixels]:
    """Yield the picture as RGB pixels, `rows` rows at a time, the last time what is left."""
    above = bytes(png.row_bytes - 1)
    blocks = _inflated(png.rows, rows * png.row_bytes)
    for top in range(0, png.height, rows):
        count = min(rows, png.height - top)
        filtered = next(blocks, b"")[: count * png.row_bytes]
        if len(filtered) < count * png.row_bytes:
            raise damaged("the PNG is cut short")
        plain = _unfiltered(png, above, filtered, count)
        above = plain[-1].tobytes()
        if (png.colour, png.bits, png.colours) == (_RGB, 8, b""):
            yield plain.reshape(count, png.width, 3)
            continue
        band = np.zeros((count, png.row_bytes), np.uint8)  # no row bears a filter any more
        band[:, 1:] = plain
        with open_image(replace(png, height=count).file(band.tobytes()), "PNG") as image:
            image.load()
            yield image_to_rgb(image, WHOLE)


def _inflated(parts: tuple[bytes, ...], size: int) -> Iterator[bytes]:
    """Yield what the parts unpack to in blocks of `size` bytes; the last may be shorter."""
    unpacker = zlib.decompressobj()
    block = bytearray()
    for part in parts:
        packed = part
        while unpacked := unpacker.decompress(packed, size - len(block)):
            packed = unpacker.unconsumed_tail
            block += unpacked
            if len(block) == size:
                yield bytes(block)
                block.clear()
    yield bytes(block)


def _unfiltered(png: _Png, above: bytes, filtered: bytes, count: int) -> NDArray[np.uint8]:
    """Undo the filters of `count` rows below a plain one, to (count, bytes per row)."""
    size = png.pixel_bytes
    stand_in = _Png(len(above) // size, count + 1, 8, _COLOUR_OF_PIXEL_BYTES[size])
    with open_image(stand_in.file(b"\0" + above + filtered), "PNG") as image:
        return np.asarray(image).reshape(count + 1, -1)[1:]
