"""Find what may be an image below some folders: every real file once, nothing of the system's own."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from imgcluster.errors import FailureCode, ImgclusterError
from imgcluster.files import lies_below
from imgcluster.images.header import EXTENSIONS
from imgcluster.images.reading import kind_of_special_file, reason_of
from imgcluster.records import CLUSTERING_MARKER, Failure, ImageFile, Progress

_SUFFIXES = frozenset(chain.from_iterable(EXTENSIONS.values()))
# Folders and files that systems and programs leave beside photographs, with pictures of their own in them.
_SYSTEM_NAMES = frozenset(
    {"thumbs.db", "__macosx", "$recycle.bin", "recycler", "system volume information", "lost+found"}
    | {"@eadir", "@recycle", "#recycle", "#snapshot"}
)
_REPORT_EVERY = 1000


@dataclass(frozen=True)
class FoundImages:
    """What a scan gave.

    Attributes
    ----------
    files
        Sorted by the bytes of their paths; a file that several links lead to is there once.
    failures
        Dangling links, folders that cannot be read, pipes with an image's name …
    folders
        The scanned roots, absolute.
    hidden
        Files and folders of systems and programs that were left out.
    clusterings
        Folders that were left out because `cluster` made them.
    """

    files: tuple[ImageFile, ...]
    failures: tuple[Failure, ...]
    folders: tuple[str, ...]
    hidden: int
    clusterings: int


@dataclass
class _Scan:
    """The state of one scan; each folder and each file is known by its device and inode."""

    follow_links: bool
    progress: Progress
    roots: tuple[str, ...] = ()
    files: dict[str, ImageFile] = field(default_factory=dict)
    links: list[tuple[str, os.stat_result]] = field(default_factory=list)
    linked_folders: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    folders: set[tuple[int, int]] = field(default_factory=set)
    hidden: int = 0
    clusterings: int = 0
    counted: int = 0


def find_images(roots: Sequence[str], *, follow_links: bool = False, progress: Progress) -> FoundImages:
    """List every file below `roots` whose name is that of an image, and the roots that are files themselves.

    Folders are walked recursively, each once, in whatever way links lead to it. Hidden files and those of
    systems are left out, so are folders that `cluster` made. A symbolic link is followed as long as it stays
    below the roots; with `follow_links` it may lead anywhere. Hard links are files of their own.

    Raises
    ------
    ImgclusterError
        When a root does not exist or cannot be read.
    """
    absolute = tuple(dict.fromkeys(os.path.abspath(root) for root in roots))
    folders = [root for root in absolute if _is_folder(root)]
    scan = _Scan(follow_links, progress, tuple(os.path.realpath(root) for root in absolute))
    progress.begin("finding images")
    for root in absolute:
        if root not in folders:
            _add_root_file(scan, root)
    _walk(scan, folders)
    # Links come last, so that what lies below the roots itself is found under its own path.
    while scan.linked_folders:
        linked, scan.linked_folders = sorted(scan.linked_folders, key=os.fsencode), []
        _walk(scan, linked)
    _add_linked_files(scan)
    if scan.outside:
        progress.note(_outside_note(scan.outside))
    progress.advance(len(scan.files) - scan.counted)
    return FoundImages(
        files=tuple(sorted(scan.files.values(), key=lambda file: os.fsencode(file.path))),
        failures=tuple(sorted(scan.failures.values(), key=lambda failure: os.fsencode(failure.path))),
        folders=tuple(folders),
        hidden=scan.hidden,
        clusterings=scan.clusterings,
    )


def _is_folder(root: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(root).st_mode)
    except FileNotFoundError as error:
        raise ImgclusterError(f"{root} does not exist; name a folder of images or an image") from error
    except (OSError, ValueError) as error:
        reason = reason_of(error)[0] if isinstance(error, OSError) else "a name that no file can have"
        raise ImgclusterError(f"{root}: {reason}") from error


def _add_root_file(scan: _Scan, path: str) -> None:
    """Take a file that the user named, whatever its name."""
    status = os.stat(path)
    special = kind_of_special_file(status.st_mode)
    if special:
        scan.failures[path] = Failure(path, special, FailureCode.NOT_A_FILE)
    elif os.path.islink(path):
        scan.links.append((path, status))
    else:
        scan.files[path] = _image_file(path, status)


def _outside_note(links: list[str]) -> str:
    others = f" and {len(links) - 1} more" if len(links) > 1 else ""
    return f"not followed, because it leads out of the folder (--follow-links does): {links[0]}{others}"


def _walk(scan: _Scan, folders: list[str]) -> None:
    waiting = folders[::-1]
    while waiting and not scan.progress.stopping:
        folder = waiting.pop()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in scan.folders:
                continue
            scan.folders.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError as error:
            scan.failures[folder] = Failure(
                folder, f"the folder cannot be read: {reason_of(error)[0]}", FailureCode.IO_ERROR
            )
            continue
        if any(entry.name == CLUSTERING_MARKER for entry in entries):
            scan.clusterings += 1
            continue
        waiting.extend(_sort_out(scan, entries))
        if len(scan.files) - scan.counted >= _REPORT_EVERY:
            scan.progress.advance(len(scan.files) - scan.counted)
            scan.counted = len(scan.files)


def _sort_out(scan: _Scan, entries: list[os.DirEntry[str]]) -> Iterator[str]:
    """Take the files of one folder and yield the folders in it."""
    for entry in entries:
        name = entry.name
        if name.startswith(".") or name.lower() in _SYSTEM_NAMES:
            scan.hidden += 1
            continue
        try:
            if entry.is_symlink():
                _follow(scan, entry)
            elif entry.is_dir(follow_symlinks=False):
                yield entry.path
            elif has_image_name(name):
                _add_file(scan, entry)
        except OSError as error:
            scan.failures[entry.path] = Failure(entry.path, *reason_of(error))


def has_image_name(name: str) -> bool:
    """Whether a file's name ends like that of an image, in whatever case."""
    return os.path.splitext(name)[1].lower() in _SUFFIXES


