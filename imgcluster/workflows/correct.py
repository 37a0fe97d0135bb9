"""Correct: a file of edits from what was moved and renamed by hand; and clusters that are merged."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from imgcluster.errors import UsageError
from imgcluster.output.single_file import write_file
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Progress, SilentProgress
from imgcluster.workflows.corrections import edits_by_hand
from imgcluster.workflows.edits import NO_EDITS, Edit, Edits, edits_csv, paths_of, read_edits
from imgcluster.workflows.name import Changed, find_cluster
from imgcluster.workflows.options import CorrectOptions, NameOptions
from imgcluster.workflows.standing import read_standing, reference, remake


@dataclass(frozen=True)
class Corrected:
    """The file that was written, how many images were moved by hand, and the names that folders got."""

    file: str
    images: int
    names: dict[str, str]


def correct(
    options: CorrectOptions | None = None,
    *,
    owner: Ownership = IN_MEMORY,
    progress: Progress | None = None,
) -> Corrected:
    """Write what was moved between cluster folders, or renamed, as a file for ``cluster --edits``.

    A file that is there already is added to.

    Raises
    ------
    ImgclusterError
        Where there is no clustering, nothing was moved or renamed, or the file is none of edits.
    """
    options, progress = options or CorrectOptions(), progress or SilentProgress()
    standing = read_standing(options.clusters, owner, progress)
    by_hand = edits_by_hand(standing)
    before = standing.marked.names
    names = {
        str(cluster.number): cluster.name or str(cluster.number)
        for cluster in standing.told.manifest.clusters
        if cluster.name != before.get(cluster.number, "")
    }
    if not by_hand.images and not names:
        raise UsageError(
            f"nothing in {options.clusters} was moved or renamed by hand: there is nothing to keep"
        )
    keys = {image.original: image.key for image in standing.told.placements}
    earlier = read_edits(options.out, keys.get) if os.path.lexists(options.out) else NO_EDITS
    edits = earlier.updated(Edits(by_hand.images, names))
    folder = os.path.dirname(os.path.realpath(options.out))
    paths = paths_of(((image.key, image.original) for image in standing.told.placements), folder)
    write_file(options.out, edits_csv(edits, paths))
    return Corrected(options.out, len(by_hand.images), names)


def merge(
    given: Sequence[str],
    options: NameOptions | None = None,
    *,
    owner: Ownership = IN_MEMORY,
    progress: Progress | None = None,
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
    options, progress = options or NameOptions(), progress or SilentProgress()
    standing = read_standing(options.clusters, owner, progress)
    told = standing.told
    merged = {each.number: each for each in (find_cluster(told.manifest, which) for which in given)}
    if len(merged) < 2:
        raise UsageError("merge takes two clusters or more: write imgcluster merge 4 5")
    first, *others = merged.values()
    name = next((each.name for each in (first, *others) if each.name), "")
    into = replace(first, name=name)
    clusters = tuple(
        into if each.number == first.number else each
        for each in told.manifest.clusters
        if each.number == first.number or each.number not in merged
    )
    rows = [told.manifest.number_of[row] for row in range(len(told.manifest.number_of) - 1)]
    manifest = replace(
        told.manifest,
        clusters=clusters,
        rows=tuple(first.number if number in merged else number for number in rows),
    )
    placements = tuple(
        replace(image, cluster=first.number) if image.cluster in merged else image
        for image in told.placements
    )
    # What was said of the clusters that are one now is said of that one; none is barred from it any more.
    now = {reference(each): reference(into) for each in merged.values()}
    edits = Edits(
        tuple(e for e in told.edits.images if not (e.barred and e.cluster in now)), told.edits.names
    ).renamed(now)
    members = {image.key for image in placements if image.cluster == first.number}
    together = Edits(tuple(Edit(key, reference(into)) for key in sorted(members)))
    changed = replace(
        told,
        manifest=manifest,
        placements=placements,
        edits=edits.updated(together),
    )
    steps = (*standing.steps, standing.as_step())
    return Changed(remake(standing, changed, steps, progress, owner), standing.has_report)
