"""Inventory: a row for each file that was ever looked at."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime, timedelta

from imgcluster.engines.protocol import Engine
from imgcluster.errors import ImgclusterError
from imgcluster.files import is_forbidden
from imgcluster.images.facts import ImageFacts, image_facts
from imgcluster.images.file_bytes import read_file
from imgcluster.output.manifest import read_assignments
from imgcluster.output.single_file import table_file
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import MOST, SILENT, Failure, PathEntry, Progress
from imgcluster.tabular import Tabular
from imgcluster.workflows.embedded_images import open_store
from imgcluster.workflows.known_images import with_each
from imgcluster.workflows.options import InventoryOptions
from imgcluster.workflows.stored_files import chooser, moved_into

_GONE = "gone since it was looked at"
_NO_FACTS = ImageFacts("", 0, 0, 0, 0, "")


@dataclass(frozen=True, slots=True)
class InventoriedFile:
    """One file, as the store and the file's header have it; what is not known is None or empty.

    Attributes
    ----------
    path
        Where it was extracted, absolute.
    key
        SHA-256 of its bytes, in hex.
    width, height
        In pixels, upright.
    bits
        Of a channel.
    pages
        Or frames.
    bytes
        Its size.
    date
        When it was taken, as the camera wrote; else when the file was last changed, with its time zone.
    cluster
        Its number in the clustering.
    duplicates
        A number that files share which are equal byte for byte.
    failure
        Why it has no embedding, or that it is gone.
    """

    path: str
    key: str
    format: str
    width: int | None
    height: int | None
    bits: int | None
    pages: int | None
    bytes: int | None
    date: str
    cluster: int | None
    duplicates: int | None
    failure: str


@dataclass(frozen=True)
class InventoryResult(Tabular, rows="files", of=InventoriedFile):
    """All files, sorted by their paths; each is counted once, as embedded, as failed, or as gone."""

    files: tuple[InventoriedFile, ...]
    embedded: int
    failed: int
    gone: int


_Known = tuple[PathEntry | Failure, tuple[str, ...]]
"""What the store knows of a file, and where that may lie."""


def inventory(
    paths: Sequence[str | os.PathLike[str]] = (),
    options: InventoryOptions | None = None,
    *,
    engine: str | Engine = "local",
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> InventoryResult:
    """List every file below `paths` (default: all) that `extract` ever looked at; headers are read again.

    Raises
    ------
    ImgclusterError
        Where there is no store, or the table cannot be written.
    """
    options = options or InventoryOptions()
    columns = [each.name for each in fields(InventoriedFile)]
    write_table = table_file(options.out, columns)
    known = list(_known(paths, options, owner, progress))
    clusters = _clusters(options.clusters)
    copies = Counter(_key(seen) for seen, _ in known if isinstance(seen, PathEntry))
    numbers = {key: number for number, key in enumerate(key for key, count in copies.items() if count > 1)}
    progress.begin("reading headers", len(known))
    files, counts = [], Counter[str]()
    for outcome in with_each(_facts, known, engine):
        (seen, places), facts = outcome.item, outcome.result or _NO_FACTS
        failure, key = seen.reason if isinstance(seen, Failure) else "", _key(seen)
        is_gone = not any(os.path.lexists(place) or is_forbidden(place) for place in places)
        counts["gone" if is_gone else "failed" if failure else "embedded"] += 1
        files.append(
            InventoriedFile(
                path=seen.path,
                key=key,
                format=facts.format,
                width=facts.width or None,
                height=facts.height or None,
                bits=facts.bits or None,
                pages=facts.pages or None,
                bytes=seen.size if seen.size >= 0 else None,
                date=facts.taken or _date(seen.mtime_ns),
                cluster=clusters.get(seen.path),
                duplicates=numbers.get(key),
                failure=failure or (_GONE if is_gone else ""),
            )
        )
        progress.advance()
    write_table(map(astuple, files))
    return InventoryResult(tuple(files), counts["embedded"], counts["failed"], counts["gone"])


def _known(
    paths: Sequence[str | os.PathLike[str]], options: InventoryOptions, owner: Ownership, progress: Progress
) -> Iterator[_Known]:
    with open_store(options, progress) as store:
        entries: dict[str, PathEntry | Failure] = {entry.path: entry for entry in store.paths()}
        failures = {failure.path: failure for failure in store.failures()}
    moved = tuple(moved_into((options.clusters,), owner, progress.note))
    now = {image.original: image.path for image in moved}
    meant = chooser(paths, moved)
    for path, seen in sorted((entries | failures).items(), key=lambda item: os.fsencode(item[0])):
        if meant(path):
            yield seen, (path, now[path]) if path in now else (path,)


def _key(seen: PathEntry | Failure) -> str:
    return seen.key.hex() if isinstance(seen, PathEntry) else ""


def _clusters(folder: str) -> dict[str, int]:
    try:
        return {placement.original: placement.cluster for placement in read_assignments(folder)}
    except ImgclusterError:
        return {}  # nothing was clustered there yet


def _facts(file: _Known) -> ImageFacts:
    seen, places = file
    return image_facts(read_file(next(filter(os.path.exists, places), seen.path)))


def _date(mtime_ns: int) -> str:
    if mtime_ns == -1 or abs(mtime_ns) >= MOST:  # not known, or of a year that the store cannot say
        return ""
    changed = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=mtime_ns // 1000)
    return changed.isoformat(timespec="seconds")
