"""Files that are added to a finished clustering, such as its report: all of them, or none.

They are made in a folder inside the clustering that every command knows as ours by its name. When they are
complete, those of an earlier time move in there, the marker learns the new ones, and these take their places.
So at no moment does anything lie in the clustering that its marker does not know.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace

from imgcluster.errors import ImgclusterError
from imgcluster.files import RealFolders, file_digest, is_folder, lies_below
from imgcluster.held import make_folders, remove, remove_all, remove_if_empty, rename_new
from imgcluster.output.contents import UNFINISHED
from imgcluster.output.file_system import sync_all
from imgcluster.output.life import locked, look
from imgcluster.output.marker import Marker, OwnFile, read_marker, write_marker
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Notify
from imgcluster.typed import place_of


@contextlib.contextmanager
def staged_install(
    out: str,
    places: tuple[str, ...],
    expected_marker: Marker | None,
    notify: Notify,
    owner: Ownership = IN_MEMORY,
    wait: float = math.inf,
) -> Iterator[str]:
    """Give an empty folder; what the block writes there takes the place of ours at `places` in `out`.

    The next clustering replaces these files, and `undo` takes them away. What others put there stays. After
    an exception the earlier files are there; after a kill these, or none.

    Parameters
    ----------
    expected_marker
        The marker of the clustering that the files are about.
    wait
        Seconds for another process that writes there.

    Raises
    ------
    ImgclusterError
        The clustering is another one by now, or foreign, or somebody else's file has one of the names.
    """
    out = place_of(out)
    with locked(out, notify, wait):
        found = look(out, owner)
        found.refuse_foreign(out)
        marker = found.marker
        if _besides(marker, places) != _besides(expected_marker, places):
            raise ImgclusterError(f"{out} was clustered again meanwhile: run the command again")
        work = os.path.join(out, UNFINISHED)
        remove_all(work)
        try:
            make_folders(f"{work}/new")
            yield f"{work}/new"
            _StagedInstall(out, places, marker, owner).install()
        finally:
            remove_all(work)


class _StagedInstall:
    """The last steps, and the way back from each of them."""

    def __init__(self, out: str, places: tuple[str, ...], marker: Marker | None, owner: Ownership) -> None:
        self._owner = owner
        self._out, self._places, self._marker = out, places, marker
        self._made, self._aside = f"{out}/{UNFINISHED}/new", f"{out}/{UNFINISHED}/old"
        self._new = sorted(_files(self._made), key=lambda name: ("/" not in name, name))
        files = {} if marker is None else marker.files
        self._known = [name for name in files if lies_below(name, places)]
        self._folders = RealFolders()
        self._old = [name for name in self._known if self._is_there(name, files[name])]

    def install(self) -> None:
        self._refuse_unowned()
        sync_all(self._made)
        own = {
            name: OwnFile.at(path, "written", file_digest(path))
            for name in self._new
            for path in (f"{self._made}/{name}",)
        }
        try:
            _move_all(self._old, self._out, self._aside)
            _remove_emptied(self._out, self._known)
            if self._marker is not None:
                files = _besides(self._marker, self._places) | own
                write_marker(self._out, replace(self._marker, files=files), self._owner)
            _move_all(self._new, self._made, self._out)
        except BaseException:
            self._take_back()
            raise

    def _is_there(self, name: str, own: OwnFile) -> bool:
        path = os.path.join(self._out, name)
        return self._folders.is_direct(path) and own.is_at(path)

    def _refuse_unowned(self) -> None:
        """Refuse to go on where files of others have our names, or stand where our folders go."""
        ours = set(self._old)
        for name in self._new:
            if name not in ours and os.path.lexists(f"{self._out}/{name}"):
                raise ImgclusterError(_in_the_way(f"{self._out}/{name}"))
        for folder in sorted({parent for name in self._new for parent in _parents(name)}):
            path = f"{self._out}/{folder}"
            if os.path.lexists(path) and not is_folder(path):
                raise ImgclusterError(_in_the_way(path))

    def _take_back(self) -> None:
        for name in self._new:
            if not os.path.lexists(f"{self._made}/{name}"):  # then it is in its place already
                with contextlib.suppress(FileNotFoundError):
                    remove(f"{self._out}/{name}")
        _remove_emptied(self._out, self._new)
        if self._marker is not None and read_marker(self._out) != self._marker:
            write_marker(self._out, self._marker, self._owner)
        aside = [name for name in self._old if os.path.lexists(f"{self._aside}/{name}")]
        _move_all(aside, self._aside, self._out)


def _besides(marker: Marker | None, places: tuple[str, ...]) -> dict[str, OwnFile]:
    files = {} if marker is None else marker.files
    return {name: own for name, own in files.items() if not lies_below(name, places)}


def _in_the_way(path: str) -> str:
    return f"{path} was not put there by imgcluster, or was changed since: move it away and run this again"


def _parents(name: str) -> Iterator[str]:
    while name := os.path.dirname(name):
        yield name


def _files(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (os.path.relpath(os.path.join(parent, name), folder) for name in names)


def _move_all(names: Iterable[str], source: str, target: str) -> None:
    folders: set[str] = set()
    for name in names:
        folder = os.path.dirname(f"{target}/{name}")
        if folder not in folders:
            make_folders(folder)
            folders.add(folder)
        rename_new(f"{source}/{name}", f"{target}/{name}")


def _remove_emptied(out: str, names: Iterable[str]) -> None:
    """Remove the folders of files that are gone, where nothing else is left in them."""
    folders = {parent for name in names for parent in _parents(name)}
    for folder in sorted(folders, reverse=True):  # each before the one that it is in
        with contextlib.suppress(OSError):
            remove_if_empty(f"{out}/{folder}")
