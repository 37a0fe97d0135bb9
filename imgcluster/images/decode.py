"""From a file's bytes to upright RGB pixels, or a reason why not."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import replace
from itertools import islice

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.header import image_type
from imgcluster.images.jpeg import decode_jpeg
from imgcluster.images.memory import DecodeLimits, MemoryBudget, bytes_to_decode
from imgcluster.images.opencv import decode_samples
from imgcluster.images.pillow import NotOpened, decode_with_pillow
from imgcluster.images.pixels import Decoded, Request, to_rgb, upright
from imgcluster.images.png import decode_png
from imgcluster.images.tiff import find_picture
from imgcluster.images.tiff_channels import decode_channels, is_for_channels

_DEFAULT_LIMITS = DecodeLimits()
_DEFAULT_BUDGET = MemoryBudget()


def decode(
    data: bytes,
    limits: DecodeLimits = _DEFAULT_LIMITS,
    *,
    at_least: int | None = None,
    budget: MemoryBudget = _DEFAULT_BUDGET,
) -> Decoded:
    """Decode the first picture in a file's bytes to upright pixels, whatever its name says.

    Parameters
    ----------
    data
        The whole file.
    limits
        How large, and whether incomplete.
    at_least
        Allows a reduced scale whose shorter side has at least that many pixels; much faster for large JPEGs.
    budget
        The memory that all decoders share; by default one for the process.

    Raises
    ------
    UnreadableImage
        With a reason that a person understands: no image, damaged, cut short, too large.
    """
    kind = image_type(data)
    request = Request(limits, at_least, budget)
    try:
        found = _DECODERS.get(kind, _decode_other)(data, kind, request)
    except MemoryError as error:
        raise UnreadableImage("not enough memory to decode it", FailureCode.OUT_OF_MEMORY) from error
    width, height = found.width, found.height
    if found.orientation >= 5:
        width, height = height, width
    pixels = upright(found.pixels, found.orientation)
    return replace(found, pixels=pixels, width=width, height=height, orientation=1, kind=kind)


def _decode_tiff(data: bytes, kind: str, request: Request) -> Decoded:
    picture = find_picture(data)
    directory = picture.directory
    if directory is None:  # Pillow may say what is wrong
        return decode_with_pillow(data, kind, request)
    if is_for_channels(directory):
        raw = decode_channels(directory, request)
    else:
        sizes = [directory.size] if directory.is_of_floats and not directory.in_planes else []
        try:
            raw = _decode_by_either(picture.data, kind, request, sizes, directory.no_data)
        except NotOpened:
            if not directory.pixels:
                raise
            raw = decode_channels(directory, request)
    return replace(raw, pages=picture.pages)


def _decode_other(data: bytes, kind: str, request: Request) -> Decoded:
    return _decode_by_either(data, kind, request, _stated_sizes(data, kind))


def _decode_by_either(
    data: bytes, kind: str, request: Request, sizes: list[tuple[int, int]], no_data: float | None = None
) -> Decoded:
    """Decode with Pillow, else with OpenCV what may be of one of `sizes`."""
    try:
        return decode_with_pillow(data, kind, request, no_data)
    except NotOpened:
        # OpenCV may know better; but a size that no decoder has checked yet may be a trap.
        for size in sizes:
            request.check_size(*size)
        largest = max(sizes, key=math.prod, default=(0, 0))
        path = "TIFF of floats" if kind == "TIFF" else kind
        with request.budget.taking(bytes_to_decode(path, "RGB", largest, math.prod(largest))):
            samples = decode_samples(data) if sizes else None
            if samples is None:
                raise
            height, width = samples.shape[:2]
            pixels = to_rgb(
                (width, height),
                request.scale(width, height),
                lambda box: samples[box[1] : box[3], box[0] : box[2]],
                no_data,
            )
            return Decoded(pixels, width, height)


def _stated_sizes(data: bytes, kind: str) -> list[tuple[int, int]]:
    """Read the size in a header that Pillow refuses and OpenCV may take; each that may be the one."""
    if kind not in _SIZES:
        return []
    pattern, form = _SIZES[kind]
    sizes = (struct.unpack(form, found[1]) for found in islice(pattern.finditer(data), _MOST_SIZES))
    return [(abs(width), abs(height)) for width, height in sizes]  # a BMP may be negative, from the top down


# Where headers that Pillow takes too literally state the size.
_MOST_SIZES = 64
_SIZES = {
    "BMP": (re.compile(rb"\ABM.{16}(.{8})", re.DOTALL), "<ii"),
    "JPEG 2000": (re.compile(rb"(?=\xff\x4f\xff\x51.{4}(.{8}))", re.DOTALL), ">II"),
}
_DECODERS = {"JPEG": decode_jpeg, "PNG": decode_png, "TIFF": _decode_tiff}
