"""A finished clustering, read back from its folder: also what a person renamed or moved there by hand."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from imgcluster.errors import ImgclusterError, UsageError, explained, quantity
from imgcluster.files import Expected
from imgcluster.images.find import has_image_name
from imgcluster.options import as_arguments
from imgcluster.output.contents import Contents, examine
from imgcluster.output.folder_plan import FolderPlan, Image
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
    read_assignments,
)
from imgcluster.output.marker import Marker, OwnFile
from imgcluster.output.model_file import MODEL
from imgcluster.output.names import checked_name, folder_name, name_in_folder
from imgcluster.output.trust import note_foreign
from imgcluster.ownership import Ownership
from imgcluster.records import NamedCluster, Notify, Placement, Progress
from imgcluster.tabular import Tabular
from imgcluster.typed import place_of, typed_path
from imgcluster.workflows.edits import EDITS, NO_EDITS, Edits, edits_csv, parse_kept_edits
from imgcluster.workflows.options import ClusterOptions
from imgcluster.workflows.stored_files import compared

_NOT_AGAIN = frozenset({"k", "edits", "memory"})  # the page says how many and which; memory is the machine's

REPORT = "report.html"


@dataclass(frozen=True)
class SavedClustering:
    """What a clustering says about itself: all that it takes to make its folders again."""

    manifest: ClusteringManifest
    placements: tuple[Placement, ...]
    model: bytes
    edits: Edits = NO_EDITS

    @classmethod
    def parse(cls, files: Mapping[str, bytes], out: str) -> SavedClustering:
        """Read it from the files that tell it. ImgclusterError where they are damaged."""
        manifest = parse_manifest(files[CLUSTERING], out)
        edits = parse_kept_edits(files, out)
        return cls(manifest, parse_assignments(files[ASSIGNMENTS], out), files[MODEL], edits)

    def files(self, out: str, shown: Iterable[str]) -> dict[str, bytes]:
        """Write it; `shown` is where in `out` each image is."""
        edits = {EDITS: edits_csv(self.edits, self.placements, out)} if self.edits.images else {}
        return edits | {
            ASSIGNMENTS: assignments_csv(self.placements, out, [*shown], self.manifest.names),
            CLUSTERING: manifest_json(self.manifest, out),
            MODEL: self.model,
        }

    def as_made(self, plan: FolderPlan) -> dict[str, bytes]:
        """Write what it says once a plan is carried out, which tells how many files there are, and where."""
        clusters, unsorted = count_files(self.manifest.clusters, plan.placements)
        manifest = replace(
            self.manifest,
            k=len(clusters),
            sizes=tuple(cluster.size for cluster in clusters),
            clusters=clusters,
            unsorted=unsorted,
            images=len(plan.files),
        )
        made = replace(self, manifest=manifest, placements=plan.placements)
        return made.files(plan.out, plan.shown)

    def named(self, names: Mapping[int, str]) -> SavedClustering:
        """Name the clusters, by their numbers; edits speak of them by these names then.

        UsageError where two have one name, or one another's number.
        """
        numbers = {str(cluster.number) for cluster in self.manifest.clusters}
        names = {number: "" if name == str(number) else name for number, name in names.items()}
        for name, count in Counter(filter(None, names.values())).items():
            if count > 1:
                raise UsageError(f"{count} clusters would be called {name}: give each a name of its own")
            if name in numbers:
                raise UsageError(f"{name} is the number of another cluster: choose another name")
        before = self.manifest.clusters
        clusters = tuple(replace(each, name=names.get(each.number, "")) for each in before)
        now = {was.reference: each.reference for was, each in zip(before, clusters, strict=True)}
        manifest = replace(self.manifest, clusters=clusters)
        return replace(self, manifest=manifest, edits=self.edits.renamed(now))


@dataclass(frozen=True)
class ClusteringFolder:
    """A finished clustering of this user's.

    Attributes
    ----------
    saved
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
    saved: SavedClustering
    steps: tuple[bytes, ...]
    marked: ClusteringManifest

    @property
    def clusters(self) -> tuple[NamedCluster, ...]:
        """Its clusters as they are called now."""
        return self.saved.manifest.clusters

    @property
    def has_report(self) -> bool:
        """Whether there is a report, to be made again after a change."""
        return REPORT in self.marker.files

    @cached_property
    def kept(self) -> dict[Image, tuple[str, OwnFile]]:
        """The links and copies that can be taken over as they are."""
        files = self.marker.files
        now = {os.path.join(self.out, then): now for now, then in self.contents.owned.items()}
        kept = {}
        for image in self.saved.placements:
            own = files[os.path.relpath(image.shown, self.out)] if image.shown in now else None
            if own is not None and own.kind not in {"moved", "written"}:
                kept[image.original, image.key] = os.path.join(self.out, now[image.shown]), own
        return kept

    @property
    def all_steps(self) -> tuple[bytes, ...]:
        """The clusterings before whatever comes next: itself is the last."""
        placements = tuple(
            image if image.path == image.original else replace(image, path=image.shown)
            for image in self.saved.placements
        )
        itself = replace(self.saved, placements=placements)
        return (*self.steps, pack_step(itself.files(self.out, (image.shown for image in placements))))


