"""What lies in a clustering: our own files, ours that a person moved, and those of others."""

from __future__ import annotations

import contextlib
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from imgcluster.files import is_folder, is_system_name, is_temporary
from imgcluster.held import remove_if_empty
from imgcluster.output.companions import is_companion
from imgcluster.output.marker import Marker, OwnFile
from imgcluster.output.names import UNSORTED
from imgcluster.records import CLUSTERING_MARKER

JOURNAL = ".imgcluster-moves"
UNFINISHED = ".imgcluster-unfinished"
"""The folder of a clustering in which what is added to it later is made; what lies there is of no use."""
KEPT = "kept"
"""The folder of a clustering for images that would otherwise be lost with it."""
AWAY = ".imgcluster-away"
"""No folder: below it a marker lists images of an earlier clustering that have not come home."""

# What file managers leave behind wherever somebody looks.
_FILE_MANAGERS = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".directory"})
# With what version 0.1 left of markers and journals that it was writing when it was killed.
_BOOKKEEPING = frozenset(
    {CLUSTERING_MARKER, f"{CLUSTERING_MARKER}.part", JOURNAL, f"{JOURNAL}.part", UNFINISHED}
)


@dataclass
class Contents:
    """What a folder holds, all paths relative to it.

    Attributes
    ----------
    folder
        The folder.
    is_ours
        Whether it has a marker.
    owned
        Path to the path by which the marker knows the file; they differ where a person moved it.
    unowned
        Files, and whole folders of files, that we did not put there, or that somebody has changed. In such a
        folder may lie images of ours all the same.
    folders
        Folders that are ours, each before those in it.
    bookkeeping
        Marker, journal and what is unfinished.
    """

    folder: str
    is_ours: bool = True
    owned: dict[str, str] = field(default_factory=dict)
    unowned: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    bookkeeping: list[str] = field(default_factory=list)

    @property
    def corrections(self) -> list[tuple[str, str]]:
        """(where it is, where we had put it) of each image that a person moved to another folder."""
        return [
            (now, then)
            for now, then in self._elsewhere()
            if self.renamed.get(os.path.dirname(then)) != os.path.dirname(now)
        ]

    @cached_property
    def renamed(self) -> dict[str, str]:
        """The name that a person gave to each cluster folder that is known again.

        It holds more than half of what is left of that folder, and more of it than of any other.
        """
        pairs = Counter((os.path.dirname(then), os.path.dirname(now)) for now, then in self._elsewhere())
        left = Counter(os.path.dirname(then) for then in self.owned.values())
        most: dict[str, tuple[str, str]] = {}
        for pair, _ in pairs.most_common():
            most.setdefault(pair[1], pair)
        return {
            then: now
            for then, now in most.values()
            if "/" not in now and now not in {UNSORTED, *self.folders} and 2 * pairs[then, now] > left[then]
        }

    def _elsewhere(self) -> Iterator[tuple[str, str]]:
        for now, then in self.owned.items():
            if os.path.dirname(now) != os.path.dirname(then) and then.partition("/")[0] != AWAY:
                yield now, then

    def in_the_way(self) -> Iterator[str]:
        """Yield each unowned file that is a reason not to replace the folder.

        What systems and programs leave beside photographs is none: it is carried along.
        """
        for relative in self.unowned:
            path = os.path.join(self.folder, relative)
            name = os.path.basename(relative)
            if relative == KEPT or (is_system_name(name) if self.is_ours else name in _FILE_MANAGERS):
                continue
            if is_folder(path):
                below = (name for name in files_below(self.folder, relative) if name not in self.owned)
                yield from (name for name in below if not any(map(is_system_name, name.split("/"))))
            elif not is_companion(relative, self.owned):
                yield relative

    def remove_folders(self) -> None:
        """Remove our folders and those of images moved by hand, as far as they are empty."""
        emptied = {os.path.dirname(now) for now, then in self.owned.items() if now != then}
        by_hand = sorted(set(_with_parents(emptied)) - set(self.folders))
        for relative in (*reversed(self.folders), *reversed(by_hand)):
            remove_if_empty(os.path.join(self.folder, relative))


