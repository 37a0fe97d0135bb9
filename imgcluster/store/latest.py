"""What several stores know of paths, put together: which of them comes first makes no difference."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from imgcluster.records import Failure, PathEntry
from imgcluster.store.path_table import has_changed


@dataclass
class Latest:
    """Of each path the latest that any of the stores knows."""

    _entries: dict[str, PathEntry] = field(default_factory=dict)
    _failures: dict[str, Failure] = field(default_factory=dict)

    def learn(self, entries: Iterable[PathEntry], failures: Iterable[Failure]) -> None:
        """Take in what one more store knows."""
        for entry in entries:
            known = self._entries.get(entry.path)
            if known is None or known.read_ns <= entry.read_ns:
                self._entries[entry.path] = entry
        for failure in failures:
            other = self._failures.get(failure.path)
            if other is None or other.mtime_ns <= failure.mtime_ns:
                self._failures[failure.path] = failure

    def entries(self) -> tuple[PathEntry, ...]:
        """Return the entries of files that did not change before they failed, sorted by the paths' bytes."""
        changed = {f.path for f in self.failures() if has_changed(self._entries.get(f.path), f)}
        paths = sorted(self._entries.keys() - changed if changed else self._entries, key=os.fsencode)
        return tuple(self._entries[path] for path in paths)

    def failures(self) -> tuple[Failure, ...]:
        """Return the failures of paths that were not read since, sorted by the paths' bytes."""
        # When a file failed is not known: it did after it had been read only if it was changed later.
        lasting = (
            failure
            for path, failure in self._failures.items()
            if path not in self._entries or self._entries[path].mtime_ns < failure.mtime_ns
        )
        return tuple(sorted(lasting, key=lambda failure: os.fsencode(failure.path)))
