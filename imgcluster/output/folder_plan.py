"""Which file goes into which cluster folder under which name; nothing is written here."""

from __future__ import annotations

import os
import stat
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.files import Expected
from imgcluster.output.companions import Companion, find_companions
from imgcluster.output.file_system import is_mount_point
from imgcluster.output.life import check_replaceable, look
from imgcluster.output.link_modes import MODES, TABLE
from imgcluster.output.marker import OwnFile, read_marker
from imgcluster.output.moved import moved_by_hand
from imgcluster.output.names import NAME_LIMIT, distinct_names, folder_name
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Placement
from imgcluster.typed import place_of

_NONE: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One file of a plan.

    `source` is the file to read (of a symbolic link, its target), `relative` its place below the output
    folder, such as ``0/a.jpg``. `expected` is what has to be found at `source`. `moves` tells that the file
    itself goes there. `placement` says where the image will lie. `kept` describes the link or copy of an
    earlier clustering here that is taken over as it is. Of a file that only the table tells of, `relative` is
    its own path.
    """

    source: str
    relative: str
    expected: Expected
    moves: bool
    placement: Placement
    kept: OwnFile | None = None

    @property
    def stays(self) -> bool:
        """Whether nothing is put into the folders for it."""
        return self.relative.startswith("/")


Image = tuple[str, bytes]
"""The path that an image came from, and its key."""

Kept = Mapping[Image, tuple[str, OwnFile]]
"""Links and copies in the clustering that is to be replaced: where each lies, and how it is known."""


@dataclass(frozen=True)
class FolderPlan:
    """What `build_folders` will make.

    Attributes
    ----------
    out
        The output folder, absolute, without symbolic links.
    mode
        One of `link_modes.MODES`.
    files
        In the order of the placements.
    missing
        Paths of placements that are no files any more; they have no part in the plan.
    names
        Of the clusters that have one, by their numbers.
    companions
        Files that go with images that are moved.
    staying
        How many of those stay, because another image of their name does.
    fallbacks
        How many files did not go the first way of the mode, once it was carried out.
    """

    out: str
    mode: str
    files: tuple[PlannedFile, ...]
    missing: tuple[str, ...]
    names: Mapping[int, str] = field(default_factory=dict)
    companions: tuple[Companion, ...] = ()
    staying: int = 0
    fallbacks: int = 0

    def folder(self, cluster: int) -> str:
        """Return the name of a cluster's folder."""
        return folder_name(cluster, self.names.get(cluster, ""))

    @property
    def moving(self) -> frozenset[str]:
        """The files that leave their places."""
        images = (file.source for file in self.files if file.moves)
        return frozenset((*images, *(companion.source for companion in self.companions)))

    @property
    def placements(self) -> tuple[Placement, ...]:
        """The placements as they are once the plan is carried out, in the order of `files`."""
        return tuple(file.placement for file in self.files)

    @property
    def shown(self) -> list[str]:
        """Where each image is to be seen, once the plan is carried out."""
        return [os.path.join(self.out, file.relative) for file in self.files]

    @property
    def bytes_to_copy(self) -> int:
        """How many bytes have to be copied, as far as the file systems tell beforehand."""
        here = os.stat(_nearest_folder(self.out)).st_dev
        return sum(
            file.expected.identity[1]
            for file in self.files
            if not file.kept
            if (self.mode == "copy" and not file.moves)
            or (self.mode not in {"symlink", TABLE} and file.expected.device != here)
        )


def plan_folders(
    placements: Sequence[Placement],
    out: str,
    mode: str,
    names: Mapping[int, str] = _NONE,
    kept: Kept = _NONE,
    is_image: Callable[[str], bool] = lambda _: True,
) -> FolderPlan:
    """Decide on the name of every file below `out`; see `names.distinct_names`. Nothing is written.

    Images that an earlier ``--mode move`` put into `out` have no other place, so they move in every mode.

    Parameters
    ----------
    names
        Of the clusters that have one, by their numbers.
    kept
        Links and copies of the clustering in `out` that are to be taken over.
    is_image
        Whether a name is that of an image: companions stay where one of their name does.

    Raises
    ------
    ImgclusterError
        When `out` is a folder of images, or one above.
    """
    out, found, missing = _found(placements, out, mode, kept)
    files = _named(found, out, mode, names)
    companions, staying = find_companions(
        {file.source: file.relative for file in files if file.moves}, is_image
    )
    return FolderPlan(out, mode, files, missing, names, companions, staying)


def check_output(
    placements: Sequence[Placement],
    out: str,
    mode: str,
    *,
    force: bool,
    corrected: bool = False,
    owner: Ownership = IN_MEMORY,
) -> None:
    """Refuse before the long work what making the folders would refuse after it; no names are decided.

    Raises
    ------
    ImgclusterError
        When `out` is a folder of images, or one above, or holds what is not ours.
    """
    out, found, _ = _found(placements, out, mode)
    moving = {file.source for file in found if file.moves}
    check_replaceable(look(out, owner), moving, force=force, corrected=corrected)


