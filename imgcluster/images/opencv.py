"""The one import of OpenCV: quiet, single-threaded, and with a plain answer where it cannot load."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

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
    raise ImgclusterError(f"OpenCV cannot be loaded ({cause}); this mends it: {_fix()}") from error

# Decoding runs in threads of ours, one image each; OpenCV's own threads would only fight them for the cores.
cv2.setNumThreads(1)
# Its complaints about broken files belong into our list of failures, not between the lines of a progress bar.
if hasattr(cv2, "setLogLevel"):
    cv2.setLogLevel(0)
else:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

__all__ = ["cv2"]
