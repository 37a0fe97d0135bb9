"""TIFF: which of its pictures is the one to look at, and pictures of channels that Pillow does not know."""

from __future__ import annotations

import contextlib
import math
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import FailureCode, UnreadableImage, quantity
from imgcluster.images.memory import bytes_of_result, bytes_to_decode
from imgcluster.images.pillow import open_image, reasons
from imgcluster.images.pixels import Box, Raw, Request, damaged, scaled_size, to_rgb

_MOST_DIRECTORIES, _MOST_ENTRIES, _MOST_VALUES = 4096, 4096, 256
_MOST_STRIPS = 1 << 24
_FORMS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SIZES = {**{kind: struct.calcsize(f"={form}") for kind, form in _FORMS.items()}, 2: 1, 5: 8, 7: 1, 10: 8}
_SIZES |= {11: 4, 12: 8}
_NEW_TYPE, _OLD_TYPE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION = 254, 255, 256, 257, 258, 259
_PHOTOMETRIC, _FILL_ORDER, _STRIPS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP = 262, 266, 273, 274, 277, 278
_STRIP_BYTES, _PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = (
    *(279, 284, 317, 322, 323),
    *(324, 325),
)
_SUB_DIRECTORIES, _EXTRA, _FORMAT, _NO_DATA = 330, 338, 339, 42113
_PAGE, _REDUCED = (
    2,
    2,
)  # the one bit of the new type that an ordinary picture may have, and a value of the old
_SENSOR = frozenset({32803, 34892})  # what a camera's sensor saw, before any picture is made of it
_MASK = 4
_RGB, _GREY_OR_RGB = 2, frozenset({0, 1, 2})
_CANON_RAW = b"CR"
_UNSIGNED, _SIGNED, _FLOAT = 1, 2, 3
_IN_PLANES, _DIFFERENCES, _STRAIGHT_ALPHA = 2, 2, 2
# Where bytes come out as they went in, whatever they stand for.
_OF_BYTES = frozenset({1, 5, 8, 32773, 32946, 34925, 50000})
_LAID_OUT_BY = (_HEIGHT, _COMPRESSION, _FILL_ORDER, _ROWS_PER_STRIP, _TILE_HEIGHT, _PREDICTOR)
_OF_PLANES = (_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES)


@dataclass(frozen=True)
class _Entry:
    """A tag's type, how many values it has, and where these lie in the file."""

    kind: int
    count: int
    at: int


