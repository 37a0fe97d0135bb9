"""Which files of a store exist: where they were extracted, or where ``--mode move`` put them."""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgcluster.engines.protocol import Call, in_order
from imgcluster.engines.table import find_engine
from imgcluster.errors import ImgclusterError
from imgcluster.files import digest_and_status, lies_below, path_filter
from imgcluster.images.reading import MAX_BYTES
from imgcluster.output.moved import moved_images
from imgcluster.output.trust import note_foreign
from imgcluster.records import STAT_GRANULARITY_NS, mtime_ns
from imgcluster.workflows.reading import READING_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from imgcluster.output.moved import MovedImage
    from imgcluster.ownership import Ownership
    from imgcluster.readings import Readings
    from imgcluster.records import Notify, PathEntry, Progress

_NOTES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image file with an embedding; `original` is where it came from, `path` where it lies now."""

    path: str
    original: str
    key: bytes


def moved_into(
    clusterings: Iterable[str | os.PathLike[str]], owner: Ownership, notify: Notify
) -> Iterator[MovedImage]:
    """List the images that were moved into some clusterings; a damaged or foreign one is told about."""
    for clusters in (os.fspath(folder) for folder in clusterings if folder):
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
    roots = {os.path.abspath(os.fspath(path)) for path in paths}
    for root in sorted(roots):
        if not os.path.lexists(root) and not any(lies_below(image.original, [root]) for image in moved):
            raise ImgclusterError(f"{root} does not exist: name a folder or file that does")
    return path_filter(roots)


@dataclass
class Existing:
    """Images that are there, and the paths of those that are gone or not what was extracted."""

    images: list[StoredImage] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


@dataclass
class Check:
    """Decides whether files hold the bytes of their keys: by earlier readings, else by reading them again.

    Attributes
    ----------
    strict
        Not even size and time that agree are believed without a reading of this user's: a store may be
        somebody else's, and what it says of files is not to decide which files are linked, moved or deleted.
    """

    readings: Readings
    progress: Progress
    strict: bool = False
    doubtful: list[tuple[StoredImage, os.stat_result]] = field(default_factory=list)

    def sort(
        self, image: StoredImage, status: os.stat_result, entry: PathEntry | None, found: Existing
    ) -> None:
        """Put an image where it belongs, or aside until `settle`; `entry` is what the store says of it."""
        another = not stat.S_ISREG(status.st_mode) or (entry is not None and status.st_size != entry.size)
        if another or self.readings.refute(image.path, status.st_size, mtime_ns(status), image.key):
            found.changed.append(image.path)
        elif self.readings.prove(image.path, status, image.key) or (
            not self.strict and (entry is None or mtime_ns(status) == entry.mtime_ns)
        ):
            found.images.append(image)
        else:
            self.doubtful.append((image, status))

    def changed(self, images: Iterable[tuple[str, str, bytes]]) -> list[str]:
        """Of images (path, original, key), return the paths of those that are there and hold other bytes."""
        found = Existing()
        for path, original, key in images:
            if status := _stat(path):
                self.sort(StoredImage(path, original, key), status, None, found)
        self.settle(found)
        return found.changed

    def settle(self, found: Existing) -> None:
        """Read the files that are doubtful; what was read is not read again, also after Ctrl-C."""
        if not self.doubtful:
            return
        self.progress.begin("reading images that may not be those of the store", len(self.doubtful))
        outcomes = in_order(find_engine("local"), Call(_holds), self.doubtful, timeout=READING_SECONDS)
        with closing(_Notebook(self.readings)) as notebook:
            for outcome in outcomes:
                image, status = outcome.item
                if outcome.result:
                    found.images.append(image)
                else:
                    found.changed.append(image.path)
                if outcome.result is not None:
                    notebook.write(image, status, holds=outcome.result)
                self.progress.advance()


class _Notebook:
    """Hands over to the readings what was read, many at a time."""

    def __init__(self, readings: Readings) -> None:
        self._readings, self._began_ns = readings, time.time_ns()
        self._right: list[tuple[str, int, int, int, bytes]] = []
        self._wrong: list[tuple[str, int, int, bytes]] = []

    def write(self, image: StoredImage, status: os.stat_result, *, holds: bool) -> None:
        path, size, changed_ns = image.path, status.st_size, mtime_ns(status)
        if changed_ns >= self._began_ns - STAT_GRANULARITY_NS:
            return  # it may be changed again without a trace
        if holds:
            self._right.append((path, status.st_ino, size, changed_ns, image.key))
        else:
            self._wrong.append((path, size, changed_ns, image.key))
        if len(self._right) + len(self._wrong) >= _NOTES_AT_ONCE:
            self.close()

    def close(self) -> None:
        self._readings.add(self._right)
        self._readings.add_wrong(self._wrong)
        self._right, self._wrong = [], []


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


def existing(
    entries: Mapping[str, PathEntry],
    moved: Sequence[MovedImage],
    meant: Callable[[str], bool],
    check: Check,
) -> Existing:
    """Look at each file once: moved images where they lie now, all others where they were extracted."""
    found = Existing()
    places = {image.path: image for image in moved}
    for image in places.values():
        if meant(image.original) or meant(image.path):
            _look_at_moved(image, entries, check, found)
    originals = {image.original for image in moved}
    gone: list[PathEntry] = []
    # Images that were extracted in there may have been moved on since: their rows say where they are.
    cluster_folders = tuple({os.path.dirname(os.path.dirname(image.path)) + os.sep for image in moved})
    for path, entry in entries.items():
        if not meant(path) or path in places:
            continue
        status = _stat(path)
        if status is not None:
            check.sort(StoredImage(path, path, entry.key), status, entry, found)
        elif path not in originals and not path.startswith(cluster_folders):
            gone.append(entry)
    check.settle(found)
    # What was found again under another path is not missing: someone renamed a folder, or took a copy away.
    here = {image.key for image in found.images}
    found.missing += [entry.path for entry in gone if entry.key not in here]
    if moved or check.doubtful:
        found.images.sort(key=lambda image: (os.fsencode(image.original), os.fsencode(image.path)))
        found.missing.sort(key=os.fsencode)
        found.changed.sort(key=os.fsencode)
    return found


def _look_at_moved(
    image: MovedImage, entries: Mapping[str, PathEntry], check: Check, found: Existing
) -> None:
    again, status = entries.get(image.path), _stat(image.path)
    if again and status and _is_of(again, status):
        # It was extracted where it lies now, so this is what it is now.
        check.sort(StoredImage(image.path, image.original, again.key), status, again, found)
    elif image.proved:
        found.images.append(StoredImage(image.path, image.original, image.key))
    elif image.state == "here" and status:
        check.sort(StoredImage(image.path, image.original, image.key), status, None, found)
    elif image.state == "changed":
        found.changed.append(image.path)
    else:
        entry, status = entries.get(image.original), _stat(image.original)
        is_back = entry is not None and status is not None and entry.key == image.key
        if not is_back:
            found.missing.append(image.path)


def _is_of(entry: PathEntry, status: os.stat_result) -> bool:
    return (status.st_size, mtime_ns(status)) == (entry.size, entry.mtime_ns)


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
