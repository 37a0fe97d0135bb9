"""Pillow, quiet: everything but ordinary JPEG: alpha, palettes, deep samples, animations, colour spaces."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, UnidentifiedImageError
from PIL import _imaging as _core

from imgcluster.errors import FailureCode, MissingExtra, UnreadableImage
from imgcluster.images.memory import bytes_to_decode
from imgcluster.images.pixels import Box, Decoded, Request, Scale, damaged, scaled_size, to_rgb
from imgcluster.images.remarks import with_few_remarks
from imgcluster.records import Pixels

# Sizes are checked against our own limit before anything is decoded; Pillow's would refuse honest panoramas.
Image.MAX_IMAGE_PIXELS = None
logging.getLogger("PIL").addHandler(logging.NullHandler())
# Many images are decoded at once, each in a thread; more threads for one only get in the way.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
# libtiff writes to stderr what Pillow raises as an exception. Where it is linked into Pillow it cannot be
# told; then its lines go there, which hurts nothing but the eye.
with contextlib.suppress(AttributeError, OSError):
    _library = ctypes.CDLL(_core.__file__)
    for _handler in (_library.TIFFSetErrorHandler, _library.TIFFSetWarningHandler):
        _handler.restype = ctypes.c_void_p
        _handler(None)

# Pillow's readers for our types where they have other names; no others are tried, least of all one that
# starts a program.
_READERS = {"JPEG": ("JPEG", "MPO"), "HEIC": ("HEIF",), "JPEG 2000": ("JPEG2000",), "PNM": ("PPM",)}
# These readers turn the picture themselves while loading (TIFF by its tag, HEIF by its boxes).
_TURNED_BY_READER = frozenset({"TIFF", "HEIF"})
_MODULES = r"PIL\."
_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION, _SAMPLE_FORMAT = 258, 262, 274, 339
_XMP_ORIENTATION = re.compile(rb"tiff:Orientation\s*(?:=\s*[\"']|>)\s*([0-9])")


class NotOpened(UnreadableImage):
    """Pillow does not recognise the file at all; another decoder may."""


def decode_with_pillow(data: bytes, kind: str, request: Request, no_data: float | None = None) -> Decoded:
    """Decode the first frame or page of an image to RGB over white; `no_data` as `to_rgb` takes it.

    Raises
    ------
    UnreadableImage
        With the reason; `NotOpened` where another decoder may know better.
    """
    with open_image(data, kind) as image:
        request.check_size(*image.size)
        turned = image.format in _TURNED_BY_READER
        with reasons(kind):
            width, height = image.size
            if request.at_least is not None:  # JPEG alone can be decoded at a reduced scale
                scale = request.power_of_two(width, height)
                image.draft(None, (width // scale, height // scale))
            kept = math.prod(scaled_size(*image.size, request.scale(*image.size)))
            with request.budget.taking(bytes_to_decode(kind, image.mode, image.size, kept)):
                image.load()
                if turned:
                    width, height = image.size
                pixels = image_to_rgb(image, request.scale(*image.size), no_data)
        orientation = 1 if turned else stated_orientation(image)
    return Decoded(pixels, width, height, orientation)


def open_image(data: bytes, kind: str) -> Image.Image:
    """Read the header of an image.

    Raises
    ------
    NotOpened
        Where Pillow does not know what it is.
    """
    _quiet_warnings()
    if kind == "HEIC":
        _register_heif()
    # Decoders for damaged files raise what they like, from SyntaxError to struct.error: each is a reason.
    try:
        few = with_few_remarks(data, kind)
        return Image.open(io.BytesIO(few), formats=_READERS.get(kind, (kind.upper(),)))
    except (MemoryError, UnreadableImage):
        raise
    except UnidentifiedImageError as error:
        raise NotOpened(f"a damaged {kind} file: its header makes no sense", FailureCode.DAMAGED) from error
    except Exception as error:
        raise NotOpened(_reason(kind, error, data), FailureCode.DAMAGED) from error


@contextlib.contextmanager
def reasons(kind: str) -> Iterator[None]:
    """Turn whatever a decoder raises within a block into `UnreadableImage`, but for want of memory."""
    try:
        yield
    except (UnreadableImage, MemoryError):
        raise
    except Exception as error:
        raise damaged(_reason(kind, error)) from error


def orientation_of(exif: bytes | None, xmp: bytes | None) -> int:
    """Return the orientation, 1 to 8; EXIF comes before XMP, and what means nothing counts as 1."""

    def read_exif() -> Image.Exif:
        block = Image.Exif()
        block.load(exif or b"")
        return block

    return _orientation(read_exif, xmp) if exif or xmp else 1


def stated_orientation(image: Image.Image) -> int:
    """Return the orientation that the metadata of an image state in any of the ways that Pillow knows."""
    return _orientation(image.getexif, image.info.get("xmp") or image.info.get("XML:com.adobe.xmp"))


def _orientation(read_exif: Callable[[], Image.Exif], xmp: bytes | str | None) -> int:
    stated: object = None
    # Cameras and editors leave broken blocks behind; they are no reason to refuse the picture.
    with contextlib.suppress(Exception):
        stated = read_exif().get(_ORIENTATION)
    if stated is None and xmp:
        match = _XMP_ORIENTATION.search(xmp.encode("utf-8", "replace") if isinstance(xmp, str) else xmp)
        stated = int(match[1]) if match else None
    return stated if isinstance(stated, int) and 1 <= stated <= 8 else 1


def image_to_rgb(image: Image.Image, scale: Scale, no_data: float | None = None) -> Pixels:
    """Bring a loaded image of any mode to RGB over white at a reduced scale."""
    tiff = image.format == "TIFF"
    deep = image.mode in {"I", "F"} or image.mode.startswith("I;16")
    # 16 bits stand in 32 in PNM always, in TIFF by its tag.
    sixteen = image.mode.startswith("I;16") or (
        max(_tag(image, _BITS_PER_SAMPLE) or (0,)) == 16 if tiff else image.mode == "I"
    )
    # Whole numbers of a TIFF are without a sign unless it says so.
    unsigned = tiff and image.mode == "I" and _tag(image, _SAMPLE_FORMAT) in {None, (1,)}

    def part(box: Box) -> NDArray[Any]:
        piece = image
        if box != (0, 0, *image.size):
            piece = image.crop(box)
            piece.info = image.info
        if deep:
            samples: NDArray[Any] = np.asarray(piece)
            if sixteen:
                return np.asarray(np.clip(samples, 0, 65535), dtype=np.uint16)
            return samples.view(np.uint32) if unsigned else samples
        mode = "RGBA" if image.has_transparency_data else "L" if image.mode in {"1", "L"} else "RGB"
        return np.asarray(piece if piece.mode == mode else piece.convert(mode))

    pixels = to_rgb(image.size, scale, part, no_data)
    # Of 8 bits and fewer Pillow sees to it that 0 means black.
    negative = deep and _tag(image, _PHOTOMETRIC) == 0
    return np.subtract(255, pixels, out=pixels) if negative else pixels


def _tag(image: Image.Image, number: int) -> Any:
    return getattr(image, "tag_v2", {}).get(number)


def _quiet_warnings() -> None:
    """Keep Pillow's remarks on odd metadata out of the terminal.

    Asked before each decoding, because whoever saves and restores the filters in between would bring the
    remarks back; `warnings.catch_warnings` itself is no help, for it is not safe among threads.
    """
    if not any(
        action == "ignore" and category is UserWarning and getattr(module, "pattern", None) == _MODULES
        for action, _, category, module, _ in warnings.filters
    ):
        warnings.filterwarnings("ignore", category=UserWarning, module=_MODULES)


def _register_heif() -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise UnreadableImage(str(MissingExtra("HEIC", "heic")), FailureCode.MISSING_LIBRARY) from error
    if "HEIF" not in Image.OPEN:
        pillow_heif.options.DECODE_THREADS = 1
        pillow_heif.register_heif_opener()


def _reason(kind: str, error: Exception, data: bytes = b"") -> str:
    """Turn a decoder's exception into a line for a person."""
    text = " ".join(str(error).split())[:120] or type(error).__name__
    lacks_some = kind == "WebP" and int.from_bytes(data[4:8], "little") + 8 > len(data) > 0
    if lacks_some or "truncated" in text.lower() or "unexpected end of file" in text.lower():
        return f"the {kind} file is cut short"
    return f"a damaged {kind} file ({text})"
