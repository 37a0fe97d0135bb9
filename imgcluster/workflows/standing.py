"""The clustering that a folder holds, as it stands: also what a person renamed or moved there by hand."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError, UsageError, quantity
from imgcluster.images.find import has_image_name
from imgcluster.output.contents import Contents, examine
from imgcluster.output.folder_plan import FolderPlan, Image, KeptFile
from imgcluster.output.folders import build_folders, plan_folders, recover
from imgcluster.output.history import history_files, pack_step, read_steps, read_told
from imgcluster.output.life import look, refuse_corrections
from imgcluster.output.manifest import (
    ASSIGNMENTS,
    CLUSTERING,
    ClusteringManifest,
    assignments_csv,
    manifest_json,
    parse_assignments,
    parse_manifest,
)
from imgcluster.output.marker import Marker
from imgcluster.output.model_file import MODEL
from imgcluster.output.names import checked_name, folder_name, name_in_folder
from imgcluster.readings import Readings
from imgcluster.records import NamedCluster, Placement
from imgcluster.workflows.edits import EDITS, NO_EDITS, Edits, edits_csv, parse_kept_edits, paths_of
from imgcluster.workflows.existing import Check

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from imgcluster.ownership import Ownership
    from imgcluster.records import Progress

REPORT = "report.html"


@dataclass(frozen=True)
class Told:
    """What a clustering says about itself: all that it takes to make its folders again."""

    manifest: ClusteringManifest
    placements: tuple[Placement, ...]
    model: bytes
    edits: Edits = NO_EDITS

    @classmethod
    def parse(cls, files: Mapping[str, bytes], out: str) -> Told:
        """Read it from the files that tell it. ImgclusterError where they are damaged."""
        manifest = parse_manifest(files[CLUSTERING], out)
        edits = parse_kept_edits(files, out)
        return cls(manifest, parse_assignments(files[ASSIGNMENTS], out), files[MODEL], edits)


@dataclass(frozen=True)
class Standing:
    """A finished clustering of this user's.

    Attributes
    ----------
    told
        What it says about itself; folders that were renamed by hand are names, and each image has the path
        where it lies now.
    contents
        What its folder holds.
    steps
        The clusterings that it held before, as `history` keeps them, the oldest first.
    marked
        What it says about itself as it was made, without names given by hand.
    """

    out: str
    marker: Marker
    contents: Contents
    told: Told
    steps: tuple[bytes, ...]
    marked: ClusteringManifest

    @property
    def references(self) -> dict[str, str]:
        """What edits call its clusters now, by what they called them when it was made."""
        now = {each.number: reference(each) for each in self.told.manifest.clusters}
        return {reference(each): now[each.number] for each in self.marked.clusters}

    def renamed(self, names: Mapping[int, str]) -> Standing:
        """Give it other names."""
        return replace(self, told=rename(self.told, self.told.manifest.names | dict(names)))

    @property
    def has_report(self) -> bool:
        """Whether there is a report, to be made again after a change."""
        return REPORT in self.marker.files

    @cached_property
    def kept(self) -> dict[Image, KeptFile]:
        """The links and copies that can be taken over as they are."""
        files = self.marker.files
        now = {os.path.join(self.out, then): now for now, then in self.contents.owned.items()}
        kept = {}
        for image in self.told.placements:
            kind = files[os.path.relpath(image.shown, self.out)].kind if image.shown in now else "moved"
            if kind not in {"moved", "written"}:
                place = os.path.join(self.out, now[image.shown])
                kept[image.original, image.key] = KeptFile(place, kind)
        return kept

    def as_step(self) -> bytes:
        """Pack what the history keeps of it."""
        placements = tuple(
            image if image.path == image.original else replace(image, path=image.shown)
            for image in self.told.placements
        )
        shown = [image.shown for image in placements]
        return pack_step(_told_files(replace(self.told, placements=placements), self.out, shown))


def read_standing(clusters: str | os.PathLike[str], owner: Ownership, progress: Progress) -> Standing:
    """Read the clustering in a folder, to change it; what an interrupted run left there is cleared away.

    Raises
    ------
    ImgclusterError
        Where there is none, it is damaged, or it is not known to be this user's.
    """
    recover(os.fspath(clusters), progress.note, owner)
    standing = find_standing(clusters, owner)
    if standing is None:
        raise ImgclusterError(f"no clustering in {os.fspath(clusters)}: run `imgcluster cluster` first")
    return standing


def find_standing(clusters: str | os.PathLike[str], owner: Ownership) -> Standing | None:
    """Do as `read_standing` where nothing may be changed; None where there is no clustering."""
    out = os.path.realpath(clusters)
    found = look(out, owner)
    if found.marker is None or not os.path.lexists(os.path.join(out, ASSIGNMENTS)):
        return None
    found.refuse_foreign(out)
    names = [CLUSTERING, ASSIGNMENTS, MODEL, *([EDITS] if EDITS in found.marker.files else [])]
    told = Told.parse({name: _read(out, name, found.marker) for name in names}, out)
    contents = examine(out, found.marker)
    steps = read_steps(out, found.marker)
    return Standing(out, found.marker, contents, _as_it_lies(told, contents), steps, told.manifest)


def _read(out: str, name: str, marker: Marker) -> bytes:
    path = os.path.join(out, name)
    try:
        data = read_told(path, marker.files.get(name))
    except OSError as error:
        raise ImgclusterError(
            f"cannot read {path}: {error.strerror}: run `imgcluster cluster` again"
        ) from error
    if data is None:
        raise ImgclusterError(f"{path} was changed since it was put there: run `imgcluster cluster` again")
    return data


def _as_it_lies(told: Told, contents: Contents) -> Told:
    old = told.manifest.names
    names = dict(old)
    for cluster in told.manifest.clusters:
        by_hand = contents.renamed.get(folder_name(cluster.number, cluster.name))
        if by_hand is not None:
            name = name_in_folder(by_hand, cluster.number)
            names[cluster.number] = checked_name(name) if name else ""
    now = {os.path.join(contents.folder, then): now for now, then in contents.owned.items()}
    placements = tuple(
        replace(image, path=os.path.join(contents.folder, now[image.path])) if image.path in now else image
        for image in told.placements
    )
    return replace(rename(told, names), placements=placements)


def rename(told: Told, names: Mapping[int, str]) -> Told:
    """Give clusters other names, of which their edits speak then. UsageError as of `with_names`."""
    manifest = with_names(told.manifest, names)
    before = {cluster.number: reference(cluster) for cluster in told.manifest.clusters}
    now = {before[cluster.number]: reference(cluster) for cluster in manifest.clusters}
    return replace(told, manifest=manifest, edits=told.edits.renamed(now))


def reference(cluster: NamedCluster) -> str:
    """Give what edits call a cluster: its name or, without one, its number."""
    return cluster.name or str(cluster.number)


def with_names(manifest: ClusteringManifest, names: Mapping[int, str]) -> ClusteringManifest:
    """Name the clusters, by their numbers. UsageError where two have one name, or one another's number."""
    names = {number: "" if name == str(number) else name for number, name in names.items()}
    for name, count in Counter(name for name in names.values() if name).items():
        if count > 1:
            raise UsageError(f"{count} clusters would be called {name}: give each a name of its own")
        if name in {str(cluster.number) for cluster in manifest.clusters}:
            raise UsageError(f"{name} is the number of another cluster: choose another name")
    clusters = tuple(replace(each, name=names.get(each.number, "")) for each in manifest.clusters)
    return replace(manifest, clusters=clusters)


