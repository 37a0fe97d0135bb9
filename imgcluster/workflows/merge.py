"""Merge: one cluster of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from imgcluster.errors import UsageError
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Progress
from imgcluster.workflows.clustering_folder import Changed, read_folder, remake
from imgcluster.workflows.edits import Edit, Edits
from imgcluster.workflows.name import find_cluster
from imgcluster.workflows.options import NameOptions


def merge(
    given: Sequence[int | str],
    options: NameOptions | None = None,
    *,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> Changed:
    """Make one cluster of several: the first one. That is a correction: their images stay together.

    Parameters
    ----------
    given
        Numbers or names of clusters, at least two.

    Raises
    ------
    ImgclusterError
        Where there is no clustering, or no such cluster in it.
    """
    options = options or NameOptions()
    folder = read_folder(options.clusters, owner, progress)
    saved, manifest = folder.saved, folder.saved.manifest
    merged = {each.number: each for each in (find_cluster(folder.clusters, which) for which in given)}
    if len(merged) < 2:
        raise UsageError("merge takes two clusters or more: write imgcluster merge 4 5")
    first = next(iter(merged))
    names = [each.name for each in merged.values() if each.name]
    into = replace(merged[first], name="".join(names[:1]))
    if names[1:]:
        progress.note(f"{into.title}: the name {' and '.join(names[1:])} is given up")
    kept = [each for each in manifest.clusters if each.number == first or each.number not in merged]
    rows = [manifest.number_of[row] for row in range(len(manifest.number_of) - 1)]
    manifest = replace(
        manifest,
        clusters=tuple(into if each.number == first else each for each in kept),
        rows=tuple(first if number in merged else number for number in rows),
        own=tuple(number for number in manifest.own if number not in merged),
    )
    placements = tuple(
        replace(image, cluster=first) if image.cluster in merged else image for image in saved.placements
    )
    # What was said of the clusters that are one now is said of that one; none is barred from it any more.
    now = {each.reference: into.reference for each in merged.values()}
    said = [edit for edit in saved.edits.images if not (edit.barred and edit.cluster in now)]
    members = {image.key for image in placements if image.cluster == first}
    together = Edits(tuple(Edit(key, into.reference) for key in sorted(members)))
    edits = replace(saved.edits, images=tuple(said)).renamed(now).updated(together)
    changed = replace(saved, manifest=manifest, placements=placements, edits=edits)
    return remake(folder, changed, progress, owner)
