"""Everything but ordinary JPEG, through Pillow: alpha, palettes, deep samples, animations, colour spaces."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.errors import FailureCode, MissingExtra, UnreadableImage
from imgcluster.images.decoding import Raw, check_size, grey_to_rgb, over_white, to_8_bits
from imgcluster.images.jpeg import shorter_side_scale
from imgcluster.images.opencv import cv2
from imgcluster.images.orientation import orientation_of
from imgcluster.images.pillow import Image, UnidentifiedImageError, quiet_warnings

if TYPE_CHECKING:
    from imgcluster.records import Pixels

FORMATS = {
    "JPEG": ("JPEG", "MPO"),
    "PNG": ("PNG",),
    "GIF": ("GIF",),
    "TIFF": ("TIFF",),
    "BMP": ("BMP",),
    "DIB": ("DIB",),
    "WebP": ("WEBP",),
    "AVIF": ("AVIF",),
    "HEIC": ("HEIF",),
    "JPEG 2000": ("JPEG2000",),
    "PNM": ("PPM",),
}
"""Pillow's readers for each of our types; no others are tried, least of all one that starts a program."""

# These readers turn the picture themselves while loading (TIFF by its tag, HEIF by its boxes).
_TURNED_BY_READER = frozenset({"TIFF", "HEIF"})
_DEEP_MODES = frozenset({"I", "F"})
# Conversions need several times a strip's memory; above the larger size a reduced scale saves more than time.
_STRIP_PIXELS = 4 << 20
_LARGE_PIXELS = 16 << 20
_HUGE_PIXELS = 100 << 20
_LONGEST_TURN_SECONDS = 20
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339

_huge_turn = threading.Lock()


class NotOpened(UnreadableImage):
    """Pillow does not recognise the file at all; another decoder may."""


def decode_with_pillow(data: bytes, kind: str, max_pixels: int, at_least: int | None = None) -> Raw:
    """Decode the first frame or page of an image to RGB over white.

    Pictures of many megapixels are brought down to the scale that `at_least` allows strip by strip, so that
    the full size never stands in memory a second time.

    Raises
    ------
    UnreadableImage
        With the reason.
    """
    quiet_warnings()
    if kind == "HEIC":
        _register_heif()
    # Decoders for damaged files raise what they like, from SyntaxError to struct.error: each is a reason.
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS[kind])
    except UnidentifiedImageError as error:
        raise NotOpened(f"a damaged {kind} file: its header makes no sense", FailureCode.DAMAGED) from error
    except Exception as error:
        raise NotOpened(*_reason(kind, error)) from error
    with image:
        check_size(image.width, image.height, max_pixels)
        turned = image.format in _TURNED_BY_READER
        try:
            width, height = image.size
            if at_least is not None:
                _draft(image, at_least)
            _load(image)
            if turned:
                width, height = image.size
            exif, xmp = image.info.get("exif"), image.info.get("xmp")
            pixels = _to_rgb_by_strips(image, large_scale(*image.size, at_least))
            if _is_negative(image):
                pixels = 255 - pixels
        except UnreadableImage:
            raise
        except Exception as error:
            raise UnreadableImage(*_reason(kind, error)) from error
    return Raw(pixels, width, height, 1 if turned else orientation_of(_bytes(exif), _bytes(xmp)))


def _load(image: Image.Image) -> None:
    """Decode, and where that takes gigabytes, not together with another such picture."""
    if image.width * image.height <= _HUGE_PIXELS:
        image.load()
        return
    # A thread that was given up may never come back from its turn; the others go on after a while.
    has_turn = _huge_turn.acquire(timeout=_LONGEST_TURN_SECONDS)
    try:
        image.load()
    finally:
        if has_turn:
            _huge_turn.release()