def _found(
    placements: Sequence[Placement], out: str, mode: str, kept: Kept = _NONE
) -> tuple[str, list[PlannedFile], tuple[str, ...]]:
    """Give the real output folder, the files that are there, not yet named, and the paths of the others."""
    if mode not in MODES:
        raise UsageError(f"no mode {mode!r}: choose one of {', '.join(MODES)}")
    out = place_of(out)
    refuse_place(out)
    inside = any(placement.path.startswith(f"{out}/") for placement in placements)
    moved = _moved_before(out) if inside else frozenset()
    found, missing = [], []
    for placement in placements:
        file = _look(placement, mode, moved, kept.get((placement.original, placement.key)))
        if file is None:
            missing.append(placement.path)
        else:
            found.append(file)
    outside = [file for file in found if file.source not in moved and not file.kept]
    paths = {path for file in outside for path in (file.source, file.placement.path)}
    _refuse_image_folders(out, {path.rpartition("/")[0] for path in paths})
    _refuse_to_take_from({f.source.rpartition("/")[0] for f in found if f.moves})
    return out, found, tuple(missing)


def _moved_before(out: str) -> frozenset[str]:
    marker = read_marker(out)
    if marker is None:
        return frozenset()
    put = (f"{out}/{relative}" for relative, file in marker.files.items() if file.kind == "moved")
    return frozenset((*put, *moved_by_hand(out, marker).values()))


def _look(
    placement: Placement, mode: str, moved: frozenset[str], kept: tuple[str, OwnFile] | None
) -> PlannedFile | None:
    source, own = kept or (placement.path, None)
    try:
        status = os.lstat(source)
        if own:
            expected = Expected.of(status, placement.key)
            return PlannedFile(source, "", expected, moves=False, placement=placement, kept=own)
        is_link = stat.S_ISLNK(status.st_mode)
        if is_link:
            source = os.path.realpath(source)
            status = os.stat(source)
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    moves = source in moved or (mode == "move" and not is_link)
    expected = placement.expected or Expected.of(status, placement.key)
    return PlannedFile(source, "", expected, moves, placement)


def _named(
    files: list[PlannedFile], out: str, mode: str, names: Mapping[int, str]
) -> tuple[PlannedFile, ...]:
    limit = _name_limit(out)
    clusters: defaultdict[int, list[int]] = defaultdict(list)
    named = list(files)
    for index, file in enumerate(files):
        if mode == TABLE and not file.moves:
            named[index] = replace(file, relative=file.placement.path)
        else:
            clusters[file.placement.cluster].append(index)
    for cluster, members in clusters.items():
        placements = [files[i].placement for i in members]
        wanted = [(p.original.rpartition("/")[2], p.key, p.original) for p in placements]
        folder = folder_name(cluster, names.get(cluster, ""))
        for i, name in zip(members, distinct_names(wanted, limit), strict=True):
            file, relative = files[i], f"{folder}/{name}"
            placement = replace(file.placement, path=f"{out}/{relative}") if file.moves else file.placement
            named[i] = PlannedFile(file.source, relative, file.expected, file.moves, placement, file.kept)
    return tuple(named)


def refuse_place(out: str) -> None:
    """Refuse a folder that nothing can be put in the place of."""
    if is_mount_point(out):
        raise ImgclusterError(
            f"{out} is a mount point, which nothing can take the place of: name a folder in it"
        )
    parent = _nearest_folder(os.path.dirname(out))
    if not os.access(parent, os.W_OK | os.X_OK):
        within = f", such as one in {out}" if os.access(out, os.W_OK | os.X_OK) else ""
        raise ImgclusterError(f"{parent} cannot be written to: name another folder{within}")


def _refuse_image_folders(out: str, folders: set[str]) -> None:
    for folder in sorted(folders):
        real = os.path.realpath(folder or "/")
        if os.path.commonpath((real, out)) == out:
            what = "holds images itself" if real == out else f"lies above the images in {folder}"
            raise ImgclusterError(f"{out} {what}: choose another --out")


def _refuse_to_take_from(folders: set[str]) -> None:
    for folder in sorted(folders):
        if not os.access(folder or "/", os.W_OK | os.X_OK):
            raise ImgclusterError(
                f"{folder} cannot be written to, so images cannot be moved out of it: make it writable"
            )


def _name_limit(out: str) -> int:
    try:
        return min(NAME_LIMIT, os.pathconf(_nearest_folder(out), "PC_NAME_MAX"))
    except OSError:
        return NAME_LIMIT


def _nearest_folder(path: str) -> str:
    while not os.path.isdir(path):
        if os.path.lexists(path):
            raise ImgclusterError(f"{path} is a file: choose another --out")
        path = os.path.dirname(path)
    return path
