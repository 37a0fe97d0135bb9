"""From a file's bytes to upright RGB pixels, or a reason why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.decoding import Raw, check_size
from imgcluster.images.header import image_type
from imgcluster.images.jpeg import read_jpeg_header, shorter_side_scale, with_end
from imgcluster.images.opencv_decoder import decode_anything, decode_colour, decode_unchanged
from imgcluster.images.orientation import swaps_sides, upright
from imgcluster.images.pillow_decoder import (
    NotOpened,
    decode_with_pillow,
    large_scale,
    rows_of_strip,
    shrunk,
)
from imgcluster.images.png import read_png
from imgcluster.images.png_bands import bands, can_be_banded
from imgcluster.images.tiff import read_tiff_header

if TYPE_CHECKING:
    from imgcluster.records import Pixels

MAX_PIXELS = 500_000_000
"""Lets panoramas and large scans through (22,000 x 22,000), and no decompression bomb."""

TRUNCATED = "cut short: the missing part is filled in"


@dataclass(frozen=True)
class DecodeLimits:
    """What is still decoded.

    Attributes
    ----------
    max_pixels
        Width times height, by the header.
    accept_truncated
        Take a JPEG whose end is missing, and say so in its note.
    """

    max_pixels: int = MAX_PIXELS
    accept_truncated: bool = False


@dataclass(frozen=True)
class Decoded:
    """An image ready to be looked at.

    Attributes
    ----------
    pixels
        (H, W, 3) uint8 RGB, upright, alpha laid over white; at a reduced scale where that was allowed.
    width, height
        The full size, upright.
    note
        Empty, or what the user should know about this file.
    kind
        The type by content, as in `header.EXTENSIONS`.
    """

    pixels: Pixels
    width: int
    height: int
    note: str = ""
    kind: str = ""


# The decoder reads a few bytes ahead.
_PADDING = bytes(16)

_DEFAULT_LIMITS = DecodeLimits()


def decode(data: bytes, limits: DecodeLimits = _DEFAULT_LIMITS, *, at_least: int | None = None) -> Decoded:
    """Decode the first picture in a file's bytes, whatever its name says.

    Parameters
    ----------
    data
        The whole file.
    limits
        How large, and whether incomplete.
    at_least
        Allows a reduced scale whose shorter side has at least so many pixels; much faster for large JPEGs.

    Raises
    ------
    UnreadableImage
        With a reason that a person understands: no image, damaged, cut short, too large.
    """
    kind = image_type(data)
    try:
        raw = _DECODERS.get(kind, _decode_other)(data, kind, limits, at_least)
    except MemoryError as error:
        raise UnreadableImage("not enough memory to decode it", FailureCode.OUT_OF_MEMORY) from error
    width, height = raw.width, raw.height
    if swaps_sides(raw.orientation):
        width, height = height, width
    return Decoded(upright(raw.pixels, raw.orientation), width, height, raw.note, kind)


def _decode_jpeg(data: bytes, kind: str, limits: DecodeLimits, at_least: int | None) -> Raw:
    header = read_jpeg_header(data)
    check_size(header.width, header.height, limits.max_pixels)
    if header.bits != 8:
        raise UnreadableImage(
            f"a JPEG of {header.bits} bits per sample; only 8 are read", FailureCode.UNSUPPORTED
        )
    # Without the end marker the decoder asks for more where data are missing, and gives up. With it, it would
    # fill them up with grey and write a line to stderr; so would it for what is not plain.
    if header.plain and header.end >= 0:
        scale = shorter_side_scale(header.width, header.height, at_least)
        pixels = decode_colour(data[: header.end] + _PADDING, scale)
        if pixels is not None:
            return Raw(pixels, header.width, header.height, header.orientation)
    incomplete = header.plain or header.end < 0
    if incomplete and not limits.accept_truncated:
        raise UnreadableImage(
            "the JPEG is cut short (`imgcluster extract --accept-truncated` takes what is there)",
            FailureCode.TRUNCATED,
        )
    # An end put where the data stop makes Pillow fill up what is missing; its switch for that is global and
    # would change what other threads get.
    whole = with_end(data, header.start) if incomplete else data
    raw = decode_with_pillow(whole, kind, limits.max_pixels, at_least)
    return Raw(raw.pixels, header.width, header.height, header.orientation, TRUNCATED if incomplete else "")


def _decode_png(data: bytes, kind: str, limits: DecodeLimits, at_least: int | None) -> Raw:
    png = read_png(data)
    check_size(png.header.width, png.header.height, limits.max_pixels)
    header = png.header
    scale = large_scale(header.width, header.height, at_least)
    if scale > 1 and can_be_banded(header):
        parts = bands(
            png,
            rows_of_strip(header.width, scale),
            lambda file: decode_with_pillow(file, kind, limits.max_pixels).pixels,
        )
        pixels = np.concatenate([shrunk(part, scale) for part in parts])
    else:
        pixels = decode_with_pillow(png.file(), kind, limits.max_pixels, at_least).pixels
    return Raw(pixels, header.width, header.height, header.orientation)


def _decode_other(data: bytes, kind: str, limits: DecodeLimits, at_least: int | None) -> Raw:
    try:
        return decode_with_pillow(data, kind, limits.max_pixels, at_least)
    except NotOpened:
        if kind not in _SECOND_TRY:
            raise
        raw = decode_anything(data, limits.max_pixels)
        if raw is None:
            raise
        return raw


def _decode_tiff(data: bytes, kind: str, limits: DecodeLimits, at_least: int | None) -> Raw:
    try:
        return decode_with_pillow(data, kind, limits.max_pixels, at_least)
    except NotOpened:
        # Pillow knows floats as one channel of 32 bits; what it refuses for another reason stays refused.
        header = read_tiff_header(data)
        if header is None or not header.floats:
            raise
        check_size(header.width, header.height, limits.max_pixels)
        raw = decode_unchanged(data)
        if raw is None:
            raise
        return raw


_DECODERS = {"JPEG": _decode_jpeg, "PNG": _decode_png, "TIFF": _decode_tiff}

# Headers that Pillow takes too literally and OpenCV reads.
_SECOND_TRY = frozenset({"BMP", "JPEG 2000"})
