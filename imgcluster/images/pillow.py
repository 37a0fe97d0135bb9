"""The one import of Pillow: quiet, and with our own limit on sizes in place of its."""

from __future__ import annotations

import ctypes
import logging
import warnings

from PIL import AvifImagePlugin, Image, ImageFile, UnidentifiedImageError
from PIL import _imaging as _core

# Sizes are checked against our own limit before anything is decoded; Pillow's would refuse honest panoramas.
Image.MAX_IMAGE_PIXELS = None
logging.getLogger("PIL").addHandler(logging.NullHandler())


def quiet_warnings() -> None:
    """Keep Pillow's remarks on odd metadata out of the terminal.

    Asked before each decoding, because whoever saves and restores the filters in between would bring the
    remarks back; `warnings.catch_warnings` itself is no help, for it is not safe among threads.
    """
    if not any(
        entry[0] == "ignore" and entry[2] is UserWarning and _ours(entry[3]) for entry in warnings.filters
    ):
        warnings.filterwarnings("ignore", category=UserWarning, module=_MODULES)


_MODULES = r"PIL\."


def _ours(module: object) -> bool:
    return getattr(module, "pattern", None) == _MODULES


def _quiet_libtiff() -> None:
    """Stop libtiff from writing to stderr; Pillow raises the same trouble as an exception."""
    try:
        library = ctypes.CDLL(_core.__file__)
        handlers = library.TIFFSetErrorHandler, library.TIFFSetWarningHandler
    except (AttributeError, OSError):
        # A Pillow with libtiff linked in: its lines go to stderr, which hurts nothing but the eye.
        return
    for handler in handlers:
        handler.restype = ctypes.c_void_p
        handler(None)


_quiet_libtiff()
# Many images are decoded at once, each in a thread; more threads for one only get in the way.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

__all__ = ["Image", "ImageFile", "UnidentifiedImageError", "quiet_warnings"]
