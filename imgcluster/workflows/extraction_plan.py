"""Which files are to be read: found below the paths, and of a kind that needs something."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import islice

from imgcluster.errors import FailureCode, Interrupted, NoImages, quantity
from imgcluster.files import lies_below
from imgcluster.images.exclusion import Exclusion
from imgcluster.images.find import FoundImages, ScanSettings, find_images
from imgcluster.images.header import may_have_picture_key
from imgcluster.images.memory import DecodeLimits
from imgcluster.readings import Readings
from imgcluster.records import Failure, ImageFile, PathEntry, Progress, key_rows
from imgcluster.store.reader import FeatureReader
from imgcluster.typed import typed_path
from imgcluster.workflows.batch import KnownKeys
from imgcluster.workflows.options import ExtractOptions

_FILLED_IN_AT_ONCE = 1000


def find_files(
    paths: Sequence[str | os.PathLike[str]], options: ExtractOptions, progress: Progress
) -> FoundImages:
    """Find the files of the part that is meant, and say what is left out.

    Raises
    ------
    NoImages
        Where there is none in any part, with what may be the reason.
    Interrupted
        Where `progress` asked to stop.
    """
    settings = ScanSettings(
        options.follow_links,
        options.any_name,
        Exclusion(options.exclude),
        os.path.abspath(options.store_path),
    )
    found = find_images([typed_path(path) for path in paths], settings, progress=progress)
    if progress.stopping:
        raise Interrupted("stopped before anything was embedded")
    if not found.files and not found.failures:
        raise NoImages(_why_none(paths, found))
    if left_out := _left_out(found):
        progress.note(f"left out: {left_out}")
    if found.not_looked_at and not options.any_name:
        progress.note(
            f"not looked at, because of their names: {found.other_files} (--any-name looks into them)"
        )
    part = options.part
    return replace(
        found,
        files=tuple(file for file in found.files if part.holds(file.path)),
        # A folder that cannot be read now concerns every part.
        failures=tuple(f for f in found.failures if f.code.temporary or part.holds(f.path)),
    )


def _left_out(found: FoundImages) -> str:
    parts = (
        (found.excluded, "file or folder by --exclude", "files and folders by --exclude"),
        (found.nomedia, "folder with a .nomedia file", "folders with a .nomedia file"),
        (found.libraries, "library of a photo manager", "libraries of photo managers"),
    )
    return ", ".join(quantity(*part) for part in parts if part[0])


def _why_none(paths: Sequence[str | os.PathLike[str]], found: FoundImages) -> str:
    nothing = f"no image found below {', '.join(map(os.path.abspath, paths))}"
    if found.clusterings:
        return (
            f"{nothing} but in {quantity(found.clusterings, 'folder')} that `cluster` made: name the folder "
            "that the images came from, or, if they were moved, the cluster folders themselves"
        )
    if left_out := _left_out(found):
        return f"{nothing}; left out: {left_out}"
    if found.not_looked_at:
        return f"{nothing}; of other files there are {found.other_files} (--any-name looks into them)"
    return f"{nothing}: name a folder with images"


def decode_limits(options: ExtractOptions) -> DecodeLimits:
    """Take from the options what is decoded at all."""
    limits = DecodeLimits(accept_truncated=options.accept_truncated)
    return replace(limits, max_pixels=options.max_pixels) if options.max_pixels else limits


@dataclass(frozen=True)
class ExtractionPlan:
    """The files that need nothing, and those that are to be read; `settled` ones do not fail any more.

    Of the last to be read only the picture's digest is missing, in a store of an earlier version. `known`
    says which of those to be read need no network.
    """

    cached: int
    failures: tuple[Failure, ...]
    to_read: tuple[ImageFile, ...]
    settled: tuple[str, ...]
    known: KnownKeys


def plan_extraction(
    store: FeatureReader, found: FoundImages, space: str, options: ExtractOptions, readings: Readings
) -> ExtractionPlan:
    """Tell the files that need nothing from those to read, by their folder entries alone.

    Parameters
    ----------
    store
        What was embedded and what failed before.
    found
        What `find_files` gave; whatever else the store knows of other parts stays as it is.
    space
        The feature space that must have an embedding.
    readings
        Know of files which the store describes, and that held something else when they were read.
    """
    limits = decode_limits(options)
    entries = {entry.path: entry for entry in store.paths()}
    failures = {failure.path: failure for failure in store.failures()}
    unchanged = [
        entries[file.path]
        for file in found.files
        if file.path in entries
        and entries[file.path].describes(file)
        and not readings.refute(file.path, file.size, file.mtime_ns, entries[file.path].key)
    ]
    has_space = any(stored.name == space for stored in store.spaces)
    cached = _embedded(store, space, unchanged) if has_space else set()
    to_read: list[ImageFile] = []
    still_failed: list[Failure] = []
    others = failures.keys() - {file.path for file in found.files}
    settled = _over(filter(options.part.holds, others), found)
    for file in found.files:
        failure = failures.get(file.path)
        holds = failure is not None and _still_holds(failure, file, limits)
        if file.path in cached:
            if not holds:  # one that does is of a run with another network or other options
                settled.add(file.path)
        elif failure is not None and holds and not options.retry_failed:
            still_failed.append(failure)
        else:
            to_read.append(file)
    settled &= failures.keys()
    incomplete = _without_picture_key(store, (entries[path] for path in sorted(cached)))
    to_read += [file for file in found.files if file.path in incomplete]
    known = KnownKeys(store.keys(space), store.picture_keys) if to_read and has_space else KnownKeys()
    count = len(cached) - len(incomplete)
    return ExtractionPlan(count, tuple(still_failed), tuple(to_read), tuple(sorted(settled)), known)


def _without_picture_key(store: FeatureReader, entries: Iterable[PathEntry]) -> set[str]:
    """Choose some known files of whose picture there is no digest yet: one run reads only so many again."""
    digests = store.picture_keys
    lacking = (
        entry.path for entry in entries if entry.key not in digests and may_have_picture_key(entry.path)
    )
    return set(islice(lacking, _FILLED_IN_AT_ONCE))


def _over(paths: Iterable[str], found: FoundImages) -> set[str]:
    """Choose the paths where the scan looked, and found nothing any more that could fail."""
    failing = {failure.path for failure in found.failures}
    unread = [failure.path for failure in found.failures if failure.code.temporary]
    return {
        path
        for path in paths
        if path not in failing and lies_below(path, found.folders) and not lies_below(path, unread)
    }


def _still_holds(failure: Failure, file: ImageFile, limits: DecodeLimits) -> bool:
    unchanged = (failure.size, failure.mtime_ns) == (file.size, file.mtime_ns)
    return unchanged and not is_retryable(failure, limits)


def is_retryable(failure: Failure, limits: DecodeLimits) -> bool:
    """Tell whether a file that failed may be read now, though it is the same.

    Because the trouble may have passed, or because its user did what the reason advises: set other limits,
    or installed a library.
    """
    match failure.code:
        case FailureCode.TOO_LARGE:
            return failure.pixels <= limits.max_pixels
        case FailureCode.TRUNCATED:
            return limits.accept_truncated
        case FailureCode.MISSING_LIBRARY:
            return find_spec("pillow_heif") is not None
        case code:
            return code.temporary


def _embedded(store: FeatureReader, space: str, entries: Sequence[PathEntry]) -> set[str]:
    known = store.contains(space, key_rows([entry.key for entry in entries])).tolist()
    return {entry.path for entry, has in zip(entries, known, strict=True) if has}
