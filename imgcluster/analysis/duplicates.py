"""Copies of one picture, each compared with the one that is kept, and which one that is."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.looks import Looks
from imgcluster.analysis.parallel import on_all_cores
from imgcluster.records import Embeddings, Progress

_ROWS, _COLUMNS = 256, 2048
_AT_ONCE = 8  # tiles
_ROUNDING = 1e-6  # of a cosine

Kind = Literal["equal", "same picture", "look-alike"]


@dataclass(frozen=True, slots=True)
class DuplicateFile:
    """One file that may have copies.

    Attributes
    ----------
    path
        Absolute.
    key
        SHA-256 of the file's bytes.
    pixels
        Width times height; 0 where it is not known.
    size
        Of the file, in bytes.
    mtime_ns
        When it was last changed.
    camera
        Whether it is as a camera made it.
    preferred
        Lower where its user would rather keep it.
    """

    path: str
    key: bytes
    pixels: int
    size: int
    mtime_ns: int
    camera: bool = False
    preferred: int = 0


@dataclass(frozen=True, slots=True)
class Match:
    """The rows of two images, the `cosine` of their embeddings, and the `difference` of their pixels."""

    kept: int
    copy: int
    kind: Kind
    cosine: float
    difference: float


@dataclass(frozen=True, slots=True)
class Copy:
    """A file, and how it compares with the one that is kept."""

    file: DuplicateFile
    kind: Kind
    cosine: float
    difference: float


@dataclass(frozen=True)
class DuplicateGroup:
    """The file to keep, and its copies, those of equal bytes first."""

    keep: DuplicateFile
    copies: tuple[Copy, ...]


def worth(file: DuplicateFile) -> tuple[object, ...]:
    """Order files, those to keep first.

    By what their user prefers, then as a camera made them, then most pixels, most bytes, the oldest, and the
    path that sorts first.
    """
    name = os.fsencode(file.path)
    return file.preferred, not file.camera, -file.pixels, -file.size, file.mtime_ns, name


@dataclass
class SamePictures:
    """Finds copies: the first picture is kept, every later one that is the same has no further part in it.

    So it goes on with the first that is left. What is in one group was compared with the one that is kept,
    never through a third.

    Attributes
    ----------
    looks
        Of N pictures.
    embed
        Gives the embeddings of some of them, of unit length: (n,) rows to (n, D).
    threshold
        Smallest cosine of two copies.
    apart
        For a row those that share no group with it.
    progress
        Told how many pairs were compared.
    """

    looks: Looks
    embed: Callable[[NDArray[np.intp]], Embeddings]
    threshold: float
    apart: Mapping[int, AbstractSet[int]]
    progress: Progress
    _groups: dict[int, set[int]] = field(default_factory=dict)

    def find(self, order: NDArray[np.intp]) -> list[Match]:
        """Compare the rows in `order`, those to keep first; memory does not grow with the number of pairs."""
        count = len(order)
        self._order, self._free = order, np.ones(len(self.looks.limits), np.bool_)
        self.progress.begin("comparing pictures", count * (count + 1) // 2)
        found: list[Match] = []
        for start in range(0, count, _ROWS):
            tiles = [(start, left) for left in range(start, count, _COLUMNS)]
            # What the first tile gives up is not compared with the others.
            for some in (tiles[:1], *(tiles[at : at + _AT_ONCE] for at in range(1, len(tiles), _AT_ONCE))):
                for rows, columns in on_all_cores(self._alike, some):
                    found += self._take_all(rows, columns)
            here = min(_ROWS, count - start)
            self.progress.advance(here * (here + 1) // 2 + here * (count - start - here))
        return found

    def _alike(self, tile: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Give the pairs of a tile that may be the same, the rows rising, the later one second."""
        rows, columns = (
            np.arange(start, min(start + size, len(self._order)))
            for start, size in zip(tile, (_ROWS, _COLUMNS), strict=True)
        )
        rows, columns = (some[self._free[self._order[some]]] for some in (rows, columns))
        alike = self.looks.may_be_alike(self._order[rows], self._order[columns])
        firsts, seconds = np.nonzero(alike & (columns > rows[:, None]))
        return self._order[rows[firsts]], self._order[columns[seconds]]

    def _take_all(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Iterator[Match]:
        ends = np.flatnonzero(np.diff(rows)) + 1
        for others, kept in zip(np.split(columns, ends), rows[[0, *ends]] if len(rows) else (), strict=False):
            if self._free[kept]:
                yield from self._take(int(kept), others[self._free[others]])

    def _take(self, kept: int, others: NDArray[np.intp]) -> Iterator[Match]:
        apart = self.looks.differences(kept, others)
        close = apart <= self.looks.limits[kept]
        if not close.any():
            return
        others, apart = others[close], apart[close]
        cosines = self.embed(others) @ self.embed(np.array([kept]))[0]
        group = self._groups.setdefault(kept, set())
        for other, cosine, difference in zip(others.tolist(), cosines.tolist(), apart.tolist(), strict=True):
            judged = self.apart.get(other, frozenset())
            if cosine >= self.threshold - _ROUNDING and kept not in judged and not judged & group:
                self._free[other] = False
                group.add(other)
                yield Match(kept, other, "same picture", cosine, difference)


def group_files(
    files: Iterable[DuplicateFile], matches: Iterable[Match], keys: Sequence[bytes]
) -> tuple[DuplicateGroup, ...]:
    """Bring files of equal bytes and of the same picture together; of a kept image the best file is kept.

    Parameters
    ----------
    files
        All, each path once.
    matches
        Of the rows of `keys`; none of the copies is kept in another match.

    Returns
    -------
    Groups of two and more files, in the order of the paths that are kept.
    """
    by_key = _by_key(files)
    copies: defaultdict[bytes, list[Copy]] = defaultdict(list)
    for match in matches:
        if keys[match.kept] in by_key:
            given_up = by_key.pop(keys[match.copy], ())
            copies[keys[match.kept]] += (
                Copy(file, match.kind, match.cosine, match.difference) for file in given_up
            )
    groups = (
        DuplicateGroup(keep, (*(Copy(file, "equal", 1.0, 0.0) for file in equal), *copies[key]))
        for key, (keep, *equal) in by_key.items()
    )
    found = (group for group in groups if group.copies)
    return tuple(sorted(found, key=lambda group: os.fsencode(group.keep.path)))


def best_files(files: Iterable[DuplicateFile]) -> list[DuplicateFile]:
    """Give the best file of each image."""
    return [best for best, *_ in _by_key(files).values()]


def _by_key(files: Iterable[DuplicateFile]) -> dict[bytes, list[DuplicateFile]]:
    by_key: defaultdict[bytes, list[DuplicateFile]] = defaultdict(list)
    for file in sorted(files, key=worth):
        by_key[file.key].append(file)
    return dict(by_key)
