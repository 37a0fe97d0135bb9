"""Correct: a file of edits from what was moved and renamed by hand."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass

from imgcluster.errors import UsageError
from imgcluster.output.names import UNSORTED
from imgcluster.output.single_file import write_file
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Progress
from imgcluster.tabular import Tabular
from imgcluster.workflows.clustering_folder import ClusteringFolder, command_again, read_folder
from imgcluster.workflows.edits import NO_EDITS, Edits, edits_csv, read_edits
from imgcluster.workflows.options import CorrectOptions
from imgcluster.workflows.user_edits import edits_by_hand


@dataclass(frozen=True)
class Corrected(Tabular):
    """What was done.

    Attributes
    ----------
    file
        The file of edits that was written.
    images, names
        How many images were moved by hand, and the names that folders got.
    earlier
        How many images the file spoke of before.
    command
        What makes the clustering again with these edits, from any folder.
    """

    file: str
    images: int
    names: dict[str, str]
    earlier: int
    command: str


def correct(
    options: CorrectOptions | None = None,
    *,
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> Corrected:
    """Write what was moved between cluster folders, or renamed, as a file for ``cluster --edits``.

    A file that is there already is added to.

    Raises
    ------
    ImgclusterError
        Where there is no clustering, nothing was moved or renamed, or the file is none of edits.
    """
    options = options or CorrectOptions()
    folder = read_folder(options.clusters, owner, progress)
    by_hand = edits_by_hand(folder)
    before, placements = folder.marked.names, folder.saved.placements
    names = {
        str(cluster.number): cluster.reference
        for cluster in folder.clusters
        if cluster.name != before.get(cluster.number, "")
    }
    if not by_hand.images and not names:
        raise UsageError(
            f"nothing in {options.clusters} was moved or renamed by hand: there is nothing to keep"
        )
    keys = {image.original: image.key for image in placements}
    earlier = read_edits(options.out, keys.get) if os.path.lexists(options.out) else NO_EDITS
    edits = _as_called_now(earlier, folder).updated(Edits(by_hand.images, names))
    write_file(options.out, edits_csv(edits, placements, os.path.dirname(os.path.realpath(options.out))))
    known = {cluster.reference for cluster in folder.clusters}
    own = {*by_hand.clusters} - known
    k, file = len(folder.clusters) + len(own), shlex.quote(os.path.abspath(options.out))
    again = f"{command_again(folder.out, folder.saved.manifest)} --k {k} --edits {file}"
    return Corrected(options.out, len(by_hand.images), names, len(earlier.images), again)


def _as_called_now(earlier: Edits, folder: ClusteringFolder) -> Edits:
    """Speak of clusters that got other names since, or were merged, as the clustering does."""
    kept = {edit.key: edit for edit in folder.saved.edits.images}
    called = {name for each in folder.clusters for name in (each.name, str(each.number))} | {UNSORTED}
    images = (edit if edit.cluster in called else kept.get(edit.key, edit) for edit in earlier.images)
    nameless = {str(each.number) for each in folder.clusters if not each.name}
    names = {cluster: name for cluster, name in earlier.names.items() if cluster in nameless}
    return Edits(tuple(dict.fromkeys(images)), names)
