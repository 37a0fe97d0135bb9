"""All that a person put right: by hand in the folders, in a file of edits, in earlier clusterings."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from imgcluster.analysis.constraints import OUTSIDE, Constraints
from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.output.contents import KEPT
from imgcluster.output.names import UNSORTED, folder_name
from imgcluster.ownership import Ownership
from imgcluster.records import Keys, NamedCluster, Progress, row_of_key
from imgcluster.store.reader import FeatureReader
from imgcluster.workflows.clustering_folder import ClusteringFolder, find_folder
from imgcluster.workflows.edits import NO_EDITS, Edit, Edits, KeyOf, checked, read_edits, unknown_image
from imgcluster.workflows.embedded_images import EmbeddedImages
from imgcluster.workflows.options import ClusterOptions


@dataclass(frozen=True)
class UserEdits:
    """The edits that hold for a clustering that is to be made, and the one that stands where it will be."""

    edits: Edits = NO_EDITS
    before: ClusteringFolder | None = None

    @property
    def clusters(self) -> tuple[NamedCluster, ...]:
        """The clusters that stand."""
        return () if self.before is None else self.before.clusters

    @property
    def cluster_of(self) -> dict[bytes, int]:
        """The number of the cluster that each image is in, by its key."""
        return {} if self.before is None else {p.key: p.cluster for p in self.before.saved.placements}

    @property
    def cover_all(self) -> bool:
        """Whether the edits hold all that was moved by hand."""
        return self.before is not None and {*edits_by_hand(self.before).images} <= {*self.edits.images}

    def key_of(self, store: FeatureReader) -> KeyOf:
        """Tell the key of the image that was extracted from a path, or lies there in the clustering."""
        placements = () if self.before is None else self.before.saved.placements
        keys = {path: image.key for image in placements for path in (image.original, *image.places)}
        return (keys | {entry.path: entry.key for entry in store.paths()}).get

    def number_of(self, reference: str) -> int | None:
        """Give the number of the cluster that an edit speaks of; None where it is none that has one."""
        known = {each.reference: each.number for each in self.clusters}
        is_number = reference.isascii() and reference.isdigit()
        return known.get(reference, int(reference) if is_number else None)

    def constraints(
        self, edits: Edits, keys: Keys, *, seeded: bool
    ) -> tuple[tuple[str, ...], Constraints | None]:
        """Say to the clusterer what `edits`, these or more, say of the images with these keys.

        The clusters that they speak of, one for each group, and the constraints, if there are any.

        Parameters
        ----------
        seeded
            Clusters start at the means of their images.

        UsageError where an image is not to be in a cluster that nobody knows.
        """
        rows = row_of_key(keys)
        here = Edits(tuple(edit for edit in edits.images if edit.key in rows))
        groups = {name: group for group, name in enumerate(here.clusters)}
        pinned, was = np.full(len(keys), -1, np.int32), np.full(len(keys), -1, np.int32)
        barred = np.zeros((len(keys), len(groups)), bool)
        for edit in here.images:
            if edit.barred:
                barred[rows[edit.key], groups[edit.cluster]] = True
            else:
                pinned[rows[edit.key]] = groups.get(edit.cluster, OUTSIDE)
        others = (each.reference for each in self.clusters if each.reference not in groups)
        all_groups = groups | {name: len(groups) + place for place, name in enumerate(others)}
        group_of = {each.number: all_groups[each.reference] for each in self.clusters}
        for key, number in self.cluster_of.items():
            if key in rows:
                was[rows[key]] = group_of.get(number, -1)
        was[pinned == OUTSIDE] = -1
        known = {*pinned.tolist(), *was.tolist()}
        for name, group in groups.items():
            if group not in known:
                raise UsageError(f"an edit says not {name}, but no cluster is called {name}")
        said = Constraints(pinned, barred, was, seeded=seeded) if here.images else None
        return tuple(groups), said

    def own(self, edits: Edits, references: Sequence[str], k: int) -> frozenset[int]:
        """Tell which groups are clusters that a person began beside those that were found.

        A new name that a file gives may instead be for a cluster without one, if k has no room for another.
        """
        if self.before is None:
            return frozenset()
        manifest, of_key = self.before.saved.manifest, self.cluster_of
        standing = {each.number for each in self.clusters}
        numbers = {name: number for name in references if (number := self.number_of(name)) in standing}
        room = len(standing) + len(references) - len(numbers) <= k
        folders = edits_by_hand(self.before).clusters

        def is_own(name: str) -> bool:
            if name in numbers:
                return numbers[name] in manifest.own
            said = [each.key for each in edits.images if each.cluster == name and not each.barred]
            homes = Counter(of_key[key] for key in said if key in of_key)
            named = any(number in manifest.names for number, _ in homes.most_common(1))
            return room or named or name in folders

        return frozenset(group for group, name in enumerate(references) if is_own(name))


def gather_edits(
    options: ClusterOptions, collection: EmbeddedImages, owner: Ownership, progress: Progress
) -> UserEdits:
    """Find what the output folder holds, and join what was put right there with the file of edits.

    The clustering that stands has the names that the file gives.

    ImgclusterError where the file is as `read_edits` says, an image is unknown, or it names a cluster that is
    not there.
    """
    before = _before(options, owner, progress)
    said = UserEdits(NO_EDITS if before is None else before.saved.edits, before)
    if options.edits is None:
        return said
    given = read_edits(options.edits, said.key_of(collection.store))
    placed = said.cluster_of
    others = [edit.key for edit in given.images if edit.key not in placed]
    for key, count in zip(others, collection.count_spaces(others), strict=True):
        if not count:
            raise unknown_image(options.edits, key.hex())
    if before is not None:
        _refuse_numbers(given, before, options.edits)
    names: dict[int, str] = {}
    by_name = {name: each.number for each in said.clusters for name in (str(each.number), each.name) if name}
    for cluster, name in given.names.items():
        if cluster not in by_name:
            raise UsageError(
                f"{options.edits} names cluster {cluster}, which the output folder does not hold"
            )
        if (earlier := names.setdefault(by_name[cluster], name)) != name:
            raise UsageError(f"{options.edits} calls cluster {by_name[cluster]} both {earlier} and {name}")
    given = given.renamed({str(each.number): each.reference for each in said.clusters})
    edits = said.edits.updated(Edits(given.images))
    if before is not None and names:
        called = before.saved.named(before.saved.manifest.names | names)
        now = {each.number: each.reference for each in called.manifest.clusters}
        before = replace(before, saved=called)
        edits = edits.renamed({each.reference: now[each.number] for each in said.clusters})
    return UserEdits(edits, before)


def _refuse_numbers(edits: Edits, before: ClusteringFolder, file: str) -> None:
    """Raise UsageError where edits speak of a number that no cluster has, nor a folder that a person made."""
    numbers = [str(each.number) for each in before.clusters]
    known = {*numbers, *edits_by_hand(before).clusters}
    unknown = [e.cluster for e in edits.images if e.cluster.isdecimal() and e.cluster not in known]
    if unknown:
        there = ", ".join(numbers[:20])
        raise UsageError(f"{file} speaks of cluster {unknown[0]}: there are {there}; a new one needs a name")


def _before(options: ClusterOptions, owner: Ownership, progress: Progress) -> ClusteringFolder | None:
    """Find what the output folder holds; a damaged clustering has neither numbers nor names to keep."""
    if options.out is None or options.only_looks:
        return None
    try:
        return find_folder(options.out, owner)
    except UsageError:  # names given by hand that cannot be
        raise
    except ImgclusterError as error:
        progress.note(f"{error}: its names and numbers are not kept")
        return None


def edits_by_hand(folder: ClusteringFolder) -> Edits:
    """Say what a person did by moving images between cluster folders, or into folders of their own.

    An image that was put into ``unsorted/`` is in none.

    UsageError where a folder has a name that no cluster can have, or equal images lie in two.
    """
    of_number = {each.number: each.reference for each in folder.clusters}
    of_folder = {UNSORTED: UNSORTED}
    for marked in folder.marked.clusters:
        name = folder_name(marked.number, marked.name)
        of_folder[name] = of_folder[folder.contents.renamed.get(name, name)] = of_number[marked.number]
    edits: dict[bytes, Edit] = {}
    for now, then in folder.contents.corrections:
        key = bytes.fromhex(folder.marker.files[then].key)
        there, was = now.partition("/")[0], then.partition("/")[0]
        if there == KEPT or (there == UNSORTED and was == UNSORTED):
            continue
        edit = Edit(key, of_folder.get(there) or checked(there, os.path.join(folder.out, there)))
        if edits.setdefault(key, edit) != edit:
            raise UsageError(
                f"{os.path.join(folder.out, now)}: the same image was moved to another cluster, too"
            )
    return Edits(tuple(edits.values()))
