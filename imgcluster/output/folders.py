"""Cluster folders: built beside their place, byte for byte, and put there all at once."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.output.names import choose_names
from imgcluster.records import CLUSTERING_MARKER, Placement

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from imgcluster.records import Progress

_FALLBACK_ERRNOS = frozenset(
    {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}
)
_MARKER_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """An image file and the place it gets, relative to the clusters' folder."""

    placement: Placement
    file: str


@dataclass(frozen=True)
class FolderPlan:
    """Where every file goes; nothing is written yet. `sizes` counts files per cluster."""

    out: str
    mode: str
    files: tuple[PlacedFile, ...]
    sizes: tuple[int, ...]

    @property
    def bytes_to_copy(self) -> int:
        """How much a copy would write; 0 where links are asked for."""
        if self.mode != "copy":
            return 0
        return sum(os.stat(placed.placement.path).st_size for placed in self.files)


@dataclass(frozen=True)
class BuiltFolders:
    """What was built: by which mode, and how many files had to be copied where a link was wanted."""

    mode: str
    copied_instead: int


def plan_folders(placements: Sequence[Placement], out: str, mode: str) -> FolderPlan:
    """Choose the name of every file in its cluster's folder; the same placements give the same names.

    Raises
    ------
    ImgclusterError
        Where `out` is, or holds, a folder of the images.
    """
    out = os.path.abspath(out)
    inside = out.rstrip(os.sep) + os.sep
    for placement in placements:
        if os.path.realpath(os.path.dirname(placement.path)).startswith(os.path.realpath(out) + os.sep):
            continue
        if (os.path.dirname(placement.path) + os.sep).startswith(inside):
            raise ImgclusterError(f"{out} holds images that are sorted: choose another --out")
    clusters: dict[int, list[Placement]] = {}
    for placement in placements:
        clusters.setdefault(placement.cluster, []).append(placement)
    files = []
    for cluster in sorted(clusters):
        members = clusters[cluster]
        names = choose_names([member.original for member in members], [member.key for member in members])
        files += [
            PlacedFile(member, f"{cluster}/{name}") for member, name in zip(members, names, strict=True)
        ]
    sizes = tuple(len(clusters.get(cluster, ())) for cluster in range(max(clusters, default=-1) + 1))
    return FolderPlan(out, mode, tuple(files), sizes)


def build_folders(
    plan: FolderPlan, *, force: bool, extra_files: Mapping[str, bytes], progress: Progress
) -> BuiltFolders:
    """Build the folders of a plan, and put them in the place of those that an earlier run made.

    Parameters
    ----------
    force
        Take a place where other files lie; those are kept.
    extra_files
        Further files for the top of the folder, by name.

    Raises
    ------
    ImgclusterError
        Where the place is not ours; nothing was changed.
    """
    _check_place(plan.out, force=force)
    parent = os.path.dirname(plan.out)
    os.makedirs(parent, exist_ok=True)
    building = tempfile.mkdtemp(prefix=f".{os.path.basename(plan.out)}.", dir=parent)
    try:
        os.chmod(building, 0o755)  # noqa: S103 - as any folder that a person makes
        copied = _fill(building, plan, progress)
        marker = {"schema": _MARKER_SCHEMA, "files": sorted([*extra_files, *(p.file for p in plan.files)])}
        for name, data in {**extra_files, CLUSTERING_MARKER: json.dumps(marker).encode()}.items():
            with open(os.path.join(building, name), "wb") as file:
                file.write(data)
        _put_in_place(building, plan.out)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    if copied:
        progress.note(f"{copied} files were copied, for the file system does not take links here")
    return BuiltFolders("copy" if copied == len(plan.files) else plan.mode, copied)


def _check_place(out: str, *, force: bool) -> None:
    if not os.path.lexists(out):
        return
    if not os.path.isdir(out) or os.path.islink(out):
        raise ImgclusterError(f"{out} is no folder: choose another --out")
    foreign = _foreign_files(out)
    if foreign and not force:
        raise ImgclusterError(
            f"{out} holds files that imgcluster did not put there, such as {foreign[0]}: "
            "choose another --out, or --force to keep them and replace the rest"
        )


def _foreign_files(out: str) -> list[str]:
    ours = _our_files(out)
    found = []
    for folder, _, names in os.walk(out):
        for name in names:
            file = os.path.relpath(os.path.join(folder, name), out)
            if file not in ours and file != CLUSTERING_MARKER:
                found.append(file)
    return sorted(found)


def _our_files(out: str) -> set[str]:
    try:
        with open(os.path.join(out, CLUSTERING_MARKER), encoding="utf-8") as file:
            return set(json.load(file)["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _fill(building: str, plan: FolderPlan, progress: Progress) -> int:
    progress.begin("building folders", len(plan.files))
    for cluster in range(len(plan.sizes)):
        os.mkdir(os.path.join(building, str(cluster)))
    place = _PLACERS[plan.mode]
    copied = 0
    for placed in plan.files:
        copied += place(placed.placement.path, os.path.join(building, placed.file), plan.out)
        progress.advance()
    return copied


def _link(source: str, target: str, out: str) -> bool:
    """Hard link a file, or copy it where that cannot be; tell whether it was copied."""
    try:
        os.link(os.path.realpath(source), target)
    except OSError as error:
        if error.errno not in _FALLBACK_ERRNOS:
            raise ImgclusterError(f"{source} cannot be linked into {out}: {error.strerror}") from error
        return _copy(source, target, out)
    return False


def _symlink(source: str, target: str, out: str) -> bool:
    folder = os.path.join(out, os.path.basename(os.path.dirname(target)))
    os.symlink(os.path.relpath(source, folder), target)
    return False


def _copy(source: str, target: str, out: str) -> bool:
    try:
        shutil.copy2(source, target)
    except OSError as error:
        raise ImgclusterError(f"{source} cannot be copied into {out}: {error.strerror}") from error
    return True


_PLACERS: dict[str, Callable[[str, str, str], bool]] = {
    "auto": _link,
    "hardlink": _link,
    "symlink": _symlink,
    "copy": _copy,
}


def _put_in_place(building: str, out: str) -> None:
    if not os.path.lexists(out):
        os.rename(building, out)
        return
    foreign = _foreign_files(out)
    for file in foreign:
        target = os.path.join(building, file)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.lexists(target):
            target += ".kept"
    aside = f"{building}.old"
    os.rename(out, aside)
    os.rename(building, out)
    for file in foreign:
        target = os.path.join(out, file)
        os.rename(os.path.join(aside, file), target if not os.path.lexists(target) else f"{target}.kept")
    shutil.rmtree(aside)
