"""Taking over a clustering that no run of this user is known to have made, because its user says so."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from imgcluster.errors import quantity
from imgcluster.files import path_filter
from imgcluster.output.life import locked, look
from imgcluster.output.marker import Marker, OwnFile, new_name, write_marker
from imgcluster.output.move_journal import planned_homes, sign_again
from imgcluster.output.paths import is_path
from imgcluster.ownership import Ownership
from imgcluster.records import Notify


def take_over(
    out: str, trusted: Sequence[str], owner: Ownership, notify: Notify, *, dry_run: bool = False
) -> None:
    """Sign what is foreign in and beside `out`, so that it counts as this user's own; say what that means.

    Moved images keep their home only where it lies below `trusted`, or in `out` itself. The others are not
    known for ours any more, and stay where they are.

    Parameters
    ----------
    dry_run
        Only say it.
    """
    out = os.path.realpath(out)
    if not trusted or not os.path.isdir(os.path.dirname(out)):
        return
    with contextlib.nullcontext() if dry_run else locked(out, notify):
        found = look(out, owner)
        below = path_filter((*map(os.path.realpath, trusted), out))
        for folder, marker in ((out, found.marker), (found.tree, found.tree_marker)):
            if marker is not None and folder in found.foreign:
                _take_over(folder, out, marker, _accepting(below), owner, notify, dry_run=dry_run)


def _accepting(below: Callable[[str], bool]) -> Callable[[str], bool]:
    """Say which homes are accepted, by where they lead through links."""
    return lambda home: is_path(home) and below(_real(home))


def _real(home: str) -> str:
    folder, name = os.path.split(os.path.normpath(home))
    return os.path.join(os.path.realpath(folder), name)


def _take_over(
    folder: str,
    out: str,
    marker: Marker,
    accepted: Callable[[str], bool],
    owner: Ownership,
    notify: Notify,
    *,
    dry_run: bool,
) -> None:
    moved = {name: own for name, own in marker.files.items() if own.has_a_home}
    kept = {name: own for name, own in moved.items() if accepted(own.original(out))}
    planned = planned_homes(folder) if marker.building else []
    returning = len(kept) + sum(map(accepted, planned))
    staying = len(moved) + len(planned) - returning
    verb = "would be" if dry_run else "is"
    notify(
        f"{folder} {verb} taken over as yours: {quantity(len(marker.files) - len(moved), 'file')} made here, "
        f"{quantity(returning, 'moved image')} with a home below the folders you trust, {staying} that stay "
        "here, for theirs lies elsewhere"
    )
    if dry_run:
        return
    files = {
        name: _as_it_lies(own, os.path.join(folder, name), out)
        for name, own in marker.files.items()
        if not own.has_a_home or name in kept
    }
    name = new_name()
    if marker.building:
        sign_again(folder, name, owner, accepted)
    write_marker(folder, replace(marker, files=files, name=name, replaces=0), owner)


def _as_it_lies(own: OwnFile, path: str, out: str) -> OwnFile:
    """Know a file of a copied folder by what it is here, and its home by where that really is."""
    if own.has_a_home:
        own = replace(own, source=_real(own.original(out)))
    if own.kind == "written" or not own.is_at(path):
        return own
    status = os.lstat(path)
    return replace(own, inode=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns)
