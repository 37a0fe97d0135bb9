"""Looking at every byte of a store, and saving what is sound of a damaged one."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field

import h5py
import numpy as np
from numpy.typing import NDArray

from imgcluster import files
from imgcluster.errors import StoreError
from imgcluster.records import Keys, Progress, SilentProgress
from imgcluster.store import schema, wal
from imgcluster.store.lock import WriterLock
from imgcluster.store.migrations.m0002_failure_codes import with_codes
from imgcluster.store.rows import append_rows, read_slab
from imgcluster.store.schema import (
    CORRUPTION,
    KEY_BYTES,
    KEYS,
    LATER_TABLES,
    ROWS_PER_CHUNK,
    SPACES,
    TABLES,
)
from imgcluster.store.store_file import StoreFile, being_read, failed, has_signature, new_store
from imgcluster.store.table import append_entries, read_entries


@dataclass(frozen=True)
class Verification:
    """What a look at every checksum found: rows that are right, and what is wrong, one line each."""

    rows: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Repair:
    """What a repair kept, what was lost (one line each), and where the damaged file lies now, if it was."""

    rows: int
    lost: tuple[str, ...]
    damaged_file: str | None = None


@dataclass
class _Findings:
    rows: int = 0
    problems: list[str] = field(default_factory=list)


def verify(path: str, *, lock: bool = True, progress: Progress | None = None) -> Verification:
    """Check structure and every checksum of a store.

    Raises
    ------
    StoreError
        There is no store, or it comes from a newer version: nothing can be said about it.
    """
    progress = progress or SilentProgress()
    try:
        with StoreFile(os.path.abspath(path), write=False, lock=lock, notify=progress.note) as file:
            findings = _salvage(file.h5, None, progress)
    except StoreError as error:
        if not isinstance(error.__cause__, CORRUPTION):
            raise
        return Verification(0, (str(error),))
    return Verification(findings.rows, tuple(findings.problems))


def repair(path: str, *, lock: bool = True, progress: Progress | None = None) -> Repair:
    """Rewrite a damaged store with every sound row; the damaged file is kept beside it.

    Raises
    ------
    StoreError
        Nothing can be read, or the store is sound but cannot be opened for another reason.
    """
    progress = progress or SilentProgress()
    path = os.path.abspath(path)
    found = verify(path, lock=lock, progress=progress)
    if not found.problems:
        return Repair(found.rows, ())
    target = os.path.realpath(path)
    with closing(WriterLock(target)) if lock else nullcontext():
        try:
            with closing(wal.WriteAheadLog(target, locking=lock)) as log:
                if not log.checkpoint():
                    raise being_read(path)
        except OSError as error:
            raise failed("write", path, error) from error
        return _rewrite(path, target, progress)


def _rewrite(path: str, target: str, progress: Progress) -> Repair:
    keep, number = f"{target}.damaged", 1
    while os.path.lexists(keep):
        number += 1
        keep = f"{target}.damaged{number}"

    def put(new: str, target: str) -> None:
        try:
            os.link(target, keep)
        except OSError:
            files.copy_new(target, keep)
        os.replace(new, target)

    with open_for_salvage(path, target) as old, new_store(target, put, room=os.path.getsize(target)) as new:
        findings = _salvage(old, new, progress)
    return Repair(findings.rows, tuple(findings.problems), keep)


@contextmanager
def open_for_salvage(path: str, target: str) -> Iterator[h5py.File]:
    """Open a damaged file; a missing end is read as zeros, which no checksum likes."""
    if not has_signature(target):
        raise StoreError(
            f"{path} is not an HDF5 file, nothing in it can be saved: move it away and extract again"
        )
    copy = files.temporary_name(os.path.dirname(target))
    try:
        try:
            file = h5py.File(target, "r")
        except CORRUPTION:
            try:
                files.copy_new(target, copy)
                _extend_file(copy)
                file = h5py.File(copy, "r")
            except CORRUPTION as error:
                raise StoreError(
                    f"{path}: nothing can be saved ({error}): move it away and run `imgcluster extract` again"
                ) from error
        with file:
            yield file
    finally:
        files.remove_if_there(copy)


def _extend_file(path: str) -> None:
    """Give a file the length that its superblock (version 0, addresses of 8 bytes) speaks of."""
    with os.fdopen(files.open_regular(path, os.O_RDWR), "r+b") as file:
        start = file.read(48)
        length = struct.unpack_from("<Q", start, 40)[0] if len(start) == 48 else 0
        # A damaged length may be anything; no store has ever been cut to less than a 64th.
        if length <= max(1 << 24, 64 * os.path.getsize(path)):
            file.truncate(max(length, os.path.getsize(path)))


def _salvage(old: h5py.File, new: h5py.File | None, progress: Progress) -> _Findings:
    """Read everything; note what is wrong, and copy what is right to `new` if there is one."""
    findings = _Findings()
    try:
        parent = schema.open_group(old, SPACES)
        names = list(parent)
    except CORRUPTION as error:
        findings.problems.append(f"the list of feature spaces cannot be read ({error})")
        names = []
    for name in names:
        try:
            _salvage_space(schema.open_group(parent, name), new, findings, progress)
        except CORRUPTION as error:
            findings.problems.append(f"feature space {name}: unreadable ({error})")
    try:
        pictures = schema.open_pictures(old)
        if pictures is not None:
            target = None if new is None else new[schema.PICTURES]
            _salvage_rows("pictures", pictures, len(pictures[KEYS]), target, findings, SilentProgress())
    except CORRUPTION as error:
        findings.problems.append(f"what pictures look like: unreadable ({error})")
    for table in TABLES:
        _salvage_table(old, new, table, findings)
    return findings


def _salvage_table(old: h5py.File, new: h5py.File | None, table: str, findings: _Findings) -> None:
    try:
        if table in LATER_TABLES and table not in old:
            return
        entries = read_entries(schema.open_table(old, table))
        if entries.damaged:
            findings.problems.append(f"table of {table}: {entries.damaged} damaged entries")
        if new is not None:
            append_entries(new[table], with_codes(entries) if table == "failures" else entries)
    except CORRUPTION as error:
        findings.problems.append(f"table of {table}: unreadable ({error})")


def _salvage_space(group: h5py.Group, new: h5py.File | None, findings: _Findings, progress: Progress) -> None:
    stored, lengths = schema.read_columns(group)
    name = stored.name
    # Each row has a key of its own in the file, whatever a damaged header says.
    rows = min(stored.rows, schema.file_size(group) // KEY_BYTES)
    if max(lengths) != rows:
        findings.problems.append(f"feature space {name}: columns of {[*lengths]} rows")
    if group.name != f"/{SPACES}/{name}":
        findings.problems.append(f"feature space {group.name}: its attributes say {name}")
    progress.begin(f"{'checking' if new is None else 'saving'} {name}", rows)
    target = None if new is None else schema.create_space(new, stored)
    findings.rows += _salvage_rows(f"feature space {name}", group, rows, target, findings, progress)


def _salvage_rows(
    name: str,
    group: h5py.Group,
    rows: int,
    target: h5py.Group | None,
    findings: _Findings,
    progress: Progress,
) -> int:
    """Note which rows are damaged, copy the others to `target` if there is one, and count them."""
    seen: set[bytes] = set()
    for start in range(0, rows, ROWS_PER_CHUNK):
        stop = min(rows, start + ROWS_PER_CHUNK)
        progress.advance(stop - start)
        try:
            keys, vectors, sound = read_slab(group, start, stop)
        except CORRUPTION as error:
            findings.problems.append(f"{name}: rows {start} to {stop - 1} unreadable ({error})")
            continue
        for at in np.flatnonzero(~sound).tolist():
            findings.problems.append(f"{name}: row {start + at} is damaged, image {keys[at].tobytes().hex()}")
        fresh = _first_seen(keys, sound, seen)
        for at in np.flatnonzero(sound & ~fresh).tolist():
            findings.problems.append(f"{name}: row {start + at} repeats a key")
        if target is not None:
            append_rows(target, keys[fresh], vectors[fresh])
    return len(seen)


def _first_seen(keys: Keys, sound: NDArray[np.bool_], seen: set[bytes]) -> NDArray[np.bool_]:
    fresh = sound.copy()
    for at in np.flatnonzero(sound).tolist():
        key = keys[at].tobytes()
        fresh[at] = key not in seen
        seen.add(key)
    return fresh