def examine(folder: str, marker: Marker | None) -> Contents:
    """List what `folder` holds, and tell what is ours by `marker`. Links are never followed."""
    files = {} if marker is None else marker.files
    contents, unclaimed = Contents(folder, marker is not None), []
    own_folders = set(_with_parents(os.path.dirname(path) for path in files))
    pending = [""]
    while pending:
        parent = pending.pop()
        with os.scandir(os.path.join(folder, parent)) as entries:
            for entry in entries:
                relative = f"{parent}/{entry.name}" if parent else entry.name
                is_dir = entry.is_dir(follow_symlinks=False)
                named = relative == UNFINISHED if is_dir else relative in _BOOKKEEPING
                if named or is_temporary(relative):
                    contents.bookkeeping.append(relative)
                elif is_dir:
                    if relative in own_folders:
                        contents.folders.append(relative)
                        pending.append(relative)
                    else:
                        contents.unowned.append(relative)
                elif relative in files and files[relative].is_at(entry.path):
                    contents.owned[relative] = relative
                else:
                    unclaimed.append(relative)
    missing = {
        path: own
        for path, own in files.items()
        if own.kind not in {"companion", "written"} and path not in contents.owned
    }
    if missing:
        contents.owned |= _moved_by_hand(contents, unclaimed, missing)
        contents.owned |= _companions_elsewhere(contents, files)
    contents.unowned += [path for path in unclaimed if path not in contents.owned]
    contents.unowned.sort(key=os.fsencode)
    return contents


def _moved_by_hand(contents: Contents, unclaimed: list[str], missing: dict[str, OwnFile]) -> dict[str, str]:
    """Find the images that a person moved: where they are, and where we had put them.

    A link or copy is one only in another folder. An image that itself was moved into the clustering is
    searched for everywhere below it, for nothing else would ever bring it home.
    """
    by_size: defaultdict[int | None, list[tuple[str, OwnFile]]] = defaultdict(list)
    for then, own in missing.items():
        by_size[None if own.kind == "symlink" else own.size].append((then, own))
    below = (name for folder in contents.unowned for name in files_below(contents.folder, folder))
    found: dict[str, str] = {}
    for path in (*unclaimed, *below):
        there, parent = os.path.join(contents.folder, path), os.path.dirname(path)
        status = os.lstat(there)
        alike = [
            (then, own)
            for then, own in by_size[None if stat.S_ISLNK(status.st_mode) else status.st_size]
            if own.kind == "moved" or parent not in {"", os.path.dirname(then)}
        ]
        exact = [item for item in alike if item[1].is_exactly(status)]
        origin = next((item for item in (*exact, *alike) if item[1].is_at(there)), None)
        if origin is not None:
            found[path] = origin[0]
            by_size[None if origin[1].kind == "symlink" else origin[1].size].remove(origin)
    return found


def _companions_elsewhere(contents: Contents, files: Mapping[str, OwnFile]) -> dict[str, str]:
    """Find the companions of images that a person moved: beside these, under their own names."""
    folders = {}
    for now, then in contents.owned.items():
        if os.path.dirname(now) != os.path.dirname(then) and files[then].kind == "moved":
            folders[then] = folders[os.path.splitext(then)[0]] = os.path.dirname(now)
    found = {}
    for then, own in files.items():
        folder = folders.get(os.path.splitext(then)[0])
        if own.kind == "companion" and then not in contents.owned and folder is not None:
            now = os.path.join(folder, os.path.basename(then))
            if own.is_at(os.path.join(contents.folder, now)):
                found[now] = then
    return found


def files_below(folder: str, relative: str, *, strict: bool = False) -> Iterator[str]:
    """Yield the files in the folder `relative` and those below it, by their paths in `folder`.

    Folders that cannot be listed are passed over; with `strict`, OSError.
    """
    pending, ignored = [relative], () if strict else (OSError,)
    while pending:  # somebody may have made folders deeper than `os.walk` goes
        parent = pending.pop()
        with contextlib.suppress(*ignored):
            if not stat.S_ISDIR(os.lstat(os.path.join(folder, parent)).st_mode):
                continue
            with os.scandir(os.path.join(folder, parent)) as entries:
                for entry in sorted(entries, key=lambda entry: os.fsencode(entry.name)):
                    path = f"{parent}/{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(path)
                    else:
                        yield path


def _with_parents(folders: Iterable[str]) -> Iterator[str]:
    for start in set(folders):
        folder = start
        while folder:
            yield folder
            folder = os.path.dirname(folder)
