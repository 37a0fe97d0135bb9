"""Files as a store knows them: which are there, at their own place or moved, and hold what was extracted."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from imgcluster.errors import ImgclusterError, quantity
from imgcluster.files import Expected, RealFolders, digest_and_status, is_forbidden, lies_below, path_filter
from imgcluster.images.file_bytes import MAX_BYTES
from imgcluster.output.moved import MovedImage, moved_images
from imgcluster.output.names import folded
from imgcluster.output.trust import note_foreign
from imgcluster.ownership import Ownership
from imgcluster.readings import Readings
from imgcluster.records import STAT_GRANULARITY_NS, Notify, PathEntry, Placement, Progress, mtime_ns
from imgcluster.typed import named_alike, typed_path
from imgcluster.workflows.known_images import status_of, with_each

_NOTES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image file with an embedding; the fields are those of `Placement`."""

    path: str
    original: str
    key: bytes
    expected: Expected | None = None


def moved_into(clusterings: Iterable[str], owner: Ownership, notify: Notify) -> Iterator[MovedImage]:
    """List the images that were moved into some clusterings; a damaged or foreign one is told about."""
    for clusters in filter(None, clusterings):
        try:
            note_foreign(clusters, owner, notify)
            yield from moved_images(clusters, owner)
        except ImgclusterError as error:
            # Whoever writes to it judges that; but images may be missed for it.
            notify(str(error))


def chooser(paths: Sequence[str | os.PathLike[str]], moved: Sequence[MovedImage]) -> Callable[[str], bool]:
    """Tell which paths are meant by files and folders; by none of them, all are."""
    if not paths:
        return lambda _: True
    roots = {os.path.abspath(typed_path(path)) for path in paths}
    for root in sorted(roots):
        if not os.path.lexists(root) and not any(lies_below(image.original, [root]) for image in moved):
            raise ImgclusterError(
                f"{root} does not exist{named_alike(root)}: name a folder or file that does"
            )
    return path_filter(roots)


@dataclass
class SortedFiles:
    """Images that are there, and the paths of those that are gone, cannot be read or hold other bytes by now.

    Earlier readings decide whether a file holds the bytes; where they do not, it is read again.

    Attributes
    ----------
    strict
        Not even size and time that agree are believed without a reading of this user's: a store may be
        somebody else's, and what it says of files is not to decide which files are linked, moved or deleted.
    doubtful
        Those that `settle` has to read.
    """

    readings: Readings
    progress: Progress
    strict: bool = False
    images: list[StoredImage] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    doubtful: list[tuple[StoredImage, os.stat_result]] = field(default_factory=list)

    def look_at(self, image: StoredImage, entry: PathEntry | None = None) -> bool:
        """Sort in an image, and tell whether there is a file; `entry` is what the store says of it."""
        path, key = image.path, image.key
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                place, status = os.path.realpath(path), os.stat(path)
            else:
                place = self.readings.folders.place(path)
        except OSError:
            if forbidden := is_forbidden(path):
                self.unreadable.append(path)
            return forbidden
        another = not stat.S_ISREG(status.st_mode) or (entry is not None and status.st_size != entry.size)
        if self.strict:
            image = StoredImage(path, image.original, key, Expected.of(status, key))
        if another or self.readings.refute(path, status.st_size, mtime_ns(status), key):
            self.changed.append(path)
        elif self.readings.prove(place, status, key) or (
            not self.strict and (entry is None or mtime_ns(status) == entry.mtime_ns)
        ):
            self.images.append(image)
        else:
            self.doubtful.append((image, status))
        return True

    def settle(self) -> None:
        """Read the files that are doubtful; what was read is not read again, also after Ctrl-C."""
        if not self.doubtful:
            return
        self.progress.begin("reading images that may not be those of the store", len(self.doubtful))
        began_ns = time.time_ns()
        right: list[tuple[str, int, int, int, bytes]] = []
        wrong: list[tuple[str, int, int, bytes]] = []

        def remember(at_least: int) -> None:
            if len(right) + len(wrong) >= at_least:
                self.readings.add(right)
                self.readings.add_wrong(wrong)
                right.clear()
                wrong.clear()

        try:
            for outcome in with_each(_holds, self.doubtful):
                (image, status), holds = outcome.item, outcome.result
                if holds:
                    self.images.append(image)
                elif isinstance(outcome.error, PermissionError):
                    self.unreadable.append(image.path)
                else:
                    self.changed.append(image.path)
                size, changed_ns = status.st_size, mtime_ns(status)
                if changed_ns < began_ns - STAT_GRANULARITY_NS:  # else it may be changed without a trace
                    if holds:
                        right.append((image.path, status.st_ino, size, changed_ns, image.key))
                    elif holds is not None:
                        wrong.append((image.path, size, changed_ns, image.key))
                remember(_NOTES_AT_ONCE)
                self.progress.advance()
        finally:
            remember(1)


