"""Finding keys among a million others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgcluster.records import Keys


class KeyIndex:
    """Which row holds which key.

    Rows known from the start are found by binary search over the first eight bytes of their keys (a
    dictionary of a million keys takes two seconds to build); rows added later are in a small dictionary.

    Parameters
    ----------
    keys
        (rows, 32) uint8. Of equal keys the first row counts.
    """

    def __init__(self, keys: Keys) -> None:
        prefixes = _prefixes(keys)
        order = np.argsort(prefixes, kind="stable")
        self._keys = keys
        self._order = order
        self._prefixes = prefixes[order]
        self._added: dict[bytes, int] = {}
        self._rows = len(keys)

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """Return the row of each key, -1 where it has none: (N, 32) uint8 to (N,) int64."""
        rows = np.full(len(keys), -1, np.int64)
        wanted = _prefixes(keys)
        places = np.searchsorted(self._prefixes, wanted)
        open_questions = np.arange(len(keys))
        # Keys that share their first eight bytes stand next to each other; nearly always there is one.
        while len(open_questions):
            at = places[open_questions]
            within = at < len(self._prefixes)
            open_questions, at = open_questions[within], at[within]
            candidates = self._prefixes[at] == wanted[open_questions]
            open_questions, at = open_questions[candidates], self._order[at[candidates]]
            same = (self._keys[at] == keys[open_questions]).all(axis=1)
            rows[open_questions[same]] = at[same]
            open_questions = open_questions[~same]
            places[open_questions] += 1
        if self._added:
            for i in np.flatnonzero(rows < 0):
                rows[i] = self._added.get(keys[i].tobytes(), -1)
        return rows

    def add(self, keys: Keys) -> None:
        """Take note of keys, none of them known, that follow as the next rows."""
        for key in keys:
            self._added[key.tobytes()] = self._rows
            self._rows += 1


def _prefixes(keys: Keys) -> NDArray[np.uint64]:
    return np.ascontiguousarray(keys[:, :8]).view(np.uint64).reshape(-1)
