"""Decoders that take the process with them, or never come back."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from imgcluster.workflows.read_image import ReadImage, ReadSettings, read_image

if TYPE_CHECKING:
    from collections.abc import Collection

    from imgcluster.records import ImageFile


def deadly(file: ImageFile, known: Collection[bytes], settings: ReadSettings) -> ReadImage:
    if "killer" in file.path:
        time.sleep(0.1)  # so that others are in flight as well
        os._exit(3)
    return read_image(file, known, settings)


def deadly_once(file: ImageFile, known: Collection[bytes], settings: ReadSettings) -> ReadImage:
    """Dies while the file says so, and makes it harmless."""
    if "killer" in file.path and not os.path.exists(f"{file.path}.died"):
        os.close(os.open(f"{file.path}.died", os.O_CREAT))
        os._exit(3)
    return read_image(file, known, settings)


def endless(file: ImageFile, known: Collection[bytes], settings: ReadSettings) -> ReadImage:
    if "killer" in file.path:
        time.sleep(3600)
    return read_image(file, known, settings)


def never_beside_another(file: ImageFile, known: Collection[bytes], settings: ReadSettings) -> ReadImage:
    busy = os.path.join(os.path.dirname(file.path), "busy")
    os.close(os.open(busy, os.O_CREAT | os.O_EXCL))  # fails where another is being read
    time.sleep(0.5)
    os.unlink(busy)
    return read_image(file, known, settings)