def compared(
    images: Iterable[Placement], store: str, owner: Ownership, progress: Progress
) -> tuple[list[Placement], tuple[str, ...]]:
    """Give those images of a clustering that are there, as compared with their keys now; and changed paths.

    Where it is known what file has to be there, nothing is compared.
    """
    images, files = list(images), SortedFiles(Readings(owner, store), progress, strict=True)
    for image in images:
        if image.expected is None:
            files.look_at(StoredImage(image.path, image.original, image.key))
    files.settle()
    if files.unreadable:
        count, first = quantity(len(files.unreadable), "image"), min(files.unreadable, key=os.fsencode)
        progress.note(f"left out: {count} that cannot be read, the first: {first}")
    seen = {(image.path, image.key): image.expected for image in files.images}
    found = (replace(i, expected=i.expected or seen.get((i.path, i.key))) for i in images)
    return [image for image in found if image.expected], tuple(files.changed)


def _holds(doubtful: tuple[StoredImage, os.stat_result]) -> bool:
    """Whether the file of that status is there, and holds the bytes of the key."""
    image, status = doubtful
    if status.st_size > MAX_BYTES:
        return False
    digest, found = digest_and_status(image.path)
    identity = [(s.st_dev, s.st_ino, s.st_size, s.st_mtime_ns) for s in (status, found)]
    if identity[0] != identity[1]:
        raise OSError(errno.ESTALE, "changed while it was read", image.path)
    return digest == image.key


def sort_files(
    entries: Mapping[str, PathEntry],
    moved: Sequence[MovedImage],
    meant: Callable[[str], bool],
    files: SortedFiles,
) -> None:
    """Look at each file once: moved images where they lie now, all others where they were extracted."""
    places = {image.path: image for image in moved}
    for image in places.values():
        if meant(image.original) or meant(image.path):
            _look_at_moved(image, entries, files)
    originals = {image.original for image in moved}
    # Images that were extracted in there may have been moved on since: their rows say where they are.
    cluster_folders = tuple({os.path.dirname(os.path.dirname(image.path)) + os.sep for image in moved})
    gone = []
    for path, entry in entries.items():
        if not meant(path) or path in places or files.look_at(StoredImage(path, path, entry.key), entry):
            continue
        if path not in originals and not path.startswith(cluster_folders):
            gone.append(entry)
    files.settle()
    if moved or files.doubtful:  # before one path of each file is chosen: earlier readings are not to decide
        files.images.sort(key=lambda image: (os.fsencode(image.original), os.fsencode(image.path)))
    files.images[:] = _each_file_once(files.images, files.readings.folders, files.progress.note)
    # What was found again under another path is not missing: someone renamed a folder, or took a copy away.
    here = {image.key for image in files.images}
    files.missing += [entry.path for entry in gone if entry.key not in here]
    if moved or files.doubtful:
        files.missing.sort(key=os.fsencode)
        files.changed.sort(key=os.fsencode)


def _each_file_once(images: Sequence[StoredImage], folders: RealFolders, notify: Notify) -> list[StoredImage]:
    """Leave out a file's other paths: by links, folders mounted twice, case or composition of accents."""
    counted, status_of_folder = Counter(image.key for image in images), cache(status_of)
    known: set[tuple[int | str, ...]] = set()
    kept, others = [], []
    for image in images:
        if counted[image.key] > 1:
            path = folders.place(image.path)
            place: tuple[int | str, ...] = (path,)
            folder, name = os.path.split(path)
            file, above = status_of(image.path), status_of_folder(folder)
            if file and above:  # hard links in one folder may have names that only differ in case
                name = folded(name) if file.st_nlink == 1 else name
                place = (file.st_dev, file.st_ino, above.st_dev, above.st_ino, name)
            if place in known:
                others.append(image.path)
                continue
            known.add(place)
        kept.append(image)
    if others:
        paths = quantity(len(others), "path leads to a file that has", "paths lead to files that have")
        notify(f"{paths} another path in the store, the first {others[0]}: each file counts once")
    return kept


def _look_at_moved(image: MovedImage, entries: Mapping[str, PathEntry], files: SortedFiles) -> None:
    again, status = entries.get(image.path), status_of(image.path)
    if again and status and (status.st_size, mtime_ns(status)) == (again.size, again.mtime_ns):
        # It was extracted where it lies now, so this is what it is now.
        files.look_at(StoredImage(image.path, image.original, again.key), again)
        return
    stored = StoredImage(image.path, image.original, image.key)
    if image.expected is not None:
        files.images.append(replace(stored, expected=image.expected))
    elif image.state == "changed":
        files.changed.append(image.path)
    elif image.state == "gone" or not files.look_at(stored):
        entry = entries.get(image.original)
        is_back = entry is not None and entry.key == image.key and status_of(image.original) is not None
        if not is_back:
            files.missing.append(image.path)
