"""How one clustering takes the place of another, and what the next run does where that was interrupted.

The new tree is built beside the old one, under a name that tells which folder it is for. Then the two change
places in one step, and what the old tree holds is sorted out: our files go, all others move along. Whatever
interrupts this, the generation in the two markers tells which step was the last.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.files import has_digest, sync_file
from imgcluster.output.file_system import (
    discard,
    exchange,
    locked_folder,
    move_file,
    rename_new,
)
from imgcluster.output.marker import Marker, OwnFile, read_marker
from imgcluster.output.move_journal import put_back
from imgcluster.output.names import tagged
from imgcluster.output.ownership import KEPT, Contents, examine

if TYPE_CHECKING:
    from imgcluster.records import Notify


_BESIDE = ".imgcluster-"


def new_tree(out: str) -> str:
    """Return where the tree for `out` is built; after the exchange the old tree is there."""
    return _beside(out, "new")


def is_unfinished(name: str) -> bool:
    """Whether a folder of that name is what an interrupted run left for `recover`."""
    return name.startswith(_BESIDE) and name.endswith((".new", ".old"))


def recover(out: str, notify: Notify) -> None:
    """Finish or undo what an interrupted run left beside `out`; nothing to do is the usual case.

    Raises
    ------
    ImgclusterError
        When something there cannot be told for ours; it is left as it is.
    """
    out = os.path.realpath(out)
    parent = os.path.dirname(out)
    if os.path.lexists(new_tree(out)) or os.path.lexists(_beside(out, "old")):
        with locked_folder(parent, lambda: notify(f"waiting for another imgcluster that writes in {parent}")):
            recover_locked(out, notify)


def recover_locked(out: str, notify: Notify) -> None:
    """Do as `recover` for a caller that holds the lock."""
    built, aside = new_tree(out), _beside(out, "old")
    marker = read_marker(built) if os.path.lexists(built) else None
    if os.path.lexists(aside) and not os.path.lexists(out):
        os.rename(aside, out)
    if os.path.lexists(built):
        if marker is None:
            _remove_unmarked(built, out, notify)
        elif marker.building or (os.path.lexists(out) and marker.generation > _generation(out)):
            give_up(out)
            notify(f"cleared away what an interrupted run had left beside {out}")
        elif os.path.lexists(out):
            sweep(built, out, notify)
        else:
            os.rename(built, out)
    if os.path.lexists(aside):
        sweep(aside, out, notify)


def give_up(out: str) -> None:
    """Remove the tree that was being built for `out`, after moving back what had been moved into it."""
    built, aside = new_tree(out), _beside(out, "old")
    if os.path.lexists(aside) and not os.path.lexists(out):
        os.rename(aside, out)
    if os.path.lexists(built):
        put_back(built)
        shutil.rmtree(built)


def swap_in(out: str) -> None:
    """Put the finished tree at `out`, and what was there, if anything, where the tree was built."""
    built, aside = new_tree(out), _beside(out, "old")
    if not os.path.lexists(out):
        rename_new(built, out)
    elif not exchange(built, out):
        os.rename(out, aside)
        os.rename(built, out)


def was_swapped(out: str, generation: int) -> bool:
    """Whether the clustering at `out` is the one of that generation."""
    return _generation(out) == generation


def sweep_old(out: str, notify: Notify) -> None:
    """Sort out the tree that was replaced, once the exchange is on the disk."""
    sync_file(os.path.dirname(out))
    for tree in (new_tree(out), _beside(out, "old")):
        if os.path.lexists(tree):
            sweep(tree, out, notify)


def sweep(old: str, out: str, notify: Notify) -> None:
    """Remove what is ours from the replaced tree `old`; move all else into `out`, to the same place.

    Images that `move` had put there, and that the new clustering does not hold, go back to where they came
    from. Those, and links and copies whose original is gone, are never removed: what has no other place goes
    to `kept/`. Can be interrupted and done again.
    """
    marker = read_marker(old)
    contents = examine(old, marker)
    kept = 0
    for relative, known_as in contents.ours.items():
        assert marker is not None  # noqa: S101 - nothing is ours without one
        own, path = marker.files[known_as], os.path.join(old, relative)
        if own.kind == "moved" and _return_to(own.original(out), path, own):
            continue
        if own.kind == "moved" or is_last_copy(own, path, out):
            kept += 1
            _carry(path, out, f"{KEPT}/{os.path.basename(relative)}")
        else:
            os.unlink(path)
    for relative in contents.foreign:
        _carry(os.path.join(old, relative), out, relative)
    remove_skeleton(old, contents)
    if kept:
        notify(f"{kept} images that have no other place any more are kept in {os.path.join(out, KEPT)}")


def is_last_copy(own: OwnFile, path: str, out: str) -> bool:
    """Whether removing our file at `path` would lose an image: neither original nor link is left."""
    if own.kind == "hardlink" and os.lstat(path).st_nlink > 1:
        return False
    return own.kind in {"hardlink", "copy"} and not os.path.lexists(own.original(out))


def remove_skeleton(folder: str, contents: Contents) -> None:
    """Remove our folders, as far as they are empty, and then marker, journal and what is unfinished."""
    for relative in reversed(contents.folders):
        _remove_if_empty(os.path.join(folder, relative))
    for relative in contents.bookkeeping:
        discard(os.path.join(folder, relative))
    _remove_if_empty(folder)


def _return_to(original: str, path: str, own: OwnFile) -> bool:
    if os.path.lexists(original):
        if not has_digest(original, own.key):
            return False
        os.unlink(path)
        return True
    # A marker that came with a folder from elsewhere cannot know the inode: it moves nothing out.
    if os.lstat(path).st_ino != own.inode:
        return False
    try:
        os.makedirs(os.path.dirname(original), exist_ok=True)
        move_file(path, original)
    except OSError:
        return not os.path.lexists(path)  # it goes to kept/ instead, and the user is told
    return True


def _carry(path: str, out: str, relative: str) -> None:
    """Move a file or folder into `out`, under another name where its own is taken."""
    folder, name = os.path.split(os.path.join(out, relative))
    if _is_folder(path) and _is_folder(os.path.join(folder, name)):
        for child in os.listdir(path):
            _carry(os.path.join(path, child), out, f"{relative}/{child}")
        os.rmdir(path)
        return
    try:
        os.makedirs(folder, exist_ok=True)
    except (FileExistsError, NotADirectoryError):  # a file of the new tree has the name of the folder
        folder = os.path.join(out, KEPT)
        os.makedirs(folder, exist_ok=True)
    attempt, target = 0, name
    while True:
        with contextlib.suppress(FileExistsError):
            rename_new(path, os.path.join(folder, target))
            return
        attempt += 1
        target = tagged(name, KEPT if attempt == 1 else f"{KEPT}-{attempt}")


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _remove_unmarked(built: str, out: str, notify: Notify) -> None:
    """Deal with a tree without a marker: one hardly begun, or a foreign folder that was replaced."""
    if read_marker(out) is not None:
        sweep(built, out, notify)
        return
    contents = examine(built, None)
    if contents.foreign:
        raise ImgclusterError(f"{os.path.join(built, contents.foreign[0])} is in the way: move it elsewhere")
    remove_skeleton(built, contents)


def _generation(folder: str) -> int:
    marker: Marker | None = read_marker(folder)
    return 0 if marker is None else marker.generation


def _remove_if_empty(folder: str) -> None:
    try:
        os.rmdir(folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}:
            raise


def _beside(out: str, suffix: str) -> str:
    parent, name = os.path.split(out)
    return os.path.join(parent, f"{_BESIDE}{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}.{suffix}")