class _File:
    """A TIFF's bytes, read without believing them: struct.error where something lies outside."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = "<" if data[:1] == b"I" else ">"
        self.big = 43 in data[2:4]
        self.pointer = "Q" if self.big else "I"

    def unpack(self, form: str, at: int) -> tuple[Any, ...]:
        if at > len(self.data):
            raise struct.error
        return struct.unpack_from(self.order + form, self.data, at)

    def chain(self, at: int, seen: set[int]) -> Iterator[Directory]:
        """Yield the directory at `at` and those that follow it, as far as they make sense."""
        with contextlib.suppress(struct.error):
            while at and at not in seen and len(seen) < _MOST_DIRECTORIES:
                seen.add(at)
                directory, at = self._directory(at)
                yield directory

    def _directory(self, at: int) -> tuple[Directory, int]:
        head, form, size, inline = ("Q", "HHQ", 20, 8) if self.big else ("H", "HHI", 12, 4)
        (count,) = self.unpack(head, at)
        if count > _MOST_ENTRIES:
            raise struct.error
        start = at + struct.calcsize(f"={head}")
        entries = {}
        for place in range(start, start + count * size, size):
            tag, kind, values = self.unpack(form, place)
            lies = place + size - inline
            if _SIZES.get(kind, 0) * values > inline:
                (lies,) = self.unpack(self.pointer, lies)
            entries[tag] = _Entry(kind, values, lies)
        (following,) = self.unpack(self.pointer, start + count * size)
        return Directory(self, at, entries), following


@dataclass(frozen=True)
class Directory:
    """What a TIFF says about one of its pictures."""

    file: _File
    at: int
    entries: Mapping[int, _Entry]

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag, no more than a picture that is read can need; none: nothing."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _FORMS:
            return ()
        with contextlib.suppress(struct.error):
            return self.file.unpack(f"{min(entry.count, _MOST_VALUES)}{_FORMS[entry.kind]}", entry.at)
        return ()

    def all_numbers(self, *tags: int) -> NDArray[np.float64]:
        """Return the numbers of the first of several tags that there is, however many they are."""
        entry = next((self.entries[tag] for tag in tags if tag in self.entries), None)
        if entry is None or entry.kind not in _FORMS:
            return np.empty(0)
        kind = np.dtype(self.file.order + _FORMS[entry.kind])
        data = self.file.data[entry.at : entry.at + min(entry.count, _MOST_STRIPS) * kind.itemsize]
        return np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], kind).astype(np.float64)

    def number(self, tag: int, default: int) -> int:
        """Return the first number of a tag."""
        return next(iter(self.numbers(tag)), default)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height; 0 where it has none."""
        return self.number(_WIDTH, 0), self.number(_HEIGHT, 0)

    @property
    def pixels(self) -> int:
        """Width times height."""
        width, height = self.size
        return width * height

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return self.number(_SAMPLES, 1)

    @property
    def form(self) -> int:
        """Whether samples are whole numbers without or with a sign, or floats; 0: they differ."""
        forms = set(self.numbers(_FORMAT) or (_UNSIGNED,))
        return forms.pop() if len(forms) == 1 else 0

    @property
    def bits(self) -> int:
        """Bits of a sample; 0: they differ."""
        bits = set(self.numbers(_BITS) or (1,))
        return bits.pop() if len(bits) == 1 else 0

    @property
    def in_planes(self) -> bool:
        """Whether its channels, two or more, lie one after the other."""
        return self.channels > 1 and self.number(_PLANAR, 1) == _IN_PLANES

    @property
    def no_data(self) -> float | None:
        """The value that stands for nothing here, as geographers write it."""
        entry = self.entries.get(_NO_DATA)
        if entry is None or entry.count > _MOST_VALUES:
            return None
        text = self.file.data[entry.at : entry.at + entry.count]
        with contextlib.suppress(ValueError):
            return float(text.split(b"\0")[0].decode("ascii", "replace"))
        return None

    @property
    def is_of_floats(self) -> bool:
        """Whether some samples are floats."""
        return _FLOAT in self.numbers(_FORMAT)

    @property
    def is_of_sensor(self) -> bool:
        """Whether it is raw data of a camera."""
        return self.number(_PHOTOMETRIC, 0) in _SENSOR

    @property
    def is_ordinary(self) -> bool:
        """Whether it is a picture of its own: no preview, mask or raw data."""
        marked = self.number(_NEW_TYPE, 0) & ~_PAGE or self.number(_OLD_TYPE, 0) == _REDUCED
        return bool(self.pixels) and not marked and self.number(_PHOTOMETRIC, 0) not in {*_SENSOR, _MASK}


@dataclass(frozen=True)
class TiffPicture:
    """The picture to look at: `data` is a TIFF that begins with it, `directory` tells of it where it can.

    `pages` is how many ordinary pictures the file has one after the other.
    """

    data: bytes
    directory: Directory | None
    pages: int = 1


def find_picture(data: bytes) -> TiffPicture:
    """Choose the first page of a TIFF; in place of one that is marked as reduced, the largest ordinary one.

    Raises
    ------
    UnreadableImage
        Where the picture itself is raw data of a camera, or there is nothing but previews.
    """
    file, seen = _File(data), set[int]()
    with contextlib.suppress(struct.error):
        (start,) = file.unpack(file.pointer, 8 if file.big else 4)
        pages = list(file.chain(start, seen))
        if pages:
            within = [at for page in pages for at in page.numbers(_SUB_DIRECTORIES)]
            return _chosen(file, pages, [sub for at in within for sub in file.chain(at, seen)])
    return TiffPicture(data, None)


