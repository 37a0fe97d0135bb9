"""Find what may be an image below some folders: every real file once, nothing of the system's own."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from imgcluster.errors import FailureCode, ImgclusterError, UnreadableImage, quantity
from imgcluster.files import RealFolders, is_system_name, lies_below, open_regular
from imgcluster.images.exclusion import Exclusion
from imgcluster.images.file_bytes import kind_of_special_file, reason_of
from imgcluster.images.header import EXTENSIONS, image_type
from imgcluster.records import CLUSTERING_MARKER, Failure, ImageFile, Progress, mtime_ns
from imgcluster.typed import named_alike

_SUFFIXES = frozenset(chain.from_iterable(EXTENSIONS.values()))
# Folders in which photo managers keep pictures and their previews as they need them.
_LIBRARIES = (
    *(".photoslibrary", ".photolibrary", ".aplibrary", ".migratedphotolibrary", ".migratedaplibrary"),
    *(".lrlibrary", ".lrdata", ".lrcat-data", ".cocatalog", ".imovielibrary", ".fcpbundle"),
)
_IN_LIBRARY = re.compile(rf"(?:{'|'.join(map(re.escape, _LIBRARIES))})/", re.IGNORECASE)
_NO_MEDIA = ".nomedia"
_HEAD_BYTES = 1024
_MOST_ENDINGS = 8
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
    excluded, nomedia, libraries
        Files and folders that were left out by a pattern; folders with a ``.nomedia`` in them; folders of
        photo managers.
    not_looked_at
        How many files with other names than images have, by their endings, in lower case.
    """

    files: tuple[ImageFile, ...]
    failures: tuple[Failure, ...]
    folders: tuple[str, ...]
    hidden: int
    clusterings: int
    excluded: int = 0
    nomedia: int = 0
    libraries: int = 0
    not_looked_at: Mapping[str, int] = field(default_factory=dict)

    @property
    def other_files(self) -> str:
        """How many files were not looked at, by their endings, in words; the most frequent first."""
        counted = sorted(self.not_looked_at.items(), key=lambda item: (-item[1], item[0]))
        shown = [f"{number} {ending or 'without an ending'}" for ending, number in counted[:_MOST_ENDINGS]]
        if len(counted) > _MOST_ENDINGS:
            rest = quantity(len(counted) - _MOST_ENDINGS, "other ending")
            shown.append(f"{sum(number for _, number in counted[_MOST_ENDINGS:])} with {rest}")
        return ", ".join(shown)


@dataclass(frozen=True)
class ScanSettings:
    """What a scan takes.

    Attributes
    ----------
    follow_links
        Links may lead out of the folders.
    any_name
        Files of any name, by their first bytes.
    exclusion
        What the user wants left out.
    own
        A path of ours: neither it nor what lies beside it under a longer name is looked at, or counted.
    """

    follow_links: bool = False
    any_name: bool = False
    exclusion: Exclusion = field(default_factory=Exclusion)
    own: str = ""


_DEFAULT = ScanSettings()


@dataclass
class _Scan:
    """The state of one scan; a folder is known by its real path, for numbers of inodes may repeat."""

    settings: ScanSettings
    progress: Progress
    roots: tuple[str, ...] = ()
    files: dict[str, ImageFile] = field(default_factory=dict)
    links: list[tuple[str, os.stat_result]] = field(default_factory=list)
    linked_folders: list[_Folder] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    failures: dict[str, Failure] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    not_looked_at: Counter[str] = field(default_factory=Counter)
    counted: int = 0


@dataclass(frozen=True)
class _Folder:
    """A folder to walk: its path, that without links, and that relative to the root."""

    path: str
    real: str
    below: str = ""

    def within(self, name: str) -> _Folder:
        """Give a folder in it that is no link."""
        return _Folder(os.path.join(self.path, name), os.path.join(self.real, name), self.relative(name))

    def relative(self, name: str) -> str:
        """Give the path below the root of something in it."""
        return f"{self.below}/{name}" if self.below else name


