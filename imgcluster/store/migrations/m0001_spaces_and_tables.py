"""The first layout: feature spaces, and the tables of paths, failures, scanned folders and runs."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np

from imgcluster.store import schema

_HEAD: list[Any] = [("offset", "<i8"), ("length", "<i4"), ("flags", "u1")]
_STAT: list[Any] = [("size", "<i8"), ("mtime_ns", "<i8")]
_READ: list[Any] = [("read_ns", "<i8"), ("key", "u1", (32,))]
_TAIL: list[Any] = [("crc32", "<u4")]


def migrate(file: h5py.File) -> None:
    """Lay out an empty file."""
    file.attrs["format"] = schema.FORMAT
    file.create_group(schema.SPACES)
    for table, columns in (("paths", _STAT + _READ), ("failures", _STAT), ("folders", []), ("runs", [])):
        schema.create_table(file, table, np.dtype(_HEAD + columns + _TAIL))