def _chosen(file: _File, pages: list[Directory], within: list[Directory]) -> TiffPicture:
    everything, first = [*pages, *within], pages[0]
    chosen: Directory | None = first
    if not first.is_ordinary:
        ordinary = (directory for directory in everything if directory.is_ordinary)
        chosen = max(ordinary, key=lambda directory: directory.pixels, default=None)
    if chosen is None and not first.pixels:
        return TiffPicture(file.data, None)
    sensor = max((directory.pixels for directory in everything if directory.is_of_sensor), default=0)
    if chosen is None or sensor > chosen.pixels or file.data[8:10] == _CANON_RAW:
        raise UnreadableImage(
            "a camera's raw file, in which all other pictures are previews: convert it",
            FailureCode.UNSUPPORTED,
        )
    data = file.data if chosen is first else _beginning_at(file, chosen.at)
    return TiffPicture(data, chosen, sum(page.is_ordinary for page in pages))


def _beginning_at(file: _File, at: int, more: bytes = b"") -> bytes:
    """Give a TIFF's bytes and `more`, with another directory as the first."""
    place = 8 if file.big else 4
    pointer = struct.pack(file.order + file.pointer, at)
    return b"".join([file.data[:place], pointer, file.data[place + len(pointer) :], more])


def is_for_channels(directory: Directory) -> bool:
    """Whether `decode_channels` reads what Pillow would take for something else."""
    if directory.in_planes and directory.bits != 8:
        return True
    grey = directory.number(_PHOTOMETRIC, 0) != _RGB and directory.number(_PHOTOMETRIC, 0) in _GREY_OR_RGB
    return grey and directory.channels > 2 and (directory.bits, directory.form) in _STAND_INS


def decode_channels(directory: Directory, request: Request) -> Raw:
    """Decode the first three of many channels, or the first of two, by having Pillow see one that is grey.

    Raises
    ------
    UnreadableImage
        For channels that are not read, saying how many of which kind there are.
    """
    width, height = directory.size
    channels, bits, form = directory.channels, directory.bits, directory.form
    predictor = directory.number(_PREDICTOR, 1)
    readable = (
        directory.number(_COMPRESSION, 1) in _OF_BYTES
        and directory.number(_PHOTOMETRIC, 0) in _GREY_OR_RGB
        and (bits, form) in _STAND_INS
        and 1 < channels <= _MOST_VALUES
        and (directory.in_planes or predictor == 1 or (predictor == _DIFFERENCES and form != _FLOAT))
    )
    if not readable:
        raise _not_read(directory)
    request.check_size(width, height)
    straight = directory.number(_PHOTOMETRIC, 0) == _RGB and directory.number(_EXTRA, 0) == _STRAIGHT_ALPHA
    count = 1 if channels == 2 else 4 if straight and channels > 3 else 3
    wide = 1 if directory.in_planes else channels
    planes = range(count) if directory.in_planes else [0]
    _check_whole(directory)
    scale = request.scale(width, height)
    mode = _STAND_INS[bits, form][1]
    needed = bytes_to_decode("TIFF", mode, (wide * width, height), 0) + len(directory.file.data)
    kept = bytes_of_result(math.prod(scaled_size(width, height, scale)))
    with request.budget.taking(len(planes) * needed + kept), reasons("TIFF"):
        bands = [_samples(directory, plane) for plane in planes]
        pixels = to_rgb((width, height), scale, _part(bands, count), directory.no_data)
    if directory.number(_PHOTOMETRIC, 1) == 0:
        np.subtract(255, pixels, out=pixels)
    return Raw(pixels, width, height, directory.number(_ORIENTATION, 1))


