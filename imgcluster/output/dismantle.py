"""Taking apart a tree that we made: what is ours goes, what was moved goes home, nothing is lost.

Both `undo` and the sweep after a new clustering do this; whatever stops them, they can be done again.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, count
from typing import Literal

from imgcluster.errors import quantity
from imgcluster.files import Expected, is_folder
from imgcluster.held import (
    WayRefusedError,
    make_folders,
    remove,
    remove_all,
    remove_folder,
    remove_if_empty,
    rename_new,
)
from imgcluster.output.contents import KEPT, Contents, examine, files_below
from imgcluster.output.file_system import move_home
from imgcluster.output.marker import Marker, OwnFile
from imgcluster.output.names import substitutes, under_free_name
from imgcluster.records import CLUSTERING_MARKER, Notify

Fate = Literal["home", "gone", "stays"]


class Copies:
    """Knows what else holds an image: its original, those of equal images, and what the new clustering has.

    `folder` is where the markers' paths are relative to; `there` what the clustering holds that stays there.
    """

    def __init__(self, folder: str, markers: tuple[Marker | None, ...], there: Marker | None = None) -> None:
        self._folder = folder
        self._equal: defaultdict[str, list[OwnFile]] = defaultdict(list)
        for marker in markers:
            for own in {} if marker is None else marker.files.values():
                if own.kind not in {"companion", "written"}:
                    self._equal[own.key].append(own)
        self._there: defaultdict[str, list[str]] = defaultdict(list)
        for relative, own in {} if there is None else there.files.items():
            self._there[own.key].append(relative)
        self._files = {} if there is None else there.files

    def is_last(self, own: OwnFile, path: str) -> bool:
        """Whether removing our file at `path` would lose its image."""
        if own.kind in {"symlink", "written"}:
            return False
        status = os.lstat(path)
        if (status.st_nlink > 1 and own.kind != "moved") or own.has_its_original(self._folder, status):
            return False
        if any(other.has_its_original(self._folder, status) for other in self._equal[own.key]):
            return False
        placed = ((os.path.join(self._folder, name), self._files[name]) for name in self._there[own.key])
        return not any(os.path.exists(place) and other.is_at(place) for place, other in placed)


def sweep(old: str, out: str, markers: tuple[Marker | None, Marker | None], notify: Notify) -> None:
    """Remove what is ours from the replaced tree `old`; move all else into `out`, to the same place.

    Images that `move` had put there, and that the new clustering does not hold, go back to where they came
    from. Those, and links and copies that are the last of their image, are never removed: what has no other
    place goes to `kept/`. `markers` are those of `old` and of `out`.
    """
    marker, new = markers
    contents = examine(old, marker)
    copies = Copies(out, (marker, new), there=new)
    kept = 0
    for own, path, fate in take_apart(contents, marker, out, copies, careful=True):
        if fate == "stays" and own.kind == "companion":
            carry(path, out, os.path.relpath(path, old))
        elif fate == "stays":
            kept += 1
            carry(path, out, f"{KEPT}/{os.path.basename(path)}")
    contents.remove_folders()
    for relative in contents.unowned:
        if os.path.lexists(os.path.join(old, relative)):
            carry(os.path.join(old, relative), out, relative)
    remove_rest(contents)
    if kept:
        notify(
            f"{quantity(kept, 'image')} with no other place any more {'is' if kept == 1 else 'are'} kept in "
            f"{os.path.join(out, KEPT)}"
        )


def take_apart(
    contents: Contents, marker: Marker | None, out: str, copies: Copies, *, careful: bool = False
) -> Iterator[tuple[OwnFile, str, Fate]]:
    """Let each file of ours go home or away, and tell what became of it.

    What is the last of its image, or was changed since it was examined, stays.
    Two images may have been moved from one path, one after the other: one of them can go back.

    Parameters
    ----------
    careful
        An image goes home only if it is the very file that was moved, and stays where that fails.
    """
    for own, path in owned_files(contents, marker):
        fate: Fate = "gone"
        if own.has_a_home and goes_home(own, path, out, careful=careful):
            fate = "home"
        elif own.kind == "companion" or copies.is_last(own, path) or not own.is_at(path):
            fate = "stays"
        else:
            remove(path)
        yield own, path, fate


def goes_home(own: OwnFile, path: str, out: str, *, careful: bool = False) -> bool:
    """Move an image or companion home; False, and nothing is done, where its place is taken or no home."""
    original = own.original(out)
    if os.path.lexists(original):
        return False
    careful = careful and own.kind == "moved"
    status = os.lstat(path)
    # A marker that came with a folder from elsewhere cannot know the file: it moves nothing out.
    if (careful and not own.was_put_there(status)) or not own.is_at(path):
        return False
    try:
        return move_home(path, original, Expected.of(status, bytes.fromhex(own.key)))
    except OSError:
        if not careful:
            raise
        return not os.path.lexists(path)  # it goes to kept/ instead, and the user is told


def owned_files(contents: Contents, marker: Marker | None) -> Iterator[tuple[OwnFile, str]]:
    """Yield each file of ours with its path, those about the clustering last: they serve the images."""
    files = {} if marker is None else marker.files
    found = [(files[then], os.path.join(contents.folder, now)) for now, then in contents.owned.items()]
    return iter(sorted(found, key=lambda item: item[0].kind == "written"))


def remove_rest(contents: Contents) -> None:
    """Remove our folders, as far as they are empty, and then marker, journal and what is unfinished."""
    contents.remove_folders()
    discard_all(contents.folder, contents.bookkeeping)
    remove_if_empty(contents.folder)


def discard_all(folder: str, names: Iterable[str]) -> None:
    """Remove what lies under these names in our folder; the marker last, for it tells what the folder is."""
    for name in sorted(names, key=CLUSTERING_MARKER.__eq__):
        remove_all(os.path.join(folder, name))


def save_originals(tree: str, out: str) -> int:
    """Move to `kept/` whatever in the folders of `tree` may be the only file of its image; count them."""
    kept = 0
    for relative in chain.from_iterable(map(partial(files_below, tree, strict=True), os.listdir(tree))):
        path = os.path.join(tree, relative)
        if not os.path.islink(path) and os.lstat(path).st_nlink == 1:
            carry(path, out, f"{KEPT}/{os.path.basename(relative)}")
            kept += 1
    return kept


def carry(path: str, out: str, relative: str) -> None:
    """Move a file or folder into `out`, under another name where its own is taken.

    WayRefusedError where `out` is no folder.
    """
    folder, name = os.path.split(os.path.join(out, relative))
    if is_folder(path) and is_folder(os.path.join(folder, name)):
        for child in os.listdir(path):
            carry(os.path.join(path, child), out, f"{relative}/{child}")
        remove_folder(path)
        return
    make_folders(out)  # where that is refused, so is each of the others
    others = (os.path.join(out, KEPT if number == 1 else f"{KEPT}-{number}") for number in count(1))
    for target in chain([folder], others):
        try:
            make_folders(target)
        except WayRefusedError:  # a file or a link has the name
            continue
        under_free_name(partial(_rename_into, path, target), chain([name], substitutes(name, KEPT)))
        return


def _rename_into(path: str, folder: str, name: str) -> None:
    rename_new(path, os.path.join(folder, name))