@dataclass(frozen=True)
class Changed(Tabular):
    """The clusters of a folder after a change, and whether it had a report, which is about those before.

    `mode` is how the images come into it, as of `cluster`.
    """

    clusters: tuple[NamedCluster, ...]
    had_report: bool
    mode: str


def read_placements(
    clusters: str | os.PathLike[str], owner: Ownership, notify: Notify
) -> tuple[Placement, ...]:
    """Read which image is in which cluster; that the clustering is foreign is told.

    ImgclusterError where there is none, or it is damaged or has no image.
    """
    note_foreign(typed_path(clusters), owner, notify)
    return read_table(os.fspath(clusters))


def read_table(clusters: str) -> tuple[Placement, ...]:
    """Do as `read_placements` where whose clustering it is was found out before."""
    placements = read_assignments(clusters)
    if not placements:
        raise ImgclusterError(f"{clusters} has no image in its table: run `imgcluster cluster` again")
    return placements


def read_folder(clusters: str | os.PathLike[str], owner: Ownership, progress: Progress) -> ClusteringFolder:
    """Read the clustering in a folder, to change it; what an interrupted run left there is cleared away.

    ImgclusterError where there is none, it is damaged, or it is not known to be this user's.
    """
    recover(os.fspath(clusters), progress.note, owner)
    found = find_folder(clusters, owner)
    if found is None:
        raise ImgclusterError(f"no clustering in {os.fspath(clusters)}: run `imgcluster cluster` first")
    return found


def find_folder(clusters: str | os.PathLike[str], owner: Ownership) -> ClusteringFolder | None:
    """Do as `read_folder` where nothing may be changed; None where there is no clustering."""
    out = place_of(os.fspath(clusters))
    found = look(out, owner)
    if found.marker is None or not os.path.lexists(os.path.join(out, ASSIGNMENTS)):
        return None
    found.refuse_foreign(out)
    names = [CLUSTERING, ASSIGNMENTS, MODEL, *([EDITS] if EDITS in found.marker.files else [])]
    saved = SavedClustering.parse({name: read_as_made(out, name, found.marker) for name in names}, out)
    contents = examine(out, found.marker)
    steps = read_steps(out, found.marker)
    return ClusteringFolder(out, found.marker, contents, _as_it_lies(saved, contents), steps, saved.manifest)


def read_as_made(out: str, name: str, marker: Marker) -> bytes:
    """Read a file of the clustering in `out`. ImgclusterError where it is not as the marker says."""
    path = os.path.join(out, name)
    with explained(f"cannot read {path}", ": run `imgcluster cluster` again"):
        data = read_told(path, marker.files.get(name))
    if data is None:
        raise ImgclusterError(f"{path} was changed since it was put there: run `imgcluster cluster` again")
    return data


