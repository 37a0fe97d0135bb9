"""Many pictures on one, and pixels to files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.images.opencv import cv2
from imgcluster.images.resize import to_fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from imgcluster.records import Pixels

_WHITE = 255
_GAP = 4


def contact_sheet(thumbnails: Sequence[Pixels], columns: int, cell: int = 160) -> Pixels:
    """Lay pictures out in rows of `columns`, each centred in a white cell of `cell` pixels.

    Returns (H, W, 3) RGB: as many rows as needed, at least one; larger pictures are shrunk to their cell.
    """
    if columns < 1 or cell < 1:
        raise ValueError(f"{columns} columns of {cell} pixels")
    rows = max(1, -(-len(thumbnails) // columns))
    pitch = cell + _GAP
    sheet = np.full((rows * pitch + _GAP, columns * pitch + _GAP, 3), _WHITE, np.uint8)
    for index, picture in enumerate(thumbnails):
        row, column = divmod(index, columns)
        small = to_fit(picture, cell)
        height, width = small.shape[:2]
        top = _GAP + row * pitch + (cell - height) // 2
        left = _GAP + column * pitch + (cell - width) // 2
        sheet[top : top + height, left : left + width] = small
    return sheet


def encode_image(pixels: Pixels, suffix: str, *, quality: int = 90) -> bytes:
    """Encode (H, W, 3) RGB pixels as a file of the type that `suffix` names (``.jpg``, ``.png`` …).

    `quality` is that of JPEG, 0 to 100.

    Raises
    ------
    ImgclusterError
        For a suffix that cannot be written.
    """
    try:
        done, data = cv2.imencode(
            suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
        )
    except cv2.error as error:
        raise ImgclusterError(f"images cannot be written as {suffix!r}; use .jpg or .png") from error
    if not done:
        raise ImgclusterError(f"an image of {pixels.shape[1]} x {pixels.shape[0]} does not fit into {suffix}")
    return bytes(data)
