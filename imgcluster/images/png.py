"""The structure of a PNG file: its chunks, checked, and reduced to those that make the picture."""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.orientation import orientation_of

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Deflate cannot press more than this into one byte, so a header that promises more is a lie.
_BEST_COMPRESSION = 1032
_METADATA_LIMIT = 1 << 20
_XMP_KEYWORD = b"XML:com.adobe.xmp\0"
_GREY, _RGB = 0, 2
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_HEX_PROFILE = re.compile(rb"Raw profile type (?:exif|APP1)\0")


@dataclass(frozen=True)
class PngHeader:
    """What the first chunk states, and the orientation from the metadata."""

    width: int
    height: int
    bits: int
    colour: int
    interlaced: bool = False
    orientation: int = 1

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel, at least 1."""
        return max(1, self.bits * _SAMPLES.get(self.colour, 1) // 8)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row before compression, with the filter's byte."""
        return 1 + (self.width * self.bits * _SAMPLES.get(self.colour, 1) + 7) // 8


@dataclass(frozen=True)
class Png:
    """A PNG taken apart: the header, the chunks that colours need, and the compressed rows."""

    header: PngHeader
    colours: bytes
    rows: tuple[bytes, ...]

    def file(self) -> bytes:
        """Put together a PNG with the default image alone: no animation, no text, no profile."""
        header = self.header
        ihdr = struct.pack(
            ">IIBBBBB", header.width, header.height, header.bits, header.colour, 0, 0, header.interlaced
        )
        data = [chunk(b"IDAT", part) for part in self.rows]
        return b"".join([SIGNATURE, chunk(b"IHDR", ihdr), self.colours, *data, chunk(b"IEND", b"")])


def chunk(name: bytes, content: bytes) -> bytes:
    """Write one chunk."""
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
    )


def read_png(data: bytes) -> Png:
    """Take a PNG apart.

    Animated PNGs keep their default image alone, text and profiles are dropped: what is not needed cannot do
    harm (a text chunk that unpacks to gigabytes, a wrong checksum in a comment).

    Raises
    ------
    UnreadableImage
        For a file that is cut, whose checksums are wrong, or whose header states more than the data can hold.
    """
    header: bytes | None = None
    colours: list[bytes] = []
    rows: list[bytes] = []
    metadata = _Metadata()
    cut = False
    position = len(SIGNATURE)
    while position + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        end = position + 12 + length
        if end > len(data):
            cut = name == b"IDAT"
            break
        if name in {b"IHDR", b"PLTE", b"IDAT"}:
            _check(name, content, data[end - 4 : end])
        if name == b"IHDR":
            header = header or content
        elif name == b"IDAT":
            rows.append(content)
        elif name in {b"PLTE", b"tRNS"}:
            colours.append(chunk(name, content if name == b"PLTE" else _transparency(header, content)))
        elif name == b"IEND":
            break
        else:
            metadata.add(name, content)
        position = end
    if cut:
        raise UnreadableImage("the PNG is cut short", FailureCode.DAMAGED)
    if header is None or len(header) != 13:
        raise UnreadableImage("a damaged PNG: its header is missing or cut short", FailureCode.DAMAGED)
    png = Png(_header(header, metadata.orientation), b"".join(colours), tuple(rows))
    _check_plausible(png)
    return png


def _check(name: bytes, content: bytes, stated: bytes) -> None:
    if zlib.crc32(content, zlib.crc32(name)) != int.from_bytes(stated, "big"):
        raise UnreadableImage(
            f"a damaged PNG: wrong checksum in its {name.decode()} data", FailureCode.DAMAGED
        )


def _header(content: bytes, orientation: int) -> PngHeader:
    width, height, bits, colour, _, _, interlaced = struct.unpack(">IIBBBBB", content)
    if not width or not height:
        raise UnreadableImage("a damaged PNG: its header states an empty picture", FailureCode.DAMAGED)
    return PngHeader(width, height, bits, colour, bool(interlaced), orientation)


def _transparency(header: bytes | None, content: bytes) -> bytes:
    """Return the colour that stands for nothing as Pillow compares it: to samples brought to 8 bits.

    Of 16 bits of colour it sees the upper half alone, so that hardly different colours vanish as well.
    """
    bits, colour = header[8:10] if header and len(header) == 13 else (8, _GREY)
    if colour == _GREY and 0 < bits < 8:
        levels = (1 << bits) - 1
        return struct.pack(">H", (int.from_bytes(content[:2], "big") & levels) * 255 // levels)
    if colour == _RGB and bits == 16 and len(content) == 6:
        return struct.pack(">HHH", *content[:6:2])
    return content


def _check_plausible(png: Png) -> None:
    stored = sum(map(len, png.rows))
    if not stored:
        raise UnreadableImage("a PNG without image data", FailureCode.DAMAGED)
    if png.header.height * png.header.row_bytes > stored * _BEST_COMPRESSION:
        raise UnreadableImage(
            f"a PNG that claims {png.header.width} x {png.header.height} pixels but holds far fewer",
            FailureCode.DAMAGED,
        )


class _Metadata:
    """Gathers the orientation from the chunks that may state it."""

    def __init__(self) -> None:
        self._exif: bytes | None = None
        self._xmp: bytes | None = None

    @property
    def orientation(self) -> int:
        return orientation_of(self._exif, self._xmp)

    def add(self, name: bytes, content: bytes) -> None:
        if name == b"eXIf":
            self._exif = content
        elif name == b"iTXt" and content.startswith(_XMP_KEYWORD):
            self._xmp = _international_text(content[len(_XMP_KEYWORD) :])
        elif name in {b"tEXt", b"zTXt"} and self._exif is None and (match := _HEX_PROFILE.match(content)):
            text = content[match.end() :]
            self._exif = _from_hex(_inflate(text[1:]) if name == b"zTXt" else text)


def _international_text(content: bytes) -> bytes:
    """Return the text of an iTXt chunk after its keyword: flag, method, language, translation, text."""
    parts = content[2:].split(b"\0", 2)
    if len(parts) < 3:
        return b""
    return _inflate(parts[2]) if content[:1] == b"\1" else parts[2]


def _inflate(content: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(content, _METADATA_LIMIT)
    except zlib.error:
        return b""


def _from_hex(text: bytes) -> bytes:
    """Read the profile that ImageMagick writes as text: a name, a length, and hexadecimal digits."""
    parts = text.split(maxsplit=2)
    try:
        return bytes.fromhex(b"".join(parts[2].split()).decode("ascii"))
    except (IndexError, ValueError):
        return b""
