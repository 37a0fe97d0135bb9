"""Taking a clustering away again: what we made goes, what we moved goes back, all else stays."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.files import has_digest
from imgcluster.output.file_system import locked_folder, move_file
from imgcluster.output.marker import Marker, read_marker
from imgcluster.output.ownership import Contents, examine
from imgcluster.output.recovery import is_last_copy, recover_locked, remove_skeleton

if TYPE_CHECKING:
    from imgcluster.records import Progress

_REPORT_EVERY = 512


@dataclass(frozen=True)
class Undone:
    """What `undo` did.

    Attributes
    ----------
    removed
        How many of our files went.
    returned
        How many moved images went back to where they came from.
    left
        Paths of files that stay in the folder: not ours, or the only ones left of their images.
    """

    removed: int
    returned: int
    left: tuple[str, ...]


def undo(out: str, *, force: bool = False, progress: Progress) -> Undone:
    """Remove what `build_folders` put into `out`, and move images back that ``--mode move`` had moved there.

    Files that are not ours stay, and so do links and copies that are the last of their image. An interrupted
    undo is finished by the next.

    Parameters
    ----------
    force
        Move images back even where the folder was copied since it was made (so that its marker might be
        somebody else's work).

    Raises
    ------
    ImgclusterError
        When `out` is not ours, or another file has taken the place of a moved image: nothing is changed then.
    """
    out = os.path.realpath(out)
    parent = os.path.dirname(out)
    if not os.path.isdir(parent):
        raise ImgclusterError(f"no clustering in {out}: there is no such folder")
    try:
        with locked_folder(
            parent, lambda: progress.note(f"waiting for another imgcluster that writes in {parent}")
        ):
            recover_locked(out, progress.note)
            marker = read_marker(out) if os.path.isdir(out) else None
            if marker is None:
                raise ImgclusterError(f"no clustering in {out}: nothing there was made by imgcluster")
            contents = examine(out, marker)
            _check_returns(out, marker, contents, force=force)
            return _take_away(out, marker, contents, progress)
    except OSError as error:
        what = error.filename2 or error.filename or out
        raise ImgclusterError(
            f"{what}: {error.strerror}; mend that, and run `imgcluster undo` again"
        ) from error


def _check_returns(out: str, marker: Marker, contents: Contents, *, force: bool) -> None:
    for relative, known_as in contents.ours.items():
        own = marker.files[known_as]
        if own.kind != "moved":
            continue
        path, original = os.path.join(out, relative), own.original(out)
        if os.path.lexists(original) and not has_digest(original, own.key):
            raise ImgclusterError(
                f"{original} has taken the place of {path}: move it away, and run `imgcluster undo` again"
            )
        if os.lstat(path).st_ino != own.inode and not force:
            raise ImgclusterError(
                f"{path} may not be the file that came from {original} (was {out} copied?): "
                "--force moves it there all the same"
            )


def _take_away(out: str, marker: Marker, contents: Contents, progress: Progress) -> Undone:
    removed = returned = 0
    left = [os.path.join(out, relative) for relative in contents.foreign]
    progress.begin("taking the clusters away", len(contents.ours))
    # The manifest goes last, so that it serves as long as there is an image.
    in_order = sorted(contents.ours.items(), key=lambda item: marker.files[item[1]].kind == "written")
    for count, (relative, known_as) in enumerate(in_order, start=1):
        own, path = marker.files[known_as], os.path.join(out, relative)
        original = own.original(out) if own.kind == "moved" else ""
        if original and not os.path.lexists(original):
            os.makedirs(os.path.dirname(original), exist_ok=True)
            move_file(path, original)
            returned += 1
        elif is_last_copy(own, path, out) or (original and not has_digest(original, own.key)):
            # Two images may have been moved from one path, one after the other: one of them can go back.
            left.append(path)
        else:
            os.unlink(path)
            removed += 1
        if count % _REPORT_EVERY == 0:
            progress.advance(_REPORT_EVERY)
    progress.advance(len(in_order) % _REPORT_EVERY)
    remove_skeleton(out, contents)
    return Undone(removed, returned, tuple(left))