def _as_it_lies(saved: SavedClustering, contents: Contents) -> SavedClustering:
    names = saved.manifest.names
    for cluster in saved.manifest.clusters:
        by_hand = contents.renamed.get(folder_name(cluster.number, cluster.name))
        if by_hand is not None:
            name = name_in_folder(by_hand, cluster.number)
            names[cluster.number] = checked_name(name) if name else ""
    now = {os.path.join(contents.folder, then): now for now, then in contents.owned.items()}
    placements = tuple(
        replace(image, path=os.path.join(contents.folder, now[image.path])) if image.path in now else image
        for image in saved.placements
    )
    return replace(saved.named(names), placements=placements)


def count_files(
    clusters: Iterable[NamedCluster], placements: Iterable[Placement]
) -> tuple[tuple[NamedCluster, ...], int]:
    """Count the files of each cluster, and those that fit in none."""
    sizes = Counter(placement.cluster for placement in placements)
    return tuple(replace(each, size=sizes[each.number]) for each in clusters), sizes[-1]


def remake(
    folder: ClusteringFolder,
    saved: SavedClustering,
    progress: Progress,
    owner: Ownership,
    *,
    steps: Sequence[bytes] | None = None,
    force: bool = False,
) -> Changed:
    """Put another clustering of the same images in the place of one; links and copies are taken over.

    Files of others move along to the same place.

    Parameters
    ----------
    saved
        The other one; an image that has moved may have any path.
    steps
        The clusterings before, the oldest first; by default also the one that is replaced.
    force
        Also where images were moved by hand: that is given up.

    ImgclusterError where images were moved by hand, something cannot be written, or the
    folder holds another clustering by now.
    """
    if not force:
        refuse_corrections(folder.contents)
    kept = folder.kept
    manifest = saved.manifest
    if manifest.mode != folder.saved.manifest.mode:
        kept = {image: file for image, file in kept.items() if not os.path.lexists(image[0])}
    lies = {(image.original, image.key): image.path for image in folder.saved.placements}
    placements = [
        replace(image, path=where if os.path.lexists(where) else image.original)
        for image in saved.placements
        for where in (lies.get((image.original, image.key), image.original),)
    ]
    # Files that would be linked, copied or moved, and hold other bytes by now, are left out.
    files, owned = folder.marker.files, folder.contents.owned
    own = {os.path.join(folder.out, now): files[was] for now, was in owned.items()}

    def known(image: Placement) -> Expected | None:
        if (image.original, image.key) in kept:
            return kept[image.original, image.key][1].recorded
        return own[image.path].proof(image.path) if image.path in own else None

    placements = [replace(image, expected=known(image)) for image in placements]
    placements, changed = compared(placements, folder.saved.manifest.store, owner, progress)
    if changed:
        first = min(changed, key=os.fsencode)
        progress.note(
            f"left out: {quantity(len(changed), 'image')} changed since extraction, the first: {first}"
        )
    plan = plan_folders(placements, folder.out, manifest.mode, manifest.names, kept, has_image_name)
    history = history_files(folder.all_steps if steps is None else steps)
    build_folders(
        plan,
        force=True,
        extra_files=lambda made: saved.as_made(made) | history,
        progress=progress,
        owner=owner,
        expected_marker=folder.marker,
    )
    return Changed(count_files(manifest.clusters, plan.placements)[0], folder.has_report, manifest.mode)


def command_again(out: str, manifest: ClusteringManifest) -> str:
    """Write what makes such a clustering again, but for its k and edits; from any folder."""
    own = {name: getattr(manifest, name) for name in ("store", "algorithm", "prepare", "seed", "mode")}
    others = {name: value for name, value in manifest.options.items() if name not in _NOT_AGAIN}
    return shlex.join(
        [
            "imgcluster",
            "cluster",
            *manifest.paths,
            *as_arguments(ClusterOptions, {"out": out, **own, **others}),
        ]
    )
