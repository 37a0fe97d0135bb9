"""Correct: a file of edits from what was moved and renamed by hand."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from itertools import chain

from imgcluster.errors import UsageError
from imgcluster.output.history import unpack_step
from imgcluster.output.manifest import CLUSTERING, parse_manifest
from imgcluster.output.single_file import write_file
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Progress
from imgcluster.tabular import Tabular
from imgcluster.workflows.clustering_folder import ClusteringFolder, command_again, read_folder
from imgcluster.workflows.edits import NO_EDITS, Edit, Edits, edits_csv, read_edits
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
    """Speak of clusters that got other names since, or were merged, as the clustering does.

    What it knows of an image counts, unless the file says what its clusters were never called: that is new.
    """
    kept, given = _by_key(folder.saved.edits), _by_key(earlier)
    number_of = {each.reference: each.number for each in folder.clusters}
    steps = (parse_manifest(unpack_step(step, CLUSTERING)[CLUSTERING], folder.out) for step in folder.steps)
    once = {(each.number, each.reference) for made in (folder.marked, *steps) for each in made.clusters}
    gone = {name for _, name in once} - {*number_of, *map(str, number_of.values())}

    def is_new(edit: Edit) -> bool:
        same = (known for known in kept[edit.key] if known.barred == edit.barred)
        return edit.cluster not in gone and not any(
            known == edit or (number_of.get(known.cluster), edit.cluster) in once for known in same
        )

    images = (
        said if not (known := kept.get(key)) or any(map(is_new, said)) else known
        for key, said in given.items()
    )
    nameless = {str(each.number) for each in folder.clusters if not each.name}
    names = {cluster: name for cluster, name in earlier.names.items() if cluster in nameless}
    return Edits(tuple(chain.from_iterable(images)), names)


def _by_key(edits: Edits) -> dict[bytes, list[Edit]]:
    found: dict[bytes, list[Edit]] = {}
    for edit in edits.images:
        found.setdefault(edit.key, []).append(edit)
    return found
