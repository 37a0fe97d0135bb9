"""Looking at every byte of a store, and saving what is sound of a damaged one."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import BinaryIO

import h5py

from imgcluster import files
from imgcluster.errors import StoreError
from imgcluster.held import Held, at, hard_link, replace_held
from imgcluster.records import SILENT, Progress
from imgcluster.store import schema, wal
from imgcluster.store.lock import WriterLock
from imgcluster.store.old_failures import with_codes
from imgcluster.store.rows import Rows, rows_like
from imgcluster.store.schema import (
    CORRUPTION,
    KEY_BYTES,
    LATER_TABLES,
    ROWS_PER_CHUNK,
    SPACES,
    TABLES,
)
from imgcluster.store.store_file import StoreFile, being_read, failed, has_signature, new_store
from imgcluster.store.table import append_entries, read_entries
from imgcluster.tabular import Tabular
from imgcluster.typed import place_of


@dataclass(frozen=True)
class Verification(Tabular):
    """What a look at every checksum found: rows that are right, and what is wrong, one line each."""

    rows: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Repair(Tabular):
    """What a repair kept, what was lost (one line each), and where the damaged file lies now, if it was."""

    rows: int
    lost: tuple[str, ...]
    damaged_file: str | None = None


def verify(path: str, *, lock: bool = True, progress: Progress = SILENT) -> Verification:
    """Check structure and every checksum of a store.

    Raises
    ------
    StoreError
        There is no store, or it comes from a newer version: nothing can be said about it.
    """
    try:
        with StoreFile(path, write=False, lock=lock, notify=progress.note) as file:
            found = _Salvage(None, file.path, progress).of(file.h5)
    except StoreError as error:
        if not isinstance(error.__cause__, CORRUPTION):
            raise
        return Verification(0, (str(error),))
    return found


def repair(path: str, *, lock: bool = True, progress: Progress = SILENT) -> Repair:
    """Rewrite a damaged store with every sound row; the damaged file is kept beside it.

    Raises
    ------
    StoreError
        Nothing can be read, or the store is sound but cannot be opened for another reason.
    """
    target, path = place_of(path), os.path.abspath(path)  # once: what lies there later may be a link
    found = verify(target, lock=lock, progress=progress)
    if not found.problems:
        return Repair(found.rows, ())
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

    def put(new: Held, place: Held) -> None:
        aside = place.beside(os.path.basename(keep))
        try:
            hard_link(place, aside)
        except OSError:
            files.copy_new(place, aside)
        replace_held(new, place)

    with _open_damaged(path, target) as old, new_store(target, put, room=os.path.getsize(target)) as new:
        saved = _Salvage(new, path, progress).of(old)
    return Repair(saved.rows, saved.problems, keep)


@contextmanager
def _open_damaged(path: str, target: str) -> Iterator[h5py.File]:
    """Open a damaged file; a missing end is read as zeros, which no checksum likes."""
    if not has_signature(target):
        raise StoreError(
            f"{path} is not an HDF5 file, nothing in it can be saved: move it away and extract again"
        )
    with ExitStack() as opened:
        place = opened.enter_context(at(target))
        stream: BinaryIO = opened.enter_context(os.fdopen(files.open_named(place), "rb"))
        try:
            file = _open(stream)
        except CORRUPTION:
            try:
                copy = place.beside(files.temporary_name(""))
                files.copy_new(place, copy)
                opened.callback(copy.unlink)
                stream = opened.enter_context(os.fdopen(files.open_regular(copy, os.O_RDWR), "r+b"))
                _extend_file(stream)
                file = _open(stream)
            except CORRUPTION as error:
                raise StoreError(
                    f"{path}: nothing can be saved ({error}): move it away and run `imgcluster extract` again"
                ) from error
        with file:
            yield file


def _open(stream: BinaryIO) -> h5py.File:
    return h5py.File(files.path_of(stream.fileno()) or stream, "r")


def _extend_file(file: BinaryIO) -> None:
    """Give a file the length that its superblock (version 0, addresses of 8 bytes) speaks of."""
    start, size = file.read(48), os.fstat(file.fileno()).st_size
    length = struct.unpack_from("<Q", start, 40)[0] if len(start) == 48 else 0
    # A damaged length may be anything; no store has ever been cut to less than a 64th.
    if length <= max(1 << 24, 64 * size):
        file.truncate(max(length, size))


class _Salvage:
    """Reads everything in a store, notes what is wrong, and copies what is right to `new` if there is one."""

    def __init__(self, new: h5py.File | None, path: str, progress: Progress) -> None:
        self._new, self._path, self._progress = new, path, progress
        self._problems: list[str] = []

    def of(self, old: h5py.File) -> Verification:
        rows = 0
        with self._noted("the list of feature spaces cannot be read"):
            parent = schema.open_group(old, SPACES)
            for name in list(parent):
                with self._noted(f"feature space {name}: unreadable"):
                    rows += self._save_space(schema.open_group(parent, name))
        with self._noted("what pictures look like: unreadable"):
            pictures = schema.open_pictures(old)
            if pictures is not None:
                looks = Rows(pictures, self._path)
                target = self._new and rows_like(self._new, self._path, looks)
                self._save_rows("pictures", looks, len(looks), target, SILENT)
        for table in TABLES:
            with self._noted(f"table of {table}: unreadable"):
                if table in old or table not in LATER_TABLES:
                    self._save_table(old, table)
        return Verification(rows, tuple(self._problems))

    @contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        try:
            yield
        except CORRUPTION as error:
            self._problems.append(f"{what} ({error})")

    def _save_table(self, old: h5py.File, table: str) -> None:
        entries = read_entries(schema.open_table(old, table))
        if entries.damaged:
            self._problems.append(f"table of {table}: {entries.damaged} damaged entries")
        if self._new is not None:
            append_entries(self._new[table], with_codes(entries) if table == "failures" else entries)

    def _save_space(self, group: h5py.Group) -> int:
        stored, lengths = schema.read_columns(group)
        name = stored.name
        # Each row has a key of its own in the file, whatever a damaged header says.
        rows = min(stored.rows, schema.file_size(group) // KEY_BYTES)
        if max(lengths) != rows:
            self._problems.append(f"feature space {name}: columns of {[*lengths]} rows")
        if group.name != f"/{SPACES}/{name}":
            self._problems.append(f"feature space {group.name}: its attributes say {name}")
        self._progress.begin(f"{'checking' if self._new is None else 'saving'} {name}", rows)
        target = self._new and Rows(schema.create_space(self._new, stored), self._path)
        source = Rows(group, self._path)
        return self._save_rows(f"feature space {name}", source, rows, target, self._progress)

    def _save_rows(self, name: str, source: Rows, rows: int, target: Rows | None, progress: Progress) -> int:
        """Note which rows are damaged, copy the others to `target` if there is one, and count them."""
        seen: set[bytes] = set()
        for start in range(0, rows, ROWS_PER_CHUNK):
            stop = min(rows, start + ROWS_PER_CHUNK)
            progress.advance(stop - start)
            try:
                keys, values, sound = source.slab(start, stop)
            except CORRUPTION as error:
                self._problems.append(f"{name}: rows {start} to {stop - 1} unreadable ({error})")
                continue
            fresh = sound.copy()
            for row, key in enumerate(map(bytes, keys)):
                if not sound[row]:
                    self._problems.append(f"{name}: row {start + row} is damaged, image {key.hex()}")
                elif key in seen:
                    fresh[row] = False
                    self._problems.append(f"{name}: row {start + row} repeats a key")
                else:
                    seen.add(key)
            if target is not None:
                target.append(keys[fresh], values[fresh])
        return len(seen)