def _add_file(scan: _Scan, entry: os.DirEntry[str]) -> None:
    status = entry.stat(follow_symlinks=False)
    special = kind_of_special_file(status.st_mode)
    if special:
        scan.failures[entry.path] = Failure(entry.path, special, FailureCode.NOT_A_FILE)
    else:
        scan.files[entry.path] = _image_file(entry.path, status)


def _follow(scan: _Scan, entry: os.DirEntry[str]) -> None:
    """Put aside what a link leads to, until all that is real is known."""
    path = entry.path
    try:
        status = os.stat(path)
    except OSError as error:
        if has_image_name(entry.name):
            reason, code = reason_of(error)
            dangling = isinstance(error, FileNotFoundError)
            scan.failures[path] = Failure(path, "a symbolic link to nothing" if dangling else reason, code)
        return
    is_folder = stat.S_ISDIR(status.st_mode)
    if not is_folder and not has_image_name(entry.name):
        return
    if not scan.follow_links and not lies_below(os.path.realpath(path), scan.roots):
        scan.outside.append(path)
        return
    special = None if is_folder else kind_of_special_file(status.st_mode)
    if is_folder:
        scan.linked_folders.append(path)
    elif special:
        scan.failures[path] = Failure(path, special, FailureCode.NOT_A_FILE)
    else:
        scan.links.append((path, status))


def _add_linked_files(scan: _Scan) -> None:
    """Add the files that only links lead to, each by the first of them."""
    if not scan.links:
        return
    wanted = {(status.st_dev, status.st_ino) for _, status in scan.links}
    known = {identity for path in scan.files if (identity := _identity(path)) in wanted}
    for path, status in sorted(scan.links, key=lambda link: os.fsencode(link[0])):
        identity = (status.st_dev, status.st_ino)
        if identity not in known:
            known.add(identity)
            scan.files[path] = _image_file(path, status)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _image_file(path: str, status: os.stat_result) -> ImageFile:
    return ImageFile(path, status.st_size, status.st_mtime_ns)