def count_clusters(
    numbers: Iterable[int], names: Mapping[int, str], placements: Iterable[Placement]
) -> tuple[tuple[NamedCluster, ...], int]:
    """Count the files of each cluster, in the order of `numbers`, and those that fit in none."""
    sizes = Counter(placement.cluster for placement in placements)
    clusters = tuple(NamedCluster(number, names.get(number, ""), sizes[number]) for number in numbers)
    return clusters, sizes[-1]


def told_files(
    plan: FolderPlan,
    manifest: ClusteringManifest,
    numbers: Iterable[int],
    model: bytes,
    edits: Edits = NO_EDITS,
) -> dict[str, bytes]:
    """Give what the clustering of `plan` says about itself: how many files there are is told by the plan.

    Parameters
    ----------
    numbers
        Of the clusters, in their order.
    """
    clusters, unsorted = count_clusters(numbers, plan.names, plan.placements)
    manifest = replace(
        manifest,
        k=len(clusters),
        sizes=tuple(cluster.size for cluster in clusters),
        clusters=clusters,
        unsorted=unsorted,
        images=len(plan.files),
    )
    told = Told(manifest, plan.placements, model, edits)
    return _told_files(told, plan.out, [os.path.join(plan.out, f.relative) for f in plan.files])


def _told_files(told: Told, out: str, shown: Sequence[str]) -> dict[str, bytes]:
    files = [os.path.relpath(path, out) for path in shown]
    paths = paths_of(((image.key, image.original) for image in told.placements), out)
    edits = {EDITS: edits_csv(told.edits, paths)} if told.edits.images else {}
    return edits | {
        ASSIGNMENTS: assignments_csv(told.placements, out, files, told.manifest.names),
        CLUSTERING: manifest_json(told.manifest, out),
        MODEL: told.model,
    }