def find_images(
    roots: Sequence[str], settings: ScanSettings = _DEFAULT, *, progress: Progress
) -> FoundImages:
    """List every file below `roots` whose name is that of an image, and the roots that are files themselves.

    Folders are walked recursively, each once, in whatever way links lead to it. Hidden files and those of
    systems are left out, so are folders that `cluster` made, libraries of photo managers and folders with a
    ``.nomedia``, unless they are roots. A symbolic link is followed as long as it stays below the roots. Hard
    links are files of their own.

    Raises
    ------
    ImgclusterError
        When a root does not exist or cannot be read.
    """
    absolute = tuple(dict.fromkeys(os.path.abspath(root) for root in roots))
    folders = [root for root in absolute if _is_folder(root)]
    scan = _Scan(settings, progress, tuple(os.path.realpath(root) for root in absolute))
    progress.begin("finding images")
    for root in absolute:
        if root not in folders:
            _add_root_file(scan, root)
    _walk(scan, [_Folder(root, os.path.realpath(root)) for root in folders])
    # Links come last, so that what lies below the roots itself is found under its own path.
    while scan.linked_folders:
        linked, scan.linked_folders = sorted(scan.linked_folders, key=lambda each: os.fsencode(each.path)), []
        _walk(scan, linked)
    _add_linked_files(scan)
    if scan.outside:
        progress.note(_outside_note(scan.outside))
    progress.advance(len(scan.files) - scan.counted)
    return FoundImages(
        files=tuple(sorted(scan.files.values(), key=lambda file: os.fsencode(file.path))),
        failures=tuple(sorted(scan.failures.values(), key=lambda failure: os.fsencode(failure.path))),
        folders=tuple(folders),
        **{name: scan.counts[name] for name in ("hidden", "clusterings", "excluded", "nomedia", "libraries")},
        not_looked_at=dict(sorted(scan.not_looked_at.items())),
    )


def _is_folder(root: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(root).st_mode)
    except FileNotFoundError as error:
        raise ImgclusterError(
            f"{root} does not exist{named_alike(root)}; name a folder of images or an image"
        ) from error
    except (OSError, ValueError) as error:
        reason = reason_of(error)[0] if isinstance(error, OSError) else "a name that no file can have"
        raise ImgclusterError(f"{root}: {reason}") from error


def _add_root_file(scan: _Scan, path: str) -> None:
    """Take a file that the user named, whatever its name."""
    if scan.settings.exclusion.leaves_out(os.path.basename(path), folder=False):
        scan.counts["excluded"] += 1
        return
    _take(scan, path, os.stat(path), link=os.path.islink(path))


def _take(scan: _Scan, path: str, status: os.stat_result, *, link: bool = False) -> None:
    """Add a file; one that a link leads to is put aside until all that is real is known."""
    special = kind_of_special_file(status.st_mode)
    if special:
        scan.failures[path] = Failure(path, special, FailureCode.NOT_A_FILE)
    elif link:
        scan.links.append((path, status))
    else:
        scan.files[path] = ImageFile(path, status.st_size, mtime_ns(status))


def _outside_note(links: list[str]) -> str:
    others = f" and {len(links) - 1} more" if len(links) > 1 else ""
    return f"not followed, because it leads out of the folder (--follow-links does): {links[0]}{others}"


def _walk(scan: _Scan, folders: list[_Folder]) -> None:
    waiting = folders[::-1]
    while waiting and not scan.progress.stopping:
        folder = waiting.pop()
        if folder.real in scan.folders:
            continue
        scan.folders.add(folder.real)
        try:
            with os.scandir(folder.path) as listing:
                entries = list(listing)
        except OSError as error:
            scan.failures[folder.path] = Failure(
                folder.path, f"the folder cannot be read: {reason_of(error)[0]}", FailureCode.IO_ERROR
            )
            continue
        names = {entry.name for entry in entries}
        if CLUSTERING_MARKER in names:
            scan.counts["clusterings"] += 1
        elif _NO_MEDIA in names and folder.below:
            scan.counts["nomedia"] += 1
        else:
            waiting.extend(_sort_out(scan, folder, entries))
        if len(scan.files) - scan.counted >= _REPORT_EVERY:
            scan.progress.advance(len(scan.files) - scan.counted)
            scan.counted = len(scan.files)


