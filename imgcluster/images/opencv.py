"""OpenCV, quiet and single-threaded: ordinary JPEG by the fast path, and what only it can open."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import ImgclusterError


def _fix() -> str:
    """Name the command that makes OpenCV load where the graphics libraries are missing."""
    try:
        return f"pip install --force-reinstall --no-deps opencv-python-headless=={version('opencv-python')}"
    except PackageNotFoundError:
        return "pip install opencv-python-headless"


try:
    import cv2
except ImportError as error:
    cause = " ".join(str(error).split())
    raise ImgclusterError(f"OpenCV cannot be loaded ({cause}); to repair it: {_fix()}") from error

# Decoding runs in threads of ours, one image each; OpenCV's own threads would only fight them for the cores.
cv2.setNumThreads(1)
# Its complaints about broken files belong into our list of failures, not between the lines of a progress bar.
if hasattr(cv2, "setLogLevel"):
    cv2.setLogLevel(0)
else:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

__all__ = ["cv2", "decode_colour", "decode_samples"]

_SCALED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_RGBA_FROM_BGRA = [2, 1, 0, 3]


def decode_colour(data: bytes, scale: int) -> NDArray[np.uint8] | None:
    """Decode to (H, W, 3) uint8 RGB at 1/`scale` of the size, not turned; None where OpenCV cannot."""
    pixels = _imdecode(data, _SCALED[scale] | cv2.IMREAD_IGNORE_ORIENTATION)
    if pixels is None:
        return None
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, pixels), dtype=np.uint8)


def decode_samples(data: bytes) -> NDArray[Any] | None:
    """Decode with all that is there to (H, W), (H, W, 3) or (H, W, 4); None where OpenCV cannot.

    Colours stand as RGB, alpha last. TIFF comes upright, other formats as they are stored.
    """
    samples = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if samples is None or samples.ndim == 2:
        return samples
    channels = samples.shape[2]
    # Two channels, or many: nothing that could be shown.
    return samples[..., _RGBA_FROM_BGRA[:channels]] if channels in {3, 4} else None


def _imdecode(data: bytes, flags: int) -> NDArray[Any] | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        # Sizes over its limits and the like; to a caller the same as a file that it cannot read.
        return None