def remake(
    standing: Standing,
    told: Told,
    steps: Sequence[bytes],
    progress: Progress,
    owner: Ownership,
    *,
    force: bool = False,
) -> tuple[NamedCluster, ...]:
    """Put another clustering of the same images in the place of one; links and copies are taken over.

    Files of others move along to the same place. The clusters as they are then.

    Parameters
    ----------
    told
        The other one; an image that has moved may have any path.
    steps
        The clusterings before, the oldest first.
    force
        Also where images were moved by hand: that is given up.

    Raises
    ------
    ImgclusterError
        Where images were moved by hand, or something cannot be written.
    """
    if not force:
        refuse_corrections(standing.contents)
    kept = standing.kept
    if told.manifest.mode != standing.told.manifest.mode:
        kept = {image: file for image, file in kept.items() if not os.path.lexists(image[0])}
    lies = {(image.original, image.key): image.path for image in standing.told.placements}
    placements = [
        replace(image, path=where if os.path.lexists(where) else image.original)
        for image in told.placements
        for where in (lies.get((image.original, image.key), image.original),)
    ]
    placements = _known(placements, standing, kept, progress, owner)
    plan = plan_folders(
        placements, standing.out, told.manifest.mode, told.manifest.names, kept, has_image_name
    )
    numbers = [cluster.number for cluster in told.manifest.clusters]
    history = history_files(steps)
    build_folders(
        plan,
        force=True,
        extra_files=lambda made: told_files(made, told.manifest, numbers, told.model, told.edits) | history,
        progress=progress,
        owner=owner,
    )
    return count_clusters(numbers, plan.names, plan.placements)[0]


def _known(
    placements: Sequence[Placement],
    standing: Standing,
    kept: Mapping[Image, KeptFile],
    progress: Progress,
    owner: Ownership,
) -> list[Placement]:
    """Leave out images whose file, one that would be linked, copied or moved, holds other bytes by now."""
    inside = {os.path.join(standing.out, now) for now in standing.contents.owned}
    check = Check(Readings(owner, standing.told.manifest.store), progress, strict=True)
    outside = [p for p in placements if (p.original, p.key) not in kept and p.path not in inside]
    changed = set(check.changed((p.path, p.original, p.key) for p in outside))
    for path in sorted(changed, key=os.fsencode)[:1]:
        progress.note(
            f"left out: {quantity(len(changed), 'image')} changed since extraction, the first: {path}"
        )
    return [p for p in placements if p.path not in changed]