def _sort_out(scan: _Scan, folder: _Folder, entries: list[os.DirEntry[str]]) -> Iterator[_Folder]:
    """Take the files of one folder and yield the folders in it."""
    for entry in entries:
        name = entry.name
        if is_system_name(name):
            scan.counts["hidden"] += 1
            continue
        try:
            is_link = entry.is_symlink()
            is_folder = os.path.isdir(entry.path) if is_link else entry.is_dir(follow_symlinks=False)
            if scan.settings.exclusion.leaves_out(folder.relative(name), folder=is_folder):
                scan.counts["excluded"] += 1
            elif is_folder and name.lower().endswith(_LIBRARIES):
                scan.counts["libraries"] += 1
            elif is_link:
                _follow(scan, folder, entry)
            elif is_folder:
                yield folder.within(name)
            elif _is_wanted(scan, entry):
                _take(scan, entry.path, entry.stat(follow_symlinks=False))
        except OSError as error:
            scan.failures[entry.path] = Failure(entry.path, *reason_of(error))


def _is_wanted(scan: _Scan, entry: os.DirEntry[str]) -> bool:
    """Tell whether a file is to be read, and count it where it is not; pipes and the like do not count."""
    if has_image_name(entry.name):
        return True
    own = scan.settings.own
    if (own and entry.path.startswith(own)) or not entry.is_file():
        return False
    if scan.settings.any_name and _has_image_content(entry.path):
        return True
    scan.not_looked_at[os.path.splitext(entry.name)[1].lower()] += 1
    return False


def _has_image_content(path: str) -> bool:
    try:
        with os.fdopen(open_regular(os.path.realpath(path)), "rb") as file:
            image_type(file.read(_HEAD_BYTES))
    except (OSError, UnreadableImage):
        return False
    return True


def has_image_name(name: str) -> bool:
    """Whether a file's name ends like that of an image, in whatever case."""
    return os.path.splitext(name)[1].lower() in _SUFFIXES


def lies_in_library(path: str, roots: Sequence[str]) -> bool:
    """Whether a file lies in a photo manager's library that no scan of `roots` enters, though below one."""
    if not _IN_LIBRARY.search(path):
        return False
    below = [path[len(root) :] for root in roots if lies_below(path, [root])]
    return bool(below) and all(map(_IN_LIBRARY.search, below))


def _follow(scan: _Scan, folder: _Folder, entry: os.DirEntry[str]) -> None:
    """Note where a link leads to."""
    path = entry.path
    try:
        status = os.stat(path)
    except OSError as error:
        if has_image_name(entry.name):
            reason, code = reason_of(error)
            dangling = isinstance(error, FileNotFoundError)
            scan.failures[path] = Failure(path, "a symbolic link to nothing" if dangling else reason, code)
        return
    is_folder, real = stat.S_ISDIR(status.st_mode), os.path.realpath(path)
    if not is_folder and not _is_wanted(scan, entry):
        return
    if not scan.settings.follow_links and not lies_below(real, scan.roots):
        scan.outside.append(path)
        return
    if is_folder:
        scan.linked_folders.append(_Folder(path, real, folder.relative(entry.name)))
    else:
        _take(scan, path, status, link=True)


def _add_linked_files(scan: _Scan) -> None:
    """Add the files that only links lead to, each by the first of them."""
    if not scan.links:
        return
    known = set(map(RealFolders().place, scan.files))
    for path, status in sorted(scan.links, key=lambda link: os.fsencode(link[0])):
        target = os.path.realpath(path)
        if target not in known:
            known.add(target)
            _take(scan, path, status)
