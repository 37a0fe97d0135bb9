"""Many pictures on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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
