"""How a store is laid out in HDF5: names, types, chunks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import StoreError
from imgcluster.records import PICTURE, FeatureSpace, StoredSpace

FORMAT = "imgcluster feature store"
SPACES, PICTURES = "spaces", "pictures"
KEYS, EMBEDDINGS, LOOKS, CHECKSUMS = "keys", "embeddings", "looks", "crc32"
ENTRIES, TEXT = "entries", "text"
KEY_BYTES = 32

ROWS_PER_CHUNK = 64
"""Embeddings come in batches about this large; larger chunks only waste space in small stores."""

ENTRIES_PER_CHUNK = 1024
"""Keys and table entries are read as a whole; small chunks would make a million of them slow."""

_TEXT_BYTES_PER_CHUNK = 1 << 16

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
    "picture_keys": np.dtype([*_HEAD, ("key", "u1", (KEY_BYTES,)), ("picture", "u1", (KEY_BYTES,)), *_TAIL]),
}
"""A table is a group: `entries` of this type, and `text`, the bytes that `offset` and `length` point to."""

LATER_TABLES = frozenset({"picture_keys"})
"""Those that stores of earlier versions lack."""

WITHOUT_PATHS = frozenset({"runs", "picture_keys"})
"""Tables whose texts do not begin with a path."""

EARLIER_TABLES = {"failures": np.dtype(_HEAD + _STAT + _TAIL)}
"""As stores of earlier versions have them; readers take them, and what was released stays as it is."""

RELATIVE, REMOVED = 1, 2
"""Bits of `flags`: the path is below the store's folder; the path is gone."""


CORRUPTION = (
    OSError,
    RuntimeError,
    KeyError,
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
    AttributeError,
)
"""What h5py raises, at one place or another, for a file whose structure is damaged."""

_Columns = Mapping[str, tuple[Any, tuple[int, ...], int]]
"""Type, width of a row and rows per chunk of each dataset of a group."""


def corrupted(path: str, error: BaseException) -> StoreError:
    """Make the error for a store that cannot be read."""
    return StoreError(
        f"{path} is damaged ({str(error) or type(error).__name__}): run `imgcluster store repair`"
    )


def extend(dataset: h5py.Dataset, values: NDArray[Any]) -> None:
    """Add values at the end of a dataset."""
    start = len(dataset)
    dataset.resize(start + len(values), axis=0)
    dataset[start:] = values


def create_space(file: h5py.File, like: StoredSpace) -> h5py.Group:
    """Return the group of a feature space; a new one has its attributes, and empty, growing datasets."""
    if like.name in file[SPACES]:
        return file[SPACES][like.name]
    group = file[SPACES].create_group(like.name)
    for name, value in like.space.identity.items():
        group.attrs[name] = value
    _create_columns(group, _space_columns(like.dimension, like.dtype))
    return group


def create_table(file: h5py.File, name: str, dtype: np.dtype[np.void]) -> None:
    """Make the group of one table, whose entries have the type `dtype`."""
    _create_columns(file.create_group(name), _table_columns(dtype))


def create_pictures(file: h5py.File) -> None:
    """Make the group of what images look like: rows by key, as in a feature space."""
    _create_columns(file.create_group(PICTURES), _PICTURE_COLUMNS)


def open_pictures(file: h5py.File) -> h5py.Group | None:
    """Open that group; None in a store of an earlier version. Raises ValueError as `read_columns` does."""
    if PICTURES not in file:
        return None
    group = open_group(file, PICTURES)
    columns = _open_columns(group, _PICTURE_COLUMNS)
    _check_sizes(columns)
    if len(set(map(len, columns))) > 1:
        raise ValueError(f"{group.name} contradicts itself")
    return group


def open_group(parent: h5py.Group, name: str) -> h5py.Group:
    """Open a group. Raises ValueError where it does not lie in the file itself."""
    return _open(parent, name, h5py.Group)


def open_table(file: h5py.File, name: str) -> h5py.Group:
    """Open the group of a table. Raises ValueError as `read_columns` does."""
    group = open_group(file, name)
    dtype = _open(group, ENTRIES, h5py.Dataset).dtype
    columns = _table_columns(dtype if dtype == EARLIER_TABLES.get(name) else TABLES[name])
    _check_sizes(_open_columns(group, columns))
    return group


def read_spaces(file: h5py.File, path: str) -> dict[str, StoredSpace]:
    """Describe the feature spaces of the store at `path` by name.

    Raises
    ------
    StoreError
        One of them is not what `create_space` makes.
    """
    try:
        parent = open_group(file, SPACES)
        return {name: _read_space(open_group(parent, name)) for name in parent}
    except CORRUPTION as error:
        raise corrupted(path, error) from error