# What stands in for samples of so many bits and such a form, and Pillow's mode for it.
_STAND_INS = {
    (8, _UNSIGNED): (_UNSIGNED, "L"),
    (16, _UNSIGNED): (_UNSIGNED, "I;16"),
    (16, _SIGNED): (_UNSIGNED, "I;16"),
    (32, _UNSIGNED): (_SIGNED, "I"),
    (32, _SIGNED): (_SIGNED, "I"),
    (32, _FLOAT): (_FLOAT, "F"),
}
_KINDS = {_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f"}


def _not_read(directory: Directory) -> UnreadableImage:
    of = f" of {directory.bits} bits" if directory.bits else ""
    apart = ", one after the other" if directory.in_planes else ""
    return UnreadableImage(
        f"a TIFF of {quantity(directory.channels, 'channel')}{of}{apart}, which is not read",
        FailureCode.UNSUPPORTED,
    )


def _check_whole(directory: Directory) -> None:
    """Raise UnreadableImage where samples are missing: whatever lies behind the file's end is none."""
    places, lengths = (
        directory.all_numbers(tag, other) for tag, other in ((_STRIPS, _TILES), (_STRIP_BYTES, _TILE_BYTES))
    )
    samples = directory.pixels * directory.channels * directory.bits // 8
    uncompressed = directory.number(_COMPRESSION, 1) == 1
    if (
        len(places) != len(lengths)
        or not len(places)
        or (places + lengths).max() > len(directory.file.data)
        or (uncompressed and lengths.sum() < samples)
    ):
        raise damaged("the TIFF file is cut short")


def _part(bands: list[NDArray[Any]], count: int) -> Callable[[Box], NDArray[Any]]:
    def part(box: Box) -> NDArray[Any]:
        left, top, right, bottom = box
        pieces = [band[top:bottom, left:right] for band in bands]
        piece = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=2)
        return piece[..., 0] if count == 1 else np.ascontiguousarray(piece[..., :count])

    return part


def _samples(directory: Directory, plane: int) -> NDArray[Any]:
    """Decode all channels, or those of one plane: (H, W, channels)."""
    width, height = directory.size
    with open_image(_stand_in(directory, plane), "TIFF") as image:
        image.load()
        decoded = np.array(image)
    if decoded.dtype.byteorder == ">":
        decoded = decoded.astype(decoded.dtype.newbyteorder("="))
    samples = decoded.view(f"{_KINDS[directory.form]}{directory.bits // 8}").reshape(height, width, -1)
    if not directory.in_planes and directory.number(_PREDICTOR, 1) == _DIFFERENCES:
        across = directory.number(_TILE_WIDTH, width)
        for left in range(0, width, max(across, 1)):
            tile = samples[:, left : left + across]
            np.add.accumulate(tile, axis=1, dtype=tile.dtype, out=tile)
    return samples.clip(0).view(np.uint16) if samples.dtype == np.int16 else samples


def _stand_in(directory: Directory, plane: int) -> bytes:
    """Give a TIFF whose first picture is grey: all channels side by side, or those of one plane."""
    file, entries = directory.file, directory.entries
    form = _STAND_INS[directory.bits, directory.form][0]
    wide = 1 if directory.in_planes else directory.channels
    numbers = {_WIDTH: wide * directory.size[0], _BITS: directory.bits, _PHOTOMETRIC: 1, _FORMAT: form}
    if _TILE_WIDTH in entries:
        numbers[_TILE_WIDTH] = wide * directory.number(_TILE_WIDTH, 0)
    kept = {tag: entries[tag] for tag in _LAID_OUT_BY if tag in entries}
    if not directory.in_planes:
        kept.pop(_PREDICTOR, None)
    for tag in _OF_PLANES:
        if tag in entries:
            entry = entries[tag]
            count = entry.count // directory.channels if directory.in_planes else entry.count
            kept[tag] = _Entry(entry.kind, count, entry.at + plane * count * _SIZES.get(entry.kind, 0))
    value, form_of_entry, count_form = (8, "HHQ8s", "Q") if file.big else (4, "HHI4s", "H")
    rows = []
    for tag in sorted({*numbers, *kept}):
        if tag in numbers:
            rows.append((tag, 4, 1, struct.pack(f"{file.order}I", numbers[tag])))
            continue
        entry = kept[tag]
        size = _SIZES.get(entry.kind, 0) * entry.count
        inline = file.data[entry.at : entry.at + size]
        where = inline if size <= value else struct.pack(file.order + file.pointer, entry.at)
        rows.append((tag, entry.kind, entry.count, where))
    packed = b"".join(struct.pack(file.order + form_of_entry, *row) for row in rows)
    count_of_rows = struct.pack(file.order + count_form, len(rows))
    at = len(file.data) + len(file.data) % 2
    return _beginning_at(file, at, b"".join([bytes(at - len(file.data)), count_of_rows, packed, bytes(8)]))
