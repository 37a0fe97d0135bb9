"""A table in the store that only grows: fixed columns per entry, and a text of any bytes.

HDF5's own variable-length strings leak space when changed and cannot hold every file name, so all texts lie
in one column of bytes that the entries point into.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import FailureCode
from imgcluster.store.schema import ENTRIES, RELATIVE, TABLES, TEXT, WITHOUT_PATHS, extend


@dataclass(frozen=True)
class Entries:
    """Entries of a table in the order in which they were added.

    Attributes
    ----------
    columns
        (N,) of the table's type.
    texts
        N texts.
    damaged
        How many more there were that are damaged.
    """

    columns: NDArray[np.void]
    texts: list[bytes]
    damaged: int = 0


def make_entries(table: str, texts: Sequence[bytes], **columns: Any) -> Entries:
    """Make entries for `table` from its columns, each a sequence as long as `texts` or one value for all."""
    entries = np.zeros(len(texts), TABLES[table])
    for name, values in columns.items():
        digests = entries.dtype[name].shape
        entries[name] = np.frombuffer(b"".join(values), np.uint8).reshape(-1, *digests) if digests else values
    return Entries(entries, list(texts))


def append_entries(group: h5py.Group, new: Entries) -> None:
    """Add entries at the end; their place and checksum are filled in here."""
    if not new.texts:
        return
    entries, text = group[ENTRIES], group[TEXT]
    columns = new.columns.copy()
    columns["length"] = [len(t) for t in new.texts]
    columns["offset"] = len(text) + np.cumsum(columns["length"], dtype=np.int64) - columns["length"]
    columns["crc32"] = _checksums(columns, new.texts)
    extend(text, np.frombuffer(b"".join(new.texts), np.uint8))
    extend(entries, columns)


def read_entries(group: h5py.Group) -> Entries:
    """Read all entries whose checksum is right and whose path leads where a path may."""
    columns = group[ENTRIES][:]
    blob = group[TEXT][:].tobytes()
    ends = columns["offset"] + columns["length"]
    texts = [blob[a:b] for a, b in zip(columns["offset"].tolist(), ends.tolist(), strict=True)]
    sound = _checksums(columns, texts) == columns["crc32"]
    table = group.name.rpartition("/")[2]
    if table not in WITHOUT_PATHS:
        rooted = np.fromiter((text[:1] == b"/" for text in texts), np.bool_, len(texts))
        sound &= (rooted != (columns["flags"] & RELATIVE != 0)) & (columns["length"] > 0)
        if b".." in blob or b"\0" in blob:  # a look at each of them takes its time
            paths = [text.partition(b"\0")[0] for text in texts] if table == "failures" else texts
            sound &= np.fromiter(map(is_plain, paths, columns["flags"].tolist()), np.bool_, len(paths))
    if "code" in (columns.dtype.names or ()):
        sound &= np.isin(columns["code"], [b"", *(code.encode() for code in FailureCode)])
    if sound.all():
        return Entries(columns, texts)
    kept = [text for text, good in zip(texts, sound.tolist(), strict=True) if good]
    return Entries(columns[sound], kept, int((~sound).sum()))


def is_plain(path: bytes, flags: int = 0) -> bool:
    """Whether a path is one that imgcluster records: absolute, or below the store, and not round about."""
    return (
        path != b""
        and path.startswith(b"/") != bool(flags & RELATIVE)
        and b"\0" not in path
        and not (b".." in path and b".." in path.split(b"/"))
    )


def _checksums(columns: NDArray[np.void], texts: list[bytes]) -> NDArray[np.uint32]:
    """Return the crc32 of each text followed by its entry without the checksum itself."""
    width = columns.dtype.itemsize - np.dtype(np.uint32).itemsize  # it is the last column
    raw = np.ascontiguousarray(columns).view(np.uint8).reshape(len(columns), columns.dtype.itemsize)
    heads = np.ascontiguousarray(raw[:, :width]).tobytes()
    return np.fromiter(
        (
            zlib.crc32(heads[at : at + width], zlib.crc32(text))
            for at, text in zip(range(0, len(heads), width), texts, strict=True)
        ),
        np.uint32,
        len(texts),
    )
