"""Taking a clustering away again: what we made goes, what we moved goes back, all else stays."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from imgcluster.errors import ImgclusterError
from imgcluster.output.contents import KEPT, Contents, examine
from imgcluster.output.dismantle import Copies, goes_home, owned_files, remove_rest, take_apart
from imgcluster.output.file_system import is_still_home
from imgcluster.output.folder_plan import Image
from imgcluster.output.life import locked, look, settle
from imgcluster.output.marker import Marker, OwnFile, write_marker
from imgcluster.output.trust import as_trusted
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import CLUSTERING_MARKER, NamedCluster, Progress
from imgcluster.tabular import Tabular
from imgcluster.typed import place_of

_REPORT_EVERY = 512


@dataclass(frozen=True)
class Undone(Tabular):
    """What `undo` did.

    Attributes
    ----------
    removed
        How many of our files went.
    returned
        How many moved images went back to where they came from.
    left
        Paths of files that stay in the folder: not ours, changed, or the only ones left of their images.
    missing
        How many moved images are neither in the folder nor where they came from. While there are any, the
        folder keeps its marker, so that another `undo` brings home those that are put back into it.
    clusters
        Those of the clustering before, which stands again; None where all was taken away.
    steps
        How many more steps back there are.
    companions
        How many files that had gone with images went home with them.
    had_report
        Whether there was a report, which is about what was undone.
    mode
        How images come into the folder of the clustering before.
    """

    removed: int
    returned: int
    left: tuple[str, ...]
    missing: int = 0
    clusters: tuple[NamedCluster, ...] | None = None
    steps: int = 0
    had_report: bool = False
    companions: int = 0
    mode: str = ""


def undo(out: str, *, force: bool = False, progress: Progress, owner: Ownership = IN_MEMORY) -> Undone:
    """Remove what `build_folders` put into `out`, and move images back that ``--mode move`` had moved there.

    Files that are not ours stay, and so do links and copies that are the last of their image. An interrupted
    move, or undo, is finished.

    Parameters
    ----------
    force
        Move images back even where their files were replaced since, by those of a backup for example.

    Raises
    ------
    ImgclusterError
        When `out` is not ours, or another file has taken the place of a moved image: nothing is changed then.
    """
    out = place_of(out)
    if not os.path.isdir(os.path.dirname(out)):
        _there(out, None)
    try:
        with locked(out, progress.note):
            settled = settle(out, progress.note, owner)
            settled.found.refuse_foreign(out)
            if settled.found.marker is None and settled.anything:
                return Undone(0, settled.returned, (os.path.join(out, KEPT),) if settled.kept else ())
            marker = _there(out, settled.found.marker)
            contents = examine(out, marker)
            _check_returns(out, marker, contents, force=force)
            undone = _take_away(out, marker, contents, progress, owner)
            if not undone.missing:
                owner.forget(marker.name)
            return replace(undone, returned=undone.returned + settled.returned)
    except OSError as error:
        what = error.filename2 or error.filename or out
        raise ImgclusterError(
            f"{what}: {error.strerror}; put that right, and run `imgcluster undo` again"
        ) from error


def send_home(out: str, images: Container[Image], progress: Progress, owner: Ownership) -> int:
    """Move `images` home that were moved into the clustering in `out`, which lacks them then; count them.

    Raises
    ------
    ImgclusterError
        As `undo` does.
    """
    with locked(out, progress.note):
        found = settle(out, progress.note, owner).found
        found.refuse_foreign(out)
        marker = _there(out, found.marker)
        contents = examine(out, marker)
        _check_returns(out, marker, contents, force=False)
        files = owned_files(contents, marker)
        owned = [(own, own.original(out), path) for own, path in files if own.has_a_home]
        home = [
            original
            for own, original, path in owned
            if own.kind == "moved" and (original, bytes.fromhex(own.key)) in images
            if goes_home(own, path, out)
        ]
        stems = {*home, *(os.path.splitext(original)[0] for original in home)}
        for own, original, path in owned:
            if own.kind == "companion" and os.path.splitext(original)[0] in stems:
                goes_home(own, path, out)
        return len(home)


def would_undo(out: str, owner: Ownership, trusted: Sequence[str] = ()) -> Undone:
    """Tell what `undo` would do to the clustering in `out` as it is; nothing is changed.

    Parameters
    ----------
    trusted
        Folders; with any, a foreign clustering is looked at as if `take_over` had been called.

    Raises
    ------
    ImgclusterError
        When there is none, or a foreign one.
    """
    out = place_of(out)
    found = look(out, owner)
    if not trusted:
        found.refuse_foreign(out)
    marker = _there(out, as_trusted(found, trusted))
    contents = examine(out, marker)
    kinds = Counter(own.kind for own, _ in owned_files(contents, marker))
    moved, companions = kinds["moved"], kinds["companion"]
    left = tuple(os.path.join(out, name) for name in contents.unowned)
    removed, missing = len(contents.owned) - moved - companions, len(_missing(out, marker, contents))
    return Undone(removed, moved, left, missing, companions=companions)


def _there(out: str, marker: Marker | None) -> Marker:
    if not os.path.lexists(out):
        raise ImgclusterError(
            f"no clustering in {out}, which does not exist: there is nothing to undo "
            "(--clusters names another folder)"
        )
    if marker is None:
        raise ImgclusterError(f"no clustering in {out}: nothing there was made by imgcluster")
    return marker


def _check_returns(out: str, marker: Marker, contents: Contents, *, force: bool) -> None:
    for own, path in owned_files(contents, marker):
        if own.kind != "moved":
            continue
        original = own.original(out)
        if os.path.lexists(original) and not own.has_its_original(out, os.lstat(path)):
            raise ImgclusterError(
                f"{original} has taken the place of {path}: move it away, and run `imgcluster undo` again"
            )
        status = os.lstat(path)
        if not own.was_put_there(status) and not force:
            raise ImgclusterError(
                f"{path} may not be the file that came from {original}: --force moves it there all the same"
            )
        if not os.path.lexists(original) and not is_still_home(original, status):
            raise ImgclusterError(
                f"{os.path.dirname(original)}, where {path} came from, is not yours now: move it yourself"
            )


def _take_away(out: str, marker: Marker, contents: Contents, progress: Progress, owner: Ownership) -> Undone:
    missing = _missing(out, marker, contents)
    fates: Counter[tuple[str, bool]] = Counter()
    last: list[str] = []
    progress.begin("taking the clusters away", len(contents.owned))
    taken = take_apart(contents, marker, out, Copies(out, (marker,)))
    for count, (own, path, fate) in enumerate(taken, start=1):
        fates[fate, own.kind == "companion"] += 1
        if fate == "stays":
            last.append(path)
        if count % _REPORT_EVERY == 0:
            progress.advance(_REPORT_EVERY)
    progress.advance(len(contents.owned) % _REPORT_EVERY)
    if missing:
        write_marker(out, replace(marker, files=missing), owner)
        contents.bookkeeping.remove(CLUSTERING_MARKER)
    remove_rest(contents)
    left = (path for name in contents.unowned if os.path.lexists(path := os.path.join(out, name)))
    removed, returned, companions = fates["gone", False], fates["home", False], fates["home", True]
    return Undone(removed, returned, (*left, *last), len(missing), companions=companions)


def _missing(out: str, marker: Marker, contents: Contents) -> dict[str, OwnFile]:
    """Return the moved images that are neither in the clustering nor where they came from."""
    found = set(contents.owned.values())
    return {
        name: own
        for name, own in marker.files.items()
        if own.kind == "moved" and name not in found and not own.has_its_original(out)
    }
