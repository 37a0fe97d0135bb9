"""Taking over a clustering that no run of this user is known to have made, because its user says so."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from imgcluster.errors import quantity
from imgcluster.files import path_filter
from imgcluster.output.life import Situation, locked, look
from imgcluster.output.marker import Marker, OwnFile, new_name, write_marker
from imgcluster.output.move_journal import planned_homes, sign_again
from imgcluster.output.paths import is_path
from imgcluster.ownership import Ownership
from imgcluster.records import Notify
from imgcluster.typed import place_of


def take_over(
    out: str,
    trusted: Sequence[str],
    owner: Ownership,
    notify: Notify,
    *,
    dry_run: bool = False,
    wait: float = math.inf,
) -> None:
    """Sign what is foreign in and beside `out`, so that it counts as this user's own; say what that means.

    Moved images keep their home only where it lies below `trusted`, or in `out` itself. The others are not
    known for ours any more, and stay where they are.

    Parameters
    ----------
    dry_run
        Only say it.
    wait
        Seconds for another process that writes there.
    """
    out = place_of(out)
    if not trusted or not os.path.isdir(os.path.dirname(out)):
        return
    with contextlib.nullcontext() if dry_run else locked(out, notify, wait):
        found = look(out, owner).with_tables()
        accepted = _below(out, trusted)
        for folder, marker in ((out, found.marker), (found.tree, found.tree_marker)):
            if marker is not None and folder in found.foreign:
                _take_over(folder, out, marker, accepted, owner, notify, dry_run=dry_run)


def as_trusted(found: Situation, trusted: Sequence[str]) -> Marker | None:
    """Return the marker of a clustering as it would be once `take_over` had signed it."""
    if found.marker is None or found.out not in found.foreign:
        return found.marker
    return _with_homes(found.marker, found.out, _below(found.out, trusted))


def is_foreign(out: str, owner: Ownership) -> bool:
    """Whether there is a clustering in `out` that no run of this user is known to have made."""
    found = look(place_of(out), owner).with_tables()
    return found.out in found.foreign


def note_foreign(out: str, owner: Ownership, notify: Notify) -> None:
    """Say of a clustering that is foreign that it is."""
    if is_foreign(out, owner):
        notify(f"{out} is not known to be made by a run of yours: it is only read")


def _below(out: str, trusted: Sequence[str]) -> Callable[[str], bool]:
    """Say which homes are accepted, by where they lead through links."""
    below = path_filter((*map(os.path.realpath, trusted), out))
    return lambda home: is_path(home) and below(_real(home))


def _with_homes(marker: Marker, out: str, accepted: Callable[[str], bool]) -> Marker:
    """Leave out moved images whose home is not accepted."""
    files = marker.files.items()
    return replace(
        marker, files={n: own for n, own in files if not own.has_a_home or accepted(own.original(out))}
    )


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
    moved = [name for name, own in marker.files.items() if own.has_a_home]
    trusted = _with_homes(marker, out, accepted)
    kept = [name for name in moved if name in trusted.files]
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
    files = {name: _as_it_lies(own, os.path.join(folder, name), out) for name, own in trusted.files.items()}
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
