"""TIFF: its directories, and which of its pictures is the one to look at."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import FailureCode, UnreadableImage

MOST_VALUES = 256
_MOST_DIRECTORIES, _MOST_ENTRIES, _MOST_STRIPS = 4096, 4096, 1 << 24
_FORMS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SIZES = {**{kind: struct.calcsize(f"={form}") for kind, form in _FORMS.items()}, 2: 1, 5: 8, 7: 1, 10: 8}
_SIZES |= {11: 4, 12: 8}
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
# The one bit of the new type that an ordinary picture may have, and a value of the old.
_PAGE, _REDUCED = 2, 2
_SENSOR = frozenset({32803, 34892})  # what a camera's sensor saw, before any picture is made of it
_MASK = 4
_IN_PLANES = 2
_CANON_RAW = b"CR"


class Tag(IntEnum):
    """What an entry of a directory is about."""

    NEW_TYPE = 254
    OLD_TYPE = 255
    WIDTH = 256
    HEIGHT = 257
    BITS = 258
    COMPRESSION = 259
    PHOTOMETRIC = 262
    FILL_ORDER = 266
    STRIPS = 273
    ORIENTATION = 274
    SAMPLES = 277
    ROWS_PER_STRIP = 278
    STRIP_BYTES = 279
    PLANAR = 284
    PREDICTOR = 317
    TILE_WIDTH = 322
    TILE_HEIGHT = 323
    TILES = 324
    TILE_BYTES = 325
    SUB_DIRECTORIES = 330
    EXTRA = 338
    FORMAT = 339
    NO_DATA = 42113


@dataclass(frozen=True)
class Entry:
    """A tag's type, how many values it has, and where these lie in the file."""

    kind: int
    count: int
    at: int

    @property
    def item_size(self) -> int:
        """Bytes of one value."""
        return _SIZES.get(self.kind, 0)


class TiffFile:
    """A TIFF's bytes, read without believing them: struct.error where something lies outside."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.order = "<" if data[:1] == b"I" else ">"
        self.big = 43 in data[2:4]
        self.pointer = "Q" if self.big else "I"

    def unpack(self, form: str, at: int) -> tuple[Any, ...]:
        """Read values at a place."""
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

    def beginning_at(self, at: int, more: bytes = b"") -> bytes:
        """Give the bytes and `more`, with another directory as the first."""
        place = 8 if self.big else 4
        pointer = struct.pack(self.order + self.pointer, at)
        return b"".join([self.data[:place], pointer, self.data[place + len(pointer) :], more])

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
            entries[tag] = Entry(kind, values, lies)
        (following,) = self.unpack(self.pointer, start + count * size)
        return Directory(self, at, entries), following


@dataclass(frozen=True)
class Directory:
    """What a TIFF says about one of its pictures."""

    file: TiffFile
    at: int
    entries: Mapping[int, Entry]

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag, no more than a picture that is read can need; none: nothing."""
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _FORMS:
            return ()
        with contextlib.suppress(struct.error):
            return self.file.unpack(f"{min(entry.count, MOST_VALUES)}{_FORMS[entry.kind]}", entry.at)
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
        return self.number(Tag.WIDTH, 0), self.number(Tag.HEIGHT, 0)

    @property
    def pixels(self) -> int:
        """Width times height."""
        width, height = self.size
        return width * height

    @property
    def channels(self) -> int:
        """Samples of a pixel."""
        return self.number(Tag.SAMPLES, 1)

    @property
    def form(self) -> int:
        """Whether samples are whole numbers without or with a sign, or floats; 0: they differ."""
        forms = set(self.numbers(Tag.FORMAT) or (UNSIGNED,))
        return forms.pop() if len(forms) == 1 else 0

    @property
    def bits(self) -> int:
        """Bits of a sample; 0: they differ."""
        bits = set(self.numbers(Tag.BITS) or (1,))
        return bits.pop() if len(bits) == 1 else 0

    @property
    def is_cut(self) -> bool:
        """Whether what it says lies partly behind the end of the file."""
        ends = (entry.at + entry.item_size * entry.count for entry in self.entries.values())
        return max(ends, default=0) > len(self.file.data)

    @property
    def in_planes(self) -> bool:
        """Whether its channels, two or more, lie one after the other."""
        return self.channels > 1 and self.number(Tag.PLANAR, 1) == _IN_PLANES

    @property
    def no_data(self) -> float | None:
        """The value that stands for nothing here, as geographers write it."""
        entry = self.entries.get(Tag.NO_DATA)
        if entry is None or entry.count > MOST_VALUES:
            return None
        text = self.file.data[entry.at : entry.at + entry.count]
        with contextlib.suppress(ValueError):
            return float(text.split(b"\0")[0].decode("ascii", "replace"))
        return None

    @property
    def is_of_floats(self) -> bool:
        """Whether some samples are floats."""
        return FLOAT in self.numbers(Tag.FORMAT)

    @property
    def is_of_sensor(self) -> bool:
        """Whether it is raw data of a camera."""
        return self.number(Tag.PHOTOMETRIC, 0) in _SENSOR

    @property
    def is_ordinary(self) -> bool:
        """Whether it is a picture of its own: no preview, mask or raw data."""
        marked = self.number(Tag.NEW_TYPE, 0) & ~_PAGE or self.number(Tag.OLD_TYPE, 0) == _REDUCED
        return bool(self.pixels) and not marked and self.number(Tag.PHOTOMETRIC, 0) not in {*_SENSOR, _MASK}


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
    file, seen = TiffFile(data), set[int]()
    with contextlib.suppress(struct.error):
        (start,) = file.unpack(file.pointer, 8 if file.big else 4)
        pages = list(file.chain(start, seen))
        if pages:
            within = [at for page in pages for at in page.numbers(Tag.SUB_DIRECTORIES)]
            return _chosen(file, pages, [sub for at in within for sub in file.chain(at, seen)])
    return TiffPicture(data, None)


def _chosen(file: TiffFile, pages: list[Directory], within: list[Directory]) -> TiffPicture:
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
    data = file.data if chosen is first else file.beginning_at(chosen.at)
    return TiffPicture(data, chosen, sum(page.is_ordinary for page in pages))
