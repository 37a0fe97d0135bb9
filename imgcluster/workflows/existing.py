"""Which files of a store exist: where they were extracted, or where ``--mode move`` put them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.files import lies_below, path_filter
from imgcluster.output.moved import moved_images
from imgcluster.records import mtime_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from imgcluster.output.moved import MovedImage
    from imgcluster.records import Notify, PathEntry


@dataclass(frozen=True, slots=True)
class StoredImage:
    """One image file with an embedding; `original` is where it came from, `path` where it lies now."""

    path: str
    original: str
    key: bytes


def moved_into(clusterings: Iterable[str | os.PathLike[str]], notify: Notify) -> Iterator[MovedImage]:
    """List the images that were moved into some clusterings; a damaged one is told about."""
    for clusters in clusterings:
        try:
            yield from moved_images(os.fspath(clusters)) if clusters else ()
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


def existing(
    entries: Mapping[str, PathEntry], moved: Sequence[MovedImage], meant: Callable[[str], bool]
) -> Existing:
    """Look at each file once: moved images where they lie now, all others where they were extracted."""
    found = Existing()
    places = {image.path: image for image in moved}
    for image in places.values():
        if meant(image.original) or meant(image.path):
            _look_at_moved(image, entries, found)
    originals = {image.original for image in moved}
    gone: list[PathEntry] = []
    # Images that were extracted in there may have been moved on since: their rows say where they are.
    cluster_folders = tuple({os.path.dirname(os.path.dirname(image.path)) + os.sep for image in moved})
    for path, entry in entries.items():
        if not meant(path) or path in places:
            continue
        status = _stat(path)
        if status is None:
            if path not in originals and not path.startswith(cluster_folders):
                gone.append(entry)
        elif _is_of(entry, status):
            found.images.append(StoredImage(path, path, entry.key))
        else:
            found.changed.append(path)
    # What was found again under another path is not missing: someone renamed a folder, or took a copy away.
    here = {image.key for image in found.images}
    found.missing += [entry.path for entry in gone if entry.key not in here]
    if moved:
        found.images.sort(key=lambda image: (os.fsencode(image.original), os.fsencode(image.path)))
        found.missing.sort(key=os.fsencode)
        found.changed.sort(key=os.fsencode)
    return found


def _look_at_moved(image: MovedImage, entries: Mapping[str, PathEntry], found: Existing) -> None:
    again = entries.get(image.path)
    status = _stat(image.path) if again else None
    if again and status and _is_of(again, status):
        # It was extracted where it lies now, so this is what it is now.
        found.images.append(StoredImage(image.path, image.original, again.key))
    elif image.state == "here":
        found.images.append(StoredImage(image.path, image.original, image.key))
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