def _draft(image: Image.Image, at_least: int) -> None:
    """Let a JPEG be decoded at a reduced scale; other formats have none."""
    scale = shorter_side_scale(*image.size, at_least)
    image.draft(None, (image.width // scale, image.height // scale))


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise UnreadableImage(str(MissingExtra("HEIC", "heic")), FailureCode.MISSING_LIBRARY) from error
    if "HEIF" not in Image.OPEN:
        pillow_heif.options.DECODE_THREADS = 1
        pillow_heif.register_heif_opener()


def _bytes(value: object) -> bytes | None:
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    return value if isinstance(value, bytes) else None


def large_scale(width: int, height: int, at_least: int | None) -> int:
    """Return by how much a large picture may be divided and be `at_least` long; ordinary ones stay as is."""
    if at_least is None or width * height <= _LARGE_PIXELS:
        return 1
    return max(1, min(width, height) // at_least)


def rows_of_strip(width: int, scale: int) -> int:
    """Return how many rows are converted at a time, a multiple of `scale`."""
    return max(1, _STRIP_PIXELS // width // scale) * scale


def _to_rgb_by_strips(image: Image.Image, scale: int) -> Pixels:
    width, height = image.size
    rows = rows_of_strip(width, scale)
    if height <= rows or image.mode in _DEEP_MODES:
        return shrunk(_to_rgb(image), scale)
    strips = []
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(height, top + rows)))
        strip.info = image.info
        strips.append(shrunk(_to_rgb(strip), scale))
    return np.concatenate(strips)


def shrunk(pixels: Pixels, scale: int) -> Pixels:
    """Average squares of `scale` by `scale` pixels."""
    if scale == 1:
        return pixels
    height, width = pixels.shape[:2]
    size = -(-width // scale), -(-height // scale)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _to_rgb(image: Image.Image) -> Pixels:
    mode = image.mode
    if mode.startswith("I;16"):
        return grey_to_rgb(to_8_bits(np.asarray(image), sixteen_bits=True))
    if mode in _DEEP_MODES:
        samples = np.asarray(image)
        if _is_unsigned(image):
            samples = samples.view(np.uint32)
        return grey_to_rgb(to_8_bits(samples, sixteen_bits=_holds_16_bits(image)))
    if image.has_transparency_data:
        return over_white(np.asarray(image.convert("RGBA")))
    if mode in {"1", "L"}:
        return grey_to_rgb(np.asarray(image.convert("L")))
    return np.array(image if mode == "RGB" else image.convert("RGB"))


def _is_negative(image: Image.Image) -> bool:
    """Whether 0 means white in a deep TIFF; of 8 bits and fewer Pillow sees to it."""
    return (image.mode.startswith("I;16") or image.mode in _DEEP_MODES) and _tag(image, _PHOTOMETRIC) == 0


def _is_unsigned(image: Image.Image) -> bool:
    """Whether the whole numbers of a TIFF, which Pillow takes for signed ones, are not."""
    return image.mode == "I" and image.format == "TIFF" and _tag(image, _SAMPLE_FORMAT) in {None, (1,)}


def _tag(image: Image.Image, number: int) -> object:
    return getattr(image, "tag_v2", {}).get(number)


def _holds_16_bits(image: Image.Image) -> bool:
    """Whether 32-bit samples were 16-bit ones in the file: PNM always, TIFF by its tag."""
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, ())
        return bool(max(bits, default=0) == 16)
    return image.mode == "I"


def _reason(kind: str, error: Exception) -> tuple[str, FailureCode]:
    """Turn a decoder's exception into a line for a person, and its code."""
    if isinstance(error, MemoryError):
        return "not enough memory to decode it", FailureCode.OUT_OF_MEMORY
    text = " ".join(str(error).split())[:120] or type(error).__name__
    # Pillow tells the two apart in the message only; here it is one code, and only the line differs.
    cut = "truncated" in text.lower()
    return f"the {kind} file is cut short" if cut else f"a damaged {kind} file ({text})", FailureCode.DAMAGED
