"""Looking at every byte of a store, and saving what is sound of a damaged one."""

from __future__ import annotations

import os
import shutil
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h5py
import numpy as np

from imgcluster.errors import StoreError
from imgcluster.records import Progress, SilentProgress
from imgcluster.store import migrations, page_log, schema
from imgcluster.store.damage import DAMAGE
from imgcluster.store.lock import WriterLock
from imgcluster.store.migrations.m0002_failure_codes import with_codes
from imgcluster.store.opening import StoreFile, has_signature, replacement
from imgcluster.store.rows import append_rows, read_slab
from imgcluster.store.schema import CHECKSUMS, EMBEDDINGS, KEYS, ROWS_PER_CHUNK, SPACES, TABLES
from imgcluster.store.table import append_entries, read_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from imgcluster.records import Keys


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
    path = os.path.abspath(path)
    if not os.path.exists(path):
        raise StoreError(f"no feature store at {path}: run `imgcluster extract` first")
    try:
        file = StoreFile(path, write=False, lock=lock, notify=progress.note)
    except StoreError as error:
        if not isinstance(error.__cause__, DAMAGE):
            raise
        return Verification(0, (str(error),))
    try:
        findings = _salvage(file.h5, None, _size(file.target), progress)
    finally:
        file.close(keep=False)
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
    held = WriterLock(target) if lock else None
    try:
        pages = page_log.PagedFile(target, locking=lock)
        settled = pages.settle()
        pages.release()
        if not settled:
            raise StoreError(f"{path} is being read: run the command again when that has finished")
        return _rewrite(path, target, progress)
    finally:
        if held is not None:
            held.release()


def _rewrite(path: str, target: str, progress: Progress) -> Repair:
    keep = _free_name(f"{target}.damaged")
    with (
        _opened_somehow(path, target) as old,
        replacement(target, _keeping(keep), room=os.path.getsize(target)) as new,
        h5py.File(new, "w", libver="earliest") as file,
    ):
        migrations.migrate(file)
        findings = _salvage(old, file, os.path.getsize(old.filename), progress)
    return Repair(findings.rows, tuple(findings.problems), keep)


def _keeping(keep: str) -> Callable[[str, str], None]:
    def put(new: str, target: str) -> None:
        try:
            os.link(target, keep)
        except OSError:
            shutil.copy2(target, keep)
        os.replace(new, target)

    return put


def _free_name(name: str) -> str:
    number, free = 1, name
    while os.path.exists(free):
        number += 1
        free = f"{name}{number}"
    return free


@contextmanager
def _opened_somehow(path: str, target: str) -> Iterator[h5py.File]:
    """Open a damaged file; a missing end is read as zeros, which no checksum likes."""
    if not has_signature(target):
        raise StoreError(
            f"{path} is no HDF5 file, nothing in it can be saved: move it away and extract again"
        )
    copy = f"{target}.copy-{os.getpid()}"
    try:
        try:
            file = h5py.File(target, "r")
        except DAMAGE:
            try:
                shutil.copyfile(target, copy)
                _extend(copy)
                file = h5py.File(copy, "r")
            except DAMAGE as error:
                raise StoreError(
                    f"{path}: nothing can be saved ({error}): move it away and run `imgcluster extract` again"
                ) from error
        with file:
            yield file
    finally:
        if os.path.exists(copy):
            os.unlink(copy)


def _extend(path: str) -> None:
    """Give a file the length that its superblock (version 0, addresses of 8 bytes) speaks of."""
    with open(path, "r+b") as file:
        start = file.read(48)
        length = struct.unpack_from("<Q", start, 40)[0] if len(start) == 48 else 0
        # A damaged length may be anything; no store has ever been cut to less than a 64th.
        if length <= max(1 << 24, 64 * os.path.getsize(path)):
            file.truncate(max(length, os.path.getsize(path)))


def _size(target: str) -> int:
    """Give the most bytes that a store can have: those in its logs may be yet to be put in place."""
    files = (target, *page_log.log_paths(target))
    return sum(os.path.getsize(file) for file in files if os.path.exists(file))


def _salvage(old: h5py.File, new: h5py.File | None, size: int, progress: Progress) -> _Findings:
    """Read everything; note what is wrong, and copy what is right to `new` if there is one.

    `size` is how many bytes `old` has at most.
    """
    findings = _Findings()
    try:
        names = list(old[SPACES])
    except DAMAGE as error:
        findings.problems.append(f"the list of feature spaces cannot be read ({error})")
        names = []
    for name in names:
        try:
            _salvage_space(old[SPACES][name], new, size, findings, progress)
        except (*DAMAGE, StoreError) as error:
            findings.problems.append(f"feature space {name}: unreadable ({error})")
    for table in TABLES:
        try:
            entries = read_entries(old[table])
            if entries.damaged:
                findings.problems.append(f"table of {table}: {entries.damaged} damaged entries")
            if new is not None:
                append_entries(new[table], with_codes(entries) if table == "failures" else entries)
        except DAMAGE as error:
            findings.problems.append(f"table of {table}: unreadable ({error})")
    return findings


def _salvage_space(
    group: h5py.Group, new: h5py.File | None, size: int, findings: _Findings, progress: Progress
) -> None:
    space = schema.read_attributes(group)
    embeddings = group[EMBEDDINGS]
    lengths = [len(group[name]) for name in (KEYS, EMBEDDINGS, CHECKSUMS)]
    # Each row has a key of its own in the file, whatever a damaged header says.
    rows = min(*lengths, size // schema.KEY_BYTES)
    if max(lengths) != rows:
        findings.problems.append(f"feature space {space.name}: columns of {lengths} rows")
    if group.name != f"/{SPACES}/{space.name}":
        findings.problems.append(f"feature space {group.name}: its attributes say {space.name}")
    progress.begin(f"{'checking' if new is None else 'saving'} {space.name}", rows)
    target = None
    if new is not None:
        schema.create_space(new[SPACES], space, embeddings.shape[1], embeddings.dtype.name)
        target = new[SPACES][space.name]
    seen: set[bytes] = set()
    for start in range(0, rows, ROWS_PER_CHUNK):
        stop = min(rows, start + ROWS_PER_CHUNK)
        progress.advance(stop - start)
        try:
            keys, vectors, sound = read_slab(group, start, stop)
        except DAMAGE as error:
            findings.problems.append(
                f"feature space {space.name}: rows {start} to {stop - 1} unreadable ({error})"
            )
            continue
        for at in np.flatnonzero(~sound).tolist():
            findings.problems.append(
                f"feature space {space.name}: row {start + at} is damaged, image {keys[at].tobytes().hex()}"
            )
        fresh = _first_seen(keys, sound, seen)
        for at in np.flatnonzero(sound & ~fresh).tolist():
            findings.problems.append(f"feature space {space.name}: row {start + at} repeats a key")
        findings.rows += int(fresh.sum())
        if target is not None:
            append_rows(target, keys[fresh], vectors[fresh])


def _first_seen(keys: Keys, sound: NDArray[np.bool_], seen: set[bytes]) -> NDArray[np.bool_]:
    fresh = sound.copy()
    for at in np.flatnonzero(sound).tolist():
        key = keys[at].tobytes()
        fresh[at] = key not in seen
        seen.add(key)
    return fresh
