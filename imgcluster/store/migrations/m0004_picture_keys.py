"""A table from the key of a file to the digest of what makes its picture; `extract` fills it in."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from imgcluster.store import schema

_PICTURE_KEYS: list[Any] = [
    *(("offset", "<i8"), ("length", "<i4"), ("flags", "u1"), ("key", "u1", (32,)), ("picture", "u1", (32,))),
    ("crc32", "<u4"),
]


def migrate(file: h5py.File) -> None:
    """Make the empty table."""
    schema.create_table(file, "picture_keys", np.dtype(_PICTURE_KEYS))
