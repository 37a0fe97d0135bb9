"""What lies in a clustering: our own files, ours that a person moved, and those of others."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.files import is_temporary
from imgcluster.output.marker import Marker, OwnFile, read_marker
from imgcluster.records import CLUSTERING_MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from collections.abc import Set as AbstractSet

JOURNAL = ".imgcluster-moves"
UNFINISHED = ".imgcluster-unfinished"
"""The folder of a clustering in which what is added to it later is made; what lies there is of no use."""
KEPT = "kept"
"""The folder of a clustering for images that would otherwise be lost with it."""

_BOOKKEEPING = frozenset({CLUSTERING_MARKER, f"{CLUSTERING_MARKER}.part", JOURNAL, f"{JOURNAL}.part"})
# What file managers leave behind wherever somebody looks: carried along, but no reason to stop.
_FILE_MANAGERS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory"})


@dataclass
class Contents:
    """What a folder holds, all paths relative to it.

    Attributes
    ----------
    ours
        Path to the path by which the marker knows the file; they differ where a person moved it from one
        cluster folder to another.
    foreign
        Files, and whole folders of files, that we did not put there, or that somebody has changed.
    folders
        Folders that are ours, each before those in it.
    bookkeeping
        Marker, journal and what is unfinished.
    """

    ours: dict[str, str] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    bookkeeping: list[str] = field(default_factory=list)

    @property
    def moved_by_hand(self) -> list[tuple[str, str]]:
        """(where it is, where we had put it) of each image that a person moved between clusters."""
        return [(now, then) for now, then in self.ours.items() if now != then]


def examine(folder: str, marker: Marker | None) -> Contents:
    """List what `folder` holds, and tell what is ours by `marker`. Links are never followed."""
    files = {} if marker is None else marker.files
    contents, strangers = Contents(), []
    own_folders = set(_folders_of(files))
    pending = [""]
    while pending:
        parent = pending.pop()
        with os.scandir(os.path.join(folder, parent)) as entries:
            for entry in entries:
                relative = f"{parent}/{entry.name}" if parent else entry.name
                if relative == UNFINISHED:
                    contents.bookkeeping.append(relative)
                elif entry.is_dir(follow_symlinks=False):
                    if relative in own_folders:
                        contents.folders.append(relative)
                        pending.append(relative)
                    else:
                        contents.foreign.append(relative)
                elif relative in _BOOKKEEPING or is_temporary(relative):
                    contents.bookkeeping.append(relative)
                elif relative in files and files[relative].is_at(
                    entry.path, entry.stat(follow_symlinks=False)
                ):
                    contents.ours[relative] = relative
                else:
                    strangers.append(relative)
    contents.ours.update(_moved_by_hand(folder, files, strangers, contents))
    contents.foreign += [path for path in strangers if path not in contents.ours]
    contents.foreign.sort(key=os.fsencode)
    return contents


def check_replaceable(out: str, moving: AbstractSet[str], *, force: bool) -> Marker | None:
    """Return the marker of what lies at `out`, if any, when it may be replaced.

    `moving` are files in there that will have a place in the new clustering.

    Raises
    ------
    ImgclusterError
        When something there is not ours, names it; with `force` only when `out` is no folder.
    """
    if not os.path.lexists(out):
        return None
    if not os.path.isdir(out):
        raise ImgclusterError(f"{out} is a file: choose another --out")
    marker = read_marker(out)
    if force:
        return marker
    contents = examine(out, marker)
    for now, then in contents.moved_by_hand:
        raise ImgclusterError(
            f"{os.path.join(out, now)} was moved by hand from {os.path.dirname(then)}/: "
            "move it back, choose another --out, or --force to give that correction up"
        )
    stranger = next((path for path in _in_the_way(out, contents) if f"{out}/{path}" not in moving), None)
    if stranger is None:
        return marker
    path = os.path.join(out, stranger)
    if marker is None:
        raise ImgclusterError(
            f"{out} was not made by imgcluster and holds {stranger}: choose another --out, "
            "or --force to add the clusters to it"
        )
    if stranger in marker.files:
        raise ImgclusterError(
            f"{path} was changed since it was put there: move it away, or --force to keep it in place"
        )
    raise ImgclusterError(
        f"{path} was not put there by imgcluster: move it away, or --force to keep it in place"
    )


def _in_the_way(out: str, contents: Contents) -> Iterator[str]:
    for relative in contents.foreign:
        path = os.path.join(out, relative)
        if relative == KEPT or os.path.basename(relative) in _FILE_MANAGERS:
            continue
        if os.path.islink(path) or not os.path.isdir(path):
            yield relative
            continue
        for folder, _, names in os.walk(path):
            yield from (os.path.relpath(os.path.join(folder, name), out) for name in sorted(names))


def _folders_of(paths: Iterable[str]) -> Iterator[str]:
    for folder in {os.path.dirname(path) for path in paths}:
        while folder:
            yield folder
            folder = os.path.dirname(folder)  # noqa: PLW2901 - walks up


def _moved_by_hand(
    folder: str, files: dict[str, OwnFile], strangers: list[str], contents: Contents
) -> dict[str, str]:
    """Find the images among `strangers` that lay in another cluster folder, and are gone from there."""
    missing = {
        path: own
        for path, own in (files.items() if strangers else ())
        if own.kind != "written" and path not in contents.ours
    }
    clusters = (
        {os.path.dirname(path) for path, own in files.items() if own.kind != "written"} if missing else set()
    )
    found: dict[str, str] = {}
    for stranger in strangers:
        if os.path.dirname(stranger) not in clusters:
            continue
        path = os.path.join(folder, stranger)
        origin = _origin(path, [item for item in missing.items() if not _same_folder(item[0], stranger)])
        if origin is not None:
            found[stranger] = origin
            del missing[origin]
    return found


def _same_folder(first: str, second: str) -> bool:
    return os.path.dirname(first) == os.path.dirname(second)


def _origin(path: str, missing: list[tuple[str, OwnFile]]) -> str | None:
    status = os.lstat(path)
    exact = (then for then, own in missing if own.kind != "symlink" and own.is_exactly(status))
    equal = (then for then, own in missing if own.is_at(path, status))
    return next(exact, None) or next(equal, None)
