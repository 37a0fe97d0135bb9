"""What the store remembers of files: the images behind paths, failures, scanned folders."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.errors import FailureCode, StoreError
from imgcluster.records import Failure, PathEntry, Run
from imgcluster.store.damage import DAMAGE, damaged
from imgcluster.store.migrations.m0002_failure_codes import with_codes
from imgcluster.store.schema import RELATIVE, REMOVED
from imgcluster.store.table import Entries, append_entries, make_entries, read_entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import h5py


def _home(path: str) -> str:
    """Return the folder that the paths in the store at `path` (absolute) are relative to."""
    return os.path.dirname(os.path.realpath(path) if os.path.islink(path) else path)


class PathTables:
    """The tables of one store. In each, the latest entry of a path is the one that counts.

    Parameters
    ----------
    file
        The store.
    path
        Where the store lies, absolute; paths below its folder are kept relative to it, so that folder and
        store can move together.
    """

    def __init__(self, file: h5py.File, path: str) -> None:
        self._file = file
        self._path = path
        self._prefix = os.fsencode(_home(path)).rstrip(b"/") + b"/"
        self._failures: dict[bytes, Failure] | None = None
        self._entries: dict[bytes, PathEntry] | None = None

    # Paths.

    def paths(self) -> tuple[PathEntry, ...]:
        """Return the latest entry of each path, sorted by the paths' bytes."""
        known = self._known()
        return tuple(known[path] for path in sorted(known))

    def record_paths(self, entries: Iterable[PathEntry]) -> None:
        """Remember entries; a failure of the same path is settled thereby."""
        new = {os.fsencode(entry.path): entry for entry in entries}
        values = list(new.values())
        texts, flags = self._relative(new)
        self._append(
            "paths",
            make_entries(
                "paths",
                texts,
                flags=flags,
                size=[e.size for e in values],
                mtime_ns=[e.mtime_ns for e in values],
                read_ns=[e.read_ns for e in values],
                key=np.frombuffer(b"".join(e.key for e in values), np.uint8).reshape(-1, 32),
            ),
        )
        self._known().update(new)
        self._clear_failures(new)

    def forget_paths(self, paths: Iterable[str]) -> None:
        """Forget paths and their failures."""
        gone = dict.fromkeys(map(os.fsencode, paths))
        self._forget(gone)
        self._clear_failures(gone)

    def settle_failures(self, paths: Iterable[str]) -> None:
        """Forget failures only."""
        self._clear_failures(dict.fromkeys(map(os.fsencode, paths)))

    def _forget(self, paths: Iterable[bytes]) -> None:
        self._remove("paths", [path for path in paths if self._known().pop(path, None)])

    def _known(self) -> dict[bytes, PathEntry]:
        if self._entries is None:
            entries = self._read("paths")
            columns = entries.columns
            keys = columns["key"].tobytes()
            self._entries = {}
            for path, flags, size, mtime_ns, read_ns, at in zip(
                self._absolute(entries),
                columns["flags"].tolist(),
                columns["size"].tolist(),
                columns["mtime_ns"].tolist(),
                columns["read_ns"].tolist(),
                range(0, len(keys), 32),
                strict=True,
            ):
                if flags & REMOVED:
                    self._entries.pop(path, None)
                else:
                    name = os.fsdecode(path)
                    self._entries[path] = PathEntry(name, size, mtime_ns, read_ns, keys[at : at + 32])
        return self._entries

    # Failures.

    def failures(self) -> tuple[Failure, ...]:
        """Return the failures that nothing has settled since, sorted by the paths' bytes."""
        known = self._known_failures()
        return tuple(known[path] for path in sorted(known))

    def record_failures(self, failures: Iterable[Failure]) -> None:
        """Remember those that are new. What was known of a file before it changed and failed is forgotten."""
        known = self._known_failures()
        latest = {os.fsencode(failure.path): failure for failure in failures}
        new = {path: failure for path, failure in latest.items() if known.get(path) != failure}
        values = list(new.values())
        texts, flags = self._relative(new)
        self._append(
            "failures",
            make_entries(
                "failures",
                [
                    text + b"\0" + f.reason.encode(errors="surrogateescape")
                    for text, f in zip(texts, values, strict=True)
                ],
                flags=flags,
                size=[f.size for f in values],
                mtime_ns=[f.mtime_ns for f in values],
                code=[f.code.encode() for f in values],
                pixels=[f.pixels for f in values],
            ),
        )
        known.update(new)
        outdated = [path for path, failure in latest.items() if _changed(self._known().get(path), failure)]
        self._forget(outdated)

    def _known_failures(self) -> dict[bytes, Failure]:
        if self._failures is None:
            entries = with_codes(self._read("failures"))
            reasons = [text.partition(b"\0")[2].decode(errors="surrogateescape") for text in entries.texts]
            names = [text.partition(b"\0")[0] for text in entries.texts]
            columns = entries.columns
            self._failures = {}
            for path, reason, flags, code, size, mtime_ns, pixels in zip(
                self._absolute(Entries(columns, names)),
                reasons,
                columns["flags"].tolist(),
                columns["code"].tolist(),
                columns["size"].tolist(),
                columns["mtime_ns"].tolist(),
                columns["pixels"].tolist(),
                strict=True,
            ):
                if flags & REMOVED:
                    self._failures.pop(path, None)
                else:
                    name, why = os.fsdecode(path), FailureCode(code.decode())
                    self._failures[path] = Failure(name, reason, why, size, mtime_ns, pixels)
        return self._failures

    def _clear_failures(self, paths: Iterable[bytes]) -> None:
        known = self._known_failures()
        self._remove("failures", [path for path in paths if known.pop(path, None)])

    # Folders and runs.

    def folders(self) -> tuple[str, ...]:
        """Return the folders that were scanned, sorted."""
        paths = self._absolute(self._read("folders"))
        return tuple(os.fsdecode(path) for path in sorted(set(paths)))

    def record_folders(self, folders: Iterable[str]) -> None:
        """Remember scanned folders."""
        known = set(self.folders())
        texts, flags = self._relative([os.fsencode(f) for f in dict.fromkeys(folders) if f not in known])
        self._append("folders", make_entries("folders", texts, flags=flags))

    def runs(self) -> tuple[Run, ...]:
        """Return the runs, oldest first."""
        return tuple(Run(**json.loads(text)) for text in self._read("runs").texts)

    def record_run(self, run: Run) -> None:
        """Remember a run."""
        self._append("runs", make_entries("runs", [json.dumps(asdict(run)).encode()]))

    # Common.

    def _read(self, table: str) -> Entries:
        try:
            entries = read_entries(self._file[table])
        except DAMAGE as error:
            raise damaged(self._path, error) from error
        if entries.damaged:
            raise StoreError(
                f"{self._path}: {entries.damaged} entries of the table of {table} are damaged: "
                "run `imgcluster store repair`"
            )
        return entries

    def _append(self, table: str, entries: Entries) -> None:
        append_entries(self._file[table], entries)

    def _remove(self, table: str, paths: Sequence[bytes]) -> None:
        texts, flags = self._relative(paths)
        self._append(table, make_entries(table, texts, flags=[flag | REMOVED for flag in flags]))

    def _relative(self, paths: Iterable[bytes]) -> tuple[list[bytes], list[int]]:
        prefix, length = self._prefix, len(self._prefix)
        below = [path.startswith(prefix) for path in paths]
        texts = [path[length:] if inside else path for path, inside in zip(paths, below, strict=True)]
        return texts, [RELATIVE * inside for inside in below]

    def _absolute(self, entries: Entries) -> list[bytes]:
        flags = entries.columns["flags"].tolist()
        prefix = self._prefix
        return [
            prefix + text if flag & RELATIVE else text
            for text, flag in zip(entries.texts, flags, strict=True)
        ]


def _changed(entry: PathEntry | None, failure: Failure) -> bool:
    """Whether `failure` tells of another file than the one that `entry` knew at the same path."""
    if entry is None or failure.code.temporary or failure.size < 0:
        return False
    return (entry.size, entry.mtime_ns) != (failure.size, failure.mtime_ns)
