"""Which of the files found need nothing, told by their folder entries alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import islice

import numpy as np

from imgcluster.errors import FailureCode
from imgcluster.files import lies_below
from imgcluster.images.decode import DecodeLimits
from imgcluster.images.find import FoundImages
from imgcluster.images.picture_key import may_have_picture_key
from imgcluster.readings import Readings
from imgcluster.records import Failure, ImageFile, PathEntry
from imgcluster.store.reader import FeatureReader
from imgcluster.workflows.shard import Shard

_FILLED_IN_AT_ONCE = 1000


@dataclass(frozen=True)
class ExtractionPlan:
    """The files that need nothing, and those that are to be read; `settled` ones do not fail any more.

    Of the last to be read only the picture's digest is missing, in a store of an earlier version.

    `has_space` tells whether the store has any row of the feature space.
    """

    cached: int
    failures: tuple[Failure, ...]
    to_read: tuple[ImageFile, ...]
    settled: tuple[str, ...]
    has_space: bool


def plan_extraction(
    store: FeatureReader,
    found: FoundImages,
    space: str,
    limits: DecodeLimits,
    part: Shard,
    readings: Readings,
    *,
    retry_failed: bool,
) -> ExtractionPlan:
    """Tell the files that need nothing from those to read.

    Parameters
    ----------
    store
        What was embedded and what failed before.
    found
        What a finished scan gave, of the part that is meant.
    space
        The feature space that must have an embedding.
    limits
        What is decoded: a refusal that they lift does not hold any more.
    part
        Of the images: whatever else the store knows of others stays as it is.
    readings
        Know of files which the store describes, and that held something else when they were read.
    retry_failed
        Whether every file that failed is to be read again.
    """
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
    settled = _over(filter(part.holds, others), found)
    for file in found.files:
        failure = failures.get(file.path)
        holds = failure is not None and _still_holds(failure, file, limits)
        if file.path in cached:
            if not holds:  # one that does is of a run with another network or other options
                settled.add(file.path)
        elif failure is not None and holds and not retry_failed:
            still_failed.append(failure)
        else:
            to_read.append(file)
    settled &= failures.keys()
    incomplete = _without_picture_key(store, (entries[path] for path in sorted(cached)))
    to_read += [file for file in found.files if file.path in incomplete]
    known = len(cached) - len(incomplete)
    return ExtractionPlan(known, tuple(still_failed), tuple(to_read), tuple(sorted(settled)), has_space)


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
    keys = np.frombuffer(b"".join(entry.key for entry in entries), np.uint8).reshape(-1, 32)
    known = store.contains(space, keys).tolist()
    return {entry.path for entry, has in zip(entries, known, strict=True) if has}