def _read_space(group: h5py.Group) -> StoredSpace:
    stored, lengths = read_columns(group)
    if group.name != f"/{SPACES}/{stored.name}" or len(set(lengths)) > 1:
        raise ValueError(f"the feature space {group.name} contradicts itself")
    _check_sizes(group[name] for name in (EMBEDDINGS, CHECKSUMS, KEYS))
    return stored


def read_columns(group: h5py.Group) -> tuple[StoredSpace, tuple[int, ...]]:
    """Describe a feature space that may be damaged, and tell how long each of its datasets says it is.

    Raises
    ------
    ValueError
        A dataset is missing, of another kind than `create_space` makes, or not in the file itself.
    """
    attributes: dict[str, Any] = {}
    for field in fields(FeatureSpace):
        if field.default is MISSING or field.name in group.attrs:
            value = group.attrs[field.name]
            # What a damaged byte made into no UTF-8 is refused here; HDF5 would refuse it half-way through.
            attributes[field.name] = value.encode().decode() if isinstance(value, str) else value.item()
    embeddings = _open(group, EMBEDDINGS, h5py.Dataset)
    (_, dimension), dtype = embeddings.shape, embeddings.dtype.name
    if dtype not in EMBEDDING_DTYPES:
        raise ValueError(f"{embeddings.name} holds {dtype}")
    columns = _open_columns(group, _space_columns(dimension, dtype))
    lengths = tuple(map(len, columns))
    return StoredSpace(FeatureSpace(**attributes), min(lengths), dimension, dtype), lengths


def _space_columns(dimension: int, dtype: str) -> _Columns:
    return {
        EMBEDDINGS: (np.dtype(dtype).newbyteorder("<"), (dimension,), ROWS_PER_CHUNK),
        CHECKSUMS: (np.dtype("<u4"), (), ENTRIES_PER_CHUNK),
        KEYS: (np.dtype("u1"), (KEY_BYTES,), ENTRIES_PER_CHUNK),
    }


_PICTURE_COLUMNS: _Columns = {
    LOOKS: (PICTURE, (), ROWS_PER_CHUNK),
    CHECKSUMS: (np.dtype("<u4"), (), ENTRIES_PER_CHUNK),
    KEYS: (np.dtype("u1"), (KEY_BYTES,), ENTRIES_PER_CHUNK),
}


def _table_columns(dtype: np.dtype[np.void]) -> _Columns:
    return {ENTRIES: (dtype, (), ENTRIES_PER_CHUNK), TEXT: (np.dtype("u1"), (), _TEXT_BYTES_PER_CHUNK)}


def _create_columns(group: h5py.Group, columns: _Columns) -> None:
    for name, (kind, width, chunk) in columns.items():
        group.create_dataset(name, (0, *width), kind, maxshape=(None, *width), chunks=(chunk, *width))


def _open_columns(group: h5py.Group, columns: _Columns) -> list[h5py.Dataset]:
    """Open the datasets of a group; they are as `_create_columns` makes them, but for their length."""
    datasets = [_open(group, name, h5py.Dataset) for name in columns]
    for dataset, (kind, width, chunk) in zip(datasets, columns.values(), strict=True):
        made, chunks = dataset.id.get_create_plist(), (chunk, *width)
        # In chunks without a filter nothing can lie in another file, and nothing grows when it is read.
        if (
            (dataset.dtype, dataset.shape[1:]) != (kind, width)
            or made.get_layout() != h5py.h5d.CHUNKED
            or made.get_chunk() != chunks
            or made.get_nfilters()
        ):
            raise ValueError(f"{dataset.name} is not as imgcluster makes it")
        if len(dataset) and math.prod(chunks) * kind.itemsize > file_size(dataset):
            raise ValueError(f"{dataset.name} is larger than the file")
    return datasets


def _open(group: h5py.Group, name: str, kind: type) -> Any:
    """Open what lies in a group itself: a link may lead to any file, or round in a circle."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{group.name.rstrip('/')}/{name} is missing or a link")  # noqa: TRY004 - as all damage
    found = group[name]
    if not isinstance(found, kind):
        raise ValueError(f"{found.name} is of another kind")  # noqa: TRY004
    return found


def _check_sizes(datasets: Iterable[h5py.Dataset]) -> None:
    for dataset in datasets:
        if dataset.size * dataset.dtype.itemsize > file_size(dataset):
            raise ValueError(f"{dataset.name} is larger than the file")


def file_size(lies_in: h5py.HLObject) -> int:
    """Return the size of the file as HDF5 sees it, also through the log."""
    return int(lies_in.file.id.get_filesize())
