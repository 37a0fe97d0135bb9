"""Copies of one picture, each compared with the one that is kept, and which one that is."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.look_alikes import Embed
from imgcluster.analysis.looks import MOST_DIFFERENCE, Looks
from imgcluster.analysis.parallel import on_all_cores
from imgcluster.records import Progress

_ROWS, _TOGETHER, _COLUMNS = 1024, 64, 8192
_ROUNDING = 1e-6  # of a cosine
_AS_BRIGHT = MOST_DIFFERENCE + 0.01  # more than float32 loses of it

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
    remade
        Whether it was made of another one, and shows nothing more.
    """

    path: str
    key: bytes
    pixels: int
    size: int
    mtime_ns: int
    camera: bool = False
    preferred: int = 0
    remade: bool = False


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

    By what their user prefers, then as a camera made them, then those that were not made of another, most
    pixels, most bytes, the oldest, and the path that sorts first.
    """
    name = os.fsencode(file.path)
    return file.preferred, not file.camera, file.remade, -file.pixels, -file.size, file.mtime_ns, name


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
    embed: Embed
    threshold: float
    apart: Mapping[int, AbstractSet[int]]
    progress: Progress
    _groups: dict[int, set[int]] = field(default_factory=dict)

    def find(self, order: NDArray[np.intp]) -> list[Match]:
        """Compare the rows in `order`, those to keep first; memory does not grow with the number of pairs."""
        count = len(order)
        self._free = np.ones(len(self.looks.limits), np.bool_)
        self._place = np.zeros(len(self._free), np.intp)
        self._place[order] = np.arange(count)
        self._by_brightness = order[np.argsort(self.looks.brightness[order], kind="stable")]
        self.progress.begin("comparing pictures", count * (count + 1) // 2)
        found: list[Match] = []
        for start in range(0, count, _ROWS):
            here = order[start : start + _ROWS]
            found += self._take_all([self._alike((here, here))])
            # What these have given up among themselves is not compared with the others.
            found += self._take_all(on_all_cores(self._alike, self._beside(here, start + _ROWS)))
            self.progress.advance(len(here) * (len(here) + 1) // 2 + len(here) * (count - start - len(here)))
        return found

    def _beside(
        self, rows: NDArray[np.intp], first: int
    ) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """Yield some of the rows that are free, with those from place `first` on that are about as bright."""
        later = self._by_brightness[
            self._free[self._by_brightness] & (self._place[self._by_brightness] >= first)
        ]
        levels = self.looks.brightness
        later_levels = levels[later]
        rows = rows[self._free[rows]]
        rows = rows[np.argsort(levels[rows], kind="stable")]
        for start in range(0, len(rows), _TOGETHER):
            some = rows[start : start + _TOGETHER]
            ends = levels[some[0]] - _AS_BRIGHT, levels[some[-1]] + _AS_BRIGHT
            columns = later[slice(*np.searchsorted(later_levels, ends))]
            for at in range(0, len(columns), _COLUMNS):
                yield some, columns[at : at + _COLUMNS]

    def _alike(
        self, tile: tuple[NDArray[np.intp], NDArray[np.intp]]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Give the pairs of a tile, rows and columns, that may be the same, the row before the column."""
        rows, columns = tile
        alike = self.looks.may_be_alike(rows, columns)
        firsts, seconds = np.nonzero(alike & (self._place[columns] > self._place[rows][:, None]))
        return rows[firsts], columns[seconds]

    def _take_all(self, pairs: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]) -> Iterator[Match]:
        if not pairs:
            return
        rows, columns = (np.concatenate(side) for side in zip(*pairs, strict=True))
        sorted_ = np.lexsort((self._place[columns], self._place[rows]))
        rows, columns = rows[sorted_], columns[sorted_]
        ends = np.flatnonzero(np.diff(rows)) + 1
        for others, kept in zip(np.split(columns, ends), rows[[0, *ends]] if len(rows) else (), strict=False):
            if self._free[kept]:
                yield from self._take(int(kept), others[self._free[others]])

    def _take(self, kept: int, others: NDArray[np.intp]) -> Iterator[Match]:
        apart = self.looks.differences(kept, others)
        close = (apart <= self.looks.limits[kept]) & self.looks.shaped_alike(kept, others)
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
