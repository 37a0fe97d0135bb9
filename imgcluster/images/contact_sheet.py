"""Many pictures on one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from imgcluster.images.resize import to_fit
from imgcluster.records import Pixels

_WHITE = 255
_GAP = 4
_SPRITE_SIDE = 8192
"""The largest that the Embedding Projector takes."""
_SPRITE_CELL, _SMALLEST_CELL = 64, 8


def contact_sheet(thumbnails: Sequence[Pixels], columns: int, cell: int = 160) -> Pixels:
    """Lay pictures out in rows of `columns`, each centred in a white cell of `cell` pixels.

    Returns (H, W, 3) RGB: as many rows as needed, at least one; larger pictures are shrunk to their cell.
    """
    if columns < 1 or cell < 1:
        raise ValueError(f"{columns} columns of {cell} pixels")
    rows = max(1, -(-len(thumbnails) // columns))
    pitch = cell + _GAP
    sheet = _blank(rows * pitch + _GAP, columns * pitch + _GAP)
    for index, picture in enumerate(thumbnails):
        row, column = divmod(index, columns)
        _put(picture, sheet, _GAP + row * pitch, _GAP + column * pitch, cell)
    return sheet


def sprite(pictures: Iterable[Pixels | None], count: int) -> tuple[Pixels, int] | None:
    """Lay `count` pictures out as the Embedding Projector wants them: square, without gaps, row by row.

    The sheet has as many rows as columns and at most 8,192 pixels a side; a place without a picture is white.

    Returns
    -------
    The sheet, (S, S, 3) RGB, and the side of a cell in pixels; None for so many (or no) pictures that nothing
    would be seen in a cell.
    """
    columns = math.isqrt(max(count, 1) - 1) + 1
    cell = min(_SPRITE_CELL, _SPRITE_SIDE // columns)
    if count < 1 or cell < _SMALLEST_CELL:
        return None
    sheet = _blank(columns * cell, columns * cell)
    for index, picture in zip(range(count), pictures, strict=False):
        row, column = divmod(index, columns)
        if picture is not None:
            _put(picture, sheet, row * cell, column * cell, cell)
    return sheet, cell


def _blank(height: int, width: int) -> Pixels:
    return np.full((height, width, 3), _WHITE, np.uint8)


def _put(picture: Pixels, sheet: Pixels, top: int, left: int, cell: int) -> None:
    """Put a picture into the middle of a cell, shrunk where it is larger."""
    small = to_fit(picture, cell)
    height, width = small.shape[:2]
    top, left = top + (cell - height) // 2, left + (cell - width) // 2
    sheet[top : top + height, left : left + width] = small
