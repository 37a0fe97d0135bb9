"""What the store remembers of files: the images behind paths, failures, scanned folders, runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import cached_property
from typing import Any, Generic, TypeVar

import h5py
import numpy as np
from numpy.typing import NDArray

from imgcluster.errors import FailureCode, StoreError
from imgcluster.records import Failure, PathEntry, Run
from imgcluster.store.old_failures import with_codes
from imgcluster.store.schema import CORRUPTION, KEY_BYTES, RELATIVE, REMOVED, corrupted, open_table
from imgcluster.store.table import Entries, append_entries, is_plain, make_entries, read_entries

Item = TypeVar("Item")


_NONE = bytes(KEY_BYTES)
"""Stands in a store for no digest."""

_Transaction = Callable[[], AbstractContextManager[None]]


class _Table:
    """One table of the store at `path`, below whose folder paths are kept relative."""

    def __init__(self, file: h5py.File, name: str, path: str, transaction: _Transaction) -> None:
        self._file, self._name, self._path, self._transaction = file, name, path, transaction
        home = os.path.dirname(os.path.realpath(path) if os.path.islink(path) else path)
        self._prefix = os.fsencode(home).rstrip(b"/") + b"/"

    @property
    def is_there(self) -> bool:
        """Whether the store has it: one of an earlier version may not."""
        return self._name in self._file

    def read(self) -> Entries:
        """Read all entries, their paths absolute."""
        try:
            entries = read_entries(open_table(self._file, self._name))
        except CORRUPTION as error:
            raise corrupted(self._path, error) from error
        if entries.damaged:
            raise StoreError(
                f"{self._path}: {entries.damaged} entries of the table of {self._name} are damaged: "
                "run `imgcluster store repair`"
            )
        flags = entries.columns["flags"].tolist()
        return Entries(
            entries.columns,
            [
                self._prefix + text if flag & RELATIVE else text
                for text, flag in zip(entries.texts, flags, strict=True)
            ],
        )

    def append(self, texts: Iterable[bytes], flags: int | Sequence[int] = 0, **columns: Any) -> None:
        """Add entries; `texts` begin with absolute paths."""
        texts = list(texts)
        length = len(self._prefix)
        below = [text.startswith(self._prefix) and text[length : length + 1] not in b"/\0" for text in texts]
        kept = [text[length:] if inside else text for text, inside in zip(texts, below, strict=True)]
        all_flags = np.asarray(flags, np.uint8) | np.asarray(below, np.uint8) * np.uint8(RELATIVE)
        with self._transaction():
            append_entries(self._file[self._name], make_entries(self._name, kept, flags=all_flags, **columns))


class _LatestByPath(Generic[Item]):
    """A table of which the latest entry of each path counts; its `columns` are attributes of the items."""

    def __init__(
        self,
        table: _Table,
        columns: Sequence[str],
        unpack: Callable[[Entries], Iterable[tuple[bytes, Item]]],
        text: Callable[[bytes, Item], bytes] = lambda path, _: path,
    ) -> None:
        self._table, self._columns, self._unpack, self._text = table, columns, unpack, text

    @cached_property
    def items(self) -> dict[bytes, Item]:
        entries = self._table.read()
        flags_of_each = entries.columns["flags"]
        if not (flags_of_each & REMOVED).any():
            return dict(self._unpack(entries))
        items: dict[bytes, Item] = {}
        for (path, item), flags in zip(self._unpack(entries), flags_of_each.tolist(), strict=True):
            if flags & REMOVED:
                items.pop(path, None)
            else:
                items[path] = item
        return items

    def sorted(self) -> tuple[Item, ...]:
        return tuple(self.items[path] for path in sorted(self.items))

    def record(self, items: Mapping[bytes, Item]) -> None:
        known = self.items  # read before the new ones would be read as well
        values = {name: [getattr(item, name) for item in items.values()] for name in self._columns}
        self._table.append([self._text(*item) for item in items.items()], **values)
        known.update(items)

    def forget(self, paths: Iterable[bytes]) -> None:
        self._table.append([path for path in paths if self.items.pop(path, None)], REMOVED)


class PathTables:
    """The tables of one store.

    Parameters
    ----------
    file
        The store.
    path
        Where the store lies, absolute; paths below its folder are kept relative to it, so that folder and
        store can move together.
    transaction
        Goes around every change.
    """

    def __init__(self, file: h5py.File, path: str, transaction: _Transaction = nullcontext) -> None:
        self.path = path
        paths, failures, self._folders, self._runs, self._picture_keys = (
            _Table(file, name, path, transaction)
            for name in ("paths", "failures", "folders", "runs", "picture_keys")
        )
        self._paths = _LatestByPath(paths, ("size", "mtime_ns", "read_ns", "key"), _unpack_entries)
        stored = ("size", "mtime_ns", "code", "pixels")
        self._failures = _LatestByPath(failures, stored, _unpack_failures, _text_of_failure)

    def paths(self) -> tuple[PathEntry, ...]:
        """Return the latest entry of each path, absolute, sorted by the paths' bytes."""
        return self._paths.sorted()

    def record_paths(self, entries: Iterable[PathEntry]) -> None:
        """Remember which content lies at which path; an earlier failure of that path is settled."""
        new = {_encoded(entry.path): entry for entry in entries}
        self._paths.record(new)
        self._failures.forget(new)

    def failures(self) -> tuple[Failure, ...]:
        """Return the latest failure of each path that has not been read since, sorted by the paths' bytes."""
        return self._failures.sorted()

    def record_failures(self, failures: Iterable[Failure]) -> None:
        """Remember failures; one that is known already adds nothing.

        A failure of a file that has changed since it was last read also makes the store forget what it was; a
        temporary one does not.
        """
        known = self._failures.items
        latest = {_encoded(failure.path): failure for failure in failures}
        self._failures.record({path: f for path, f in latest.items() if known.get(path) != f})
        self._paths.forget(
            [path for path, f in latest.items() if has_changed(self._paths.items.get(path), f)]
        )

    def settle_failures(self, paths: Iterable[str]) -> None:
        """Forget failures of files that are gone or fail no more."""
        self._failures.forget(map(os.fsencode, paths))

    def scanned_folders(self) -> tuple[str, ...]:
        """Return the folders that were ever scanned, sorted."""
        return tuple(map(os.fsdecode, sorted(set(self._folders.read().texts))))

    def record_scanned(self, folders: Iterable[str]) -> None:
        """Remember scanned folders."""
        known = set(self.scanned_folders())
        self._folders.append(_encoded(f) for f in dict.fromkeys(folders) if f not in known)

    def runs(self) -> tuple[Run, ...]:
        """Return the runs, oldest first."""
        try:
            return tuple(map(_unpack_run, self._runs.read().texts))
        except CORRUPTION as error:
            raise corrupted(self.path, error) from error

    def record_run(self, run: Run) -> None:
        """Remember how an extraction was run."""
        self._runs.append([json.dumps(asdict(run)).encode()])

    @cached_property
    def picture_keys(self) -> dict[bytes, bytes]:
        """The digest of what makes the picture, for each key of which it is known; empty: it has none."""
        if not self._picture_keys.is_there:
            return {}
        columns = self._picture_keys.read().columns
        keys, pictures = (_digests(columns[name]) for name in ("key", "picture"))
        return {
            key: b"" if picture == _NONE else picture for key, picture in zip(keys, pictures, strict=True)
        }

    def record_picture_keys(self, pictures: Mapping[bytes, bytes]) -> None:
        """Remember by their keys what makes the pictures; what is known stays as it is."""
        known = self.picture_keys
        new = {key: picture for key, picture in pictures.items() if key not in known}
        if new:
            self._picture_keys.append(
                [b""] * len(new),
                key=new.keys(),
                picture=[picture or _NONE for picture in new.values()],
            )
            known |= new

    def copy_history(self, source: PathTables) -> None:
        """Take over which folders were scanned, the runs, and which files show the same."""
        self.record_scanned(source.scanned_folders())
        self.record_picture_keys(source.picture_keys)
        for run in source.runs():
            self.record_run(run)


