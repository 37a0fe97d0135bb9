"""What a person put right: by hand in the folders, in a file of edits, in earlier clusterings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis.constraints import Constraints
from imgcluster.errors import UsageError
from imgcluster.output.contents import KEPT
from imgcluster.output.names import UNSORTED, folder_name
from imgcluster.workflows.edits import NO_EDITS, Edit, Edits, checked, read_edits, unknown_image
from imgcluster.workflows.standing import reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from imgcluster.records import Keys
    from imgcluster.workflows.standing import Standing


def edits_by_hand(standing: Standing) -> Edits:
    """Say what a person did by moving images between cluster folders, or into folders of their own.

    An image that was put into ``unsorted/`` is not in the cluster that it came from.

    Raises
    ------
    UsageError
        Where a folder has a name that no cluster can have, or equal images lie in two.
    """
    clusters = standing.told.manifest.clusters
    of_folder = {folder_name(each.number, each.name): reference(each) for each in standing.marked.clusters}
    of_number = {each.number: reference(each) for each in clusters}
    for marked in standing.marked.clusters:
        folder = folder_name(marked.number, marked.name)
        of_folder[folder] = of_number[marked.number]
        of_folder[standing.contents.renamed.get(folder, folder)] = of_number[marked.number]
    edits: dict[bytes, Edit] = {}
    for now, then in standing.contents.corrections:
        key = bytes.fromhex(standing.marker.files[then].key)
        folder, was = now.partition("/")[0], then.partition("/")[0]
        if folder == KEPT or (folder == UNSORTED and was == UNSORTED):
            continue
        if folder == UNSORTED:
            edit = Edit(key, of_folder[was], barred=True)
        else:
            edit = Edit(key, of_folder.get(folder) or checked(folder, os.path.join(standing.out, folder)))
        if edits.setdefault(key, edit) != edit:
            raise UsageError(
                f"{os.path.join(standing.out, now)}: the same image was moved to another cluster, too"
            )
    return Edits(tuple(edits.values()))


def all_edits(
    before: Standing | None,
    file: str | None,
    key_of: Callable[[str], bytes | None],
    is_known: Callable[[bytes], bool],
) -> tuple[Edits, Mapping[int, str]]:
    """Join what was put right before with a file of edits; and the names that the file gives, by numbers.

    Raises
    ------
    ImgclusterError
        Where the file is as `read_edits` says, an image is unknown, or it names a cluster that is not there.
    """
    kept = NO_EDITS if before is None else before.told.edits
    if file is None:
        return kept, {}
    given = read_edits(file, key_of)
    for edit in given.images:
        if not is_known(edit.key):
            raise unknown_image(file, edit.key.hex())
    clusters = () if before is None else before.told.manifest.clusters
    by_reference = {name: each for each in clusters for name in (str(each.number), each.name) if name}
    names = {}
    for cluster, name in given.names.items():
        if cluster not in by_reference:
            raise UsageError(f"{file} names cluster {cluster}, which the output folder does not hold")
        names[by_reference[cluster].number] = name
    spoken = {str(each.number): reference(each) for each in clusters}
    return kept.updated(Edits(given.renamed(spoken).images)), names


def covers(edits: Edits, before: Standing | None) -> bool:
    """Whether the edits hold all that was moved by hand."""
    return before is not None and set(edits_by_hand(before).images) <= set(edits.images)


def constraints_of(
    edits: Edits, before: Standing | None, keys: Keys, *, seeded: bool = False
) -> tuple[tuple[str, ...], Constraints | None]:
    """Say to the clusterer what the edits say of the images with these keys.

    With `seeded`, their clusters start at the means of their images.

    The clusters that they speak of, one for each group, and the constraints, if there are any.

    Raises
    ------
    UsageError
        Where an image is not to be in a cluster that nobody knows.
    """
    rows = {bytes(key): row for row, key in enumerate(keys)}
    here = [edit for edit in edits.images if edit.key in rows]
    references = Edits(tuple(here)).clusters
    groups = {name: group for group, name in enumerate(references)}
    pinned, was = np.full(len(keys), -1, np.int32), np.full(len(keys), -1, np.int32)
    barred = np.zeros((len(keys), len(references)), bool)
    for edit in here:
        if edit.barred:
            barred[rows[edit.key], groups[edit.cluster]] = True
        else:
            pinned[rows[edit.key]] = groups[edit.cluster]
    if before is not None:
        group_of = {each.number: groups.get(reference(each), -1) for each in before.told.manifest.clusters}
        for image in before.told.placements:
            if image.key in rows:
                was[rows[image.key]] = group_of.get(image.cluster, -1)
    for name, group in groups.items():
        if not (pinned == group).any() and not (was == group).any():
            raise UsageError(f"an edit says not {name}, but no cluster is called {name}")
    return references, Constraints(pinned, barred, was, seeded) if references else None


def numbers_of(references: Sequence[str], before: Standing | None) -> dict[str, int]:
    """Give the numbers of those clusters that have one."""
    clusters = () if before is None else before.told.manifest.clusters
    known = {reference(each): each.number for each in clusters}
    return {
        name: known.get(name, int(name) if name.isascii() and name.isdigit() else -1)
        for name in references
        if name in known or (name.isascii() and name.isdigit())
    }
