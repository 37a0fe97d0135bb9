"""Which copy of an image to keep: a documented order, and never none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imgcluster.analysis.neighbours import Pair, groups


@dataclass(frozen=True, slots=True)
class DuplicateFile:
    """One file of a group of duplicates.

    Attributes
    ----------
    path
        Absolute.
    key
        SHA-256 of the file's bytes.
    pixels
        Width times height.
    size
        Of the file, in bytes.
    mtime_ns
        When it was last changed.
    """

    path: str
    key: bytes
    pixels: int
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """One group of duplicates: the copy to keep, and those that could go, the better ones first."""

    keep: DuplicateFile
    redundant: tuple[DuplicateFile, ...]


def plan_group(copies: Iterable[DuplicateFile]) -> DuplicateGroup:
    """Choose the copy to keep: most pixels, then most bytes, then oldest, then the path that sorts first.

    Parameters
    ----------
    copies
        At least one, each path once.

    Raises
    ------
    ValueError
        Where there is none.
    """
    ordered = sorted(copies, key=_worth)
    if not ordered:
        raise ValueError("a group of duplicates has at least one copy")
    return DuplicateGroup(ordered[0], tuple(ordered[1:]))


def duplicate_groups(
    copies: Sequence[DuplicateFile],
    keys: Sequence[bytes],
    pairs: Iterable[Pair],
    cannot_link: Iterable[tuple[bytes, bytes]] = (),
) -> tuple[DuplicateGroup, ...]:
    """Group copies that are equal byte for byte or look alike, and plan each group.

    Parameters
    ----------
    copies
        All files.
    keys
        Key of each row that `pairs` speaks of.
    pairs
        Rows that look alike.
    cannot_link
        Pairs of keys that someone judged not to be duplicates: they never share a group again.

    Returns
    -------
    Plans of groups of two and more files, in the order of their keys' rows.
    """
    place = {key: row for row, key in enumerate(keys)}
    files: dict[int, list[DuplicateFile]] = {}
    for copy in copies:
        if copy.key in place:
            files.setdefault(place[copy.key], []).append(copy)
    excluded = {(place[one], place[other]) for one, other in cannot_link if one in place and other in place}
    alike = groups((pair for pair in pairs if {pair.first, pair.second} <= files.keys()), len(keys), excluded)
    grouped = {row for group in alike for row in group}
    rows = sorted([*alike, *((row,) for row in files if row not in grouped)])
    found = ([copy for row in group for copy in files[row]] for group in rows)
    return tuple(plan_group(group) for group in found if len(group) > 1)


def _worth(copy: DuplicateFile) -> tuple[int, int, int, bytes]:
    return -copy.pixels, -copy.size, copy.mtime_ns, copy.path.encode("utf-8", "surrogateescape")