def _encoded(path: str) -> bytes:
    encoded = os.fsencode(path)
    if not is_plain(encoded):
        raise ValueError(f"not an absolute path without ..: {path!r}")
    return encoded


def _unpack_entries(entries: Entries) -> Iterable[tuple[bytes, PathEntry]]:
    columns = entries.columns
    stats = (columns[name].tolist() for name in ("size", "mtime_ns", "read_ns"))
    known = map(PathEntry, map(os.fsdecode, entries.texts), *stats, _digests(columns["key"]))
    return zip(entries.texts, known, strict=True)


def _digests(column: NDArray[np.uint8]) -> Iterator[bytes]:
    joined = column.tobytes()
    return (joined[at : at + KEY_BYTES] for at in range(0, len(joined), KEY_BYTES))


def _text_of_failure(path: bytes, failure: Failure) -> bytes:
    return path + b"\0" + failure.reason.encode(errors="surrogateescape")


def _unpack_failures(entries: Entries) -> Iterable[tuple[bytes, Failure]]:
    entries = with_codes(entries)
    columns = (entries.columns[name].tolist() for name in ("code", "size", "mtime_ns", "pixels"))
    for text, code, *stat in zip(entries.texts, *columns, strict=True):
        path, _, reason = text.partition(b"\0")
        told = reason.decode(errors="surrogateescape")
        # A withdrawn entry has none.
        why = FailureCode(code.decode()) if code else FailureCode.DAMAGED
        yield path, Failure(os.fsdecode(path), told, why, *stat)


def _unpack_run(text: bytes) -> Run:
    run = json.loads(text)
    details = {str(name): str(value) for name, value in run.get("details", {}).items()}
    return Run(str(run["started"]), str(run["space"]), int(run["new"]), float(run["seconds"]), details)


def has_changed(entry: PathEntry | None, failure: Failure) -> bool:
    """Whether `failure` tells of another file than the one that `entry` knew at the same path."""
    if entry is None or failure.code.temporary or failure.size < 0:
        return False
    return (entry.size, entry.mtime_ns) != (failure.size, failure.mtime_ns)
