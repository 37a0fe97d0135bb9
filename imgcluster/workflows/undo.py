"""Undo: one step back to the clustering before, or all taken away, and moved images home."""

from __future__ import annotations

import os

from imgcluster.errors import ImgclusterError
from imgcluster.output.folders import recover
from imgcluster.output.history import tells_of_steps, unpack_step
from imgcluster.output.life import look, refuse_corrections
from imgcluster.output.trust import take_over
from imgcluster.output.undo import Undone, send_home, would_undo
from imgcluster.output.undo import undo as take_away
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Progress
from imgcluster.typed import place_of
from imgcluster.workflows.clustering_folder import (
    ClusteringFolder,
    SavedClustering,
    find_folder,
    read_folder,
    remake,
)
from imgcluster.workflows.options import UndoOptions


def undo(
    options: UndoOptions | None = None, *, owner: Ownership = IN_MEMORY, progress: Progress = SILENT
) -> Undone:
    """Put the clustering before back, or, where there was none, remove what `cluster` put into a folder.

    Raises
    ------
    ImgclusterError
        Where the folder is not ours, or another file has taken the place of a moved image.
    """
    options = options or UndoOptions()
    out, dry_run = options.clusters, options.dry_run
    take_over(out, options.trust, owner, progress.note, dry_run=dry_run)
    if not options.all and not dry_run and os.path.isdir(out):
        recover(out, progress.note, owner)
    folder = None if options.all or (dry_run and options.trust) else _with_steps(out, owner)
    if folder is not None:
        return _step_back(folder, owner, progress, force=options.force, dry_run=dry_run)
    if dry_run:
        return would_undo(out, owner, options.trust)
    return take_away(out, force=options.force, progress=progress, owner=owner)


def _with_steps(out: str, owner: Ownership) -> ClusteringFolder | None:
    """Find the clustering; None where it is the first one, so that one step back takes all away.

    ImgclusterError where there are clusterings before, and none of them can be put back.
    """
    try:
        folder, reason = find_folder(out, owner), "what keeps it is gone or was changed"
    except ImgclusterError as error:
        folder, reason = None, str(error)
    if folder is not None and folder.steps:
        return folder
    found = look(place_of(out), owner)
    if tells_of_steps(found.marker):
        found.refuse_foreign(found.out)
        raise ImgclusterError(
            f"{reason}; so the clustering before cannot be put back: put that right, "
            "or take all away by `imgcluster undo --all`"
        )
    return None


def _step_back(
    folder: ClusteringFolder, owner: Ownership, progress: Progress, *, force: bool, dry_run: bool
) -> Undone:
    *steps, last = folder.steps
    saved = SavedClustering.parse(unpack_step(last), folder.out)
    if not force:
        refuse_corrections(folder.contents)
    if dry_run:
        manifest = saved.manifest
        return Undone(0, 0, (), clusters=manifest.clusters, steps=len(steps), mode=manifest.mode)
    had_report, back = folder.has_report, 0
    stayed = {(image.original, image.key) for image in saved.placements if image.path == image.original}
    moved = any(own.kind == "moved" for own in folder.marker.files.values())
    if moved and (back := send_home(folder.out, stayed, progress, owner)):
        folder = read_folder(folder.out, owner, progress)
    changed = remake(folder, saved, progress, owner, steps=steps, force=force)
    return Undone(0, back, (), 0, changed.clusters, len(steps), had_report, mode=changed.mode)
