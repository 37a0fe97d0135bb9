"""How a store is laid out in HDF5: names, types, chunks."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcluster.errors import StoreError
from imgcluster.records import FeatureSpace, StoredSpace

if TYPE_CHECKING:
    import h5py

FORMAT = "imgcluster feature store"
SPACES = "spaces"
KEYS, EMBEDDINGS, CHECKSUMS = "keys", "embeddings", "crc32"
ENTRIES, TEXT = "entries", "text"
KEY_BYTES = 32

ROWS_PER_CHUNK = 64
"""Embeddings come in batches about this large; larger chunks only waste space in small stores."""

ENTRIES_PER_CHUNK = 1024
"""Keys and table entries are read as a whole; small chunks would make a million of them slow."""

EMBEDDING_DTYPES = ("float32", "float16")

_HEAD: list[Any] = [("offset", "<i8"), ("length", "<i4"), ("flags", "u1")]
_STAT: list[Any] = [("size", "<i8"), ("mtime_ns", "<i8")]
_READ: list[Any] = [("read_ns", "<i8"), ("key", "u1", (KEY_BYTES,))]
_WHY: list[Any] = [("code", "S24"), ("pixels", "<i8")]
_TAIL: list[Any] = [("crc32", "<u4")]

TABLES: dict[str, np.dtype[np.void]] = {
    "paths": np.dtype(_HEAD + _STAT + _READ + _TAIL),
    "failures": np.dtype(_HEAD + _STAT + _WHY + _TAIL),
    "folders": np.dtype(_HEAD + _TAIL),
    "runs": np.dtype(_HEAD + _TAIL),
}
"""A table is a group: `entries` of this type, and `text`, the bytes that `offset` and `length` point to."""

RELATIVE, REMOVED = 1, 2
"""Bits of `flags`: the path is below the store's folder; the path is gone."""


def create_space(parent: h5py.Group, space: FeatureSpace, dimension: int, dtype: str) -> None:
    """Make the group of a new feature space: its attributes and its empty, growing datasets."""
    group = parent.create_group(space.name)
    for name, value in space.identity.items():
        group.attrs[name] = value
    for name, kind, width, chunk in (
        (EMBEDDINGS, np.dtype(dtype).newbyteorder("<"), (dimension,), ROWS_PER_CHUNK),
        (CHECKSUMS, np.dtype("<u4"), (), ENTRIES_PER_CHUNK),
        (KEYS, np.dtype("u1"), (KEY_BYTES,), ENTRIES_PER_CHUNK),
    ):
        group.create_dataset(name, (0, *width), kind, maxshape=(None, *width), chunks=(chunk, *width))


def create_table(parent: h5py.Group, name: str, dtype: np.dtype[np.void]) -> None:
    """Make the group of one table."""
    group = parent.create_group(name)
    create_entries(group, dtype)
    group.create_dataset(TEXT, (0,), "u1", maxshape=(None,), chunks=(1 << 16,))


def create_entries(group: h5py.Group, dtype: np.dtype[np.void]) -> None:
    """Make the empty entries of a table."""
    group.create_dataset(ENTRIES, (0,), dtype, maxshape=(None,), chunks=(ENTRIES_PER_CHUNK,))


def read_space(group: h5py.Group) -> StoredSpace:
    """Describe the feature space that a group holds.

    Raises
    ------
    StoreError
        The group is not what `create_space` makes.
    """
    space = read_attributes(group)
    keys, embeddings, checksums = group[KEYS], group[EMBEDDINGS], group[CHECKSUMS]
    rows, dimension = embeddings.shape
    sound = (
        space.name == group.name.rpartition("/")[2]
        and (keys.shape, keys.dtype) == ((rows, KEY_BYTES), np.uint8)
        and (checksums.shape, checksums.dtype) == ((rows,), np.uint32)
        and embeddings.dtype.name in EMBEDDING_DTYPES
    )
    if not sound:
        raise StoreError(f"the feature space {group.name} is damaged: run `imgcluster store repair`")
    return StoredSpace(space, rows, dimension, embeddings.dtype.name)


def read_attributes(group: h5py.Group) -> FeatureSpace:
    """Read which feature space a group is of."""
    attributes: dict[str, Any] = {}
    for field in fields(FeatureSpace):
        if field.default is MISSING or field.name in group.attrs:
            value = group.attrs[field.name]
            # What a damaged byte made into no UTF-8 is refused here; HDF5 would refuse it half-way through.
            attributes[field.name] = value.encode().decode() if isinstance(value, str) else value.item()
    return FeatureSpace(**attributes)
