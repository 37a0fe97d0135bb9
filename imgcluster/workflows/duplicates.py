"""Duplicates: files that are equal, or look alike, and which copy of each is the best. Nothing is deleted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imgcluster.analysis.duplicates import DuplicateFile, DuplicateGroup, duplicate_groups
from imgcluster.analysis.embeddings import Watched
from imgcluster.analysis.neighbours import near_duplicates
from imgcluster.engines.protocol import Call, Engine, in_order
from imgcluster.engines.table import find_engine
from imgcluster.errors import ImgclusterError, quantity
from imgcluster.images.decode import decode
from imgcluster.images.reading import read_file
from imgcluster.output.single_file import check_target, write_file
from imgcluster.output.tables import csv_bytes
from imgcluster.records import Progress, SilentProgress
from imgcluster.tabular import Tabular
from imgcluster.workflows.collection import collect, open_space, with_keys
from imgcluster.workflows.csv_files import read_table
from imgcluster.workflows.options import DuplicatesOptions
from imgcluster.workflows.reading import KNOWN_LIMITS, READING_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgcluster.workflows.existing import StoredImage

_KEY_BYTES = 32
_PLAN_COLUMNS = ("group", "verdict", "path", "key")


@dataclass(frozen=True)
class DuplicatesResult(Tabular):
    """Groups of two and more files; in each the copy to keep by the documented order, and the others."""

    images: int
    groups: tuple[DuplicateGroup, ...]

    def table(self) -> dict[str, list[Any]]:
        """Give a row for each file, as in the plan."""
        rows = _plan_rows(self.groups)
        return {name: [row[place] for row in rows] for place, name in enumerate(_PLAN_COLUMNS)}


def duplicates(
    paths: Sequence[str | os.PathLike[str]] = (),
    options: DuplicatesOptions | None = None,
    *,
    engine: str | Engine = "local",
    progress: Progress | None = None,
) -> DuplicatesResult:
    """Group files that are equal byte for byte, or whose embeddings have a cosine from the threshold on.

    Raises
    ------
    ImgclusterError
        Where the store knows no image, or the decisions cannot be read.
    """
    options = options or DuplicatesOptions()
    progress = progress or SilentProgress()
    if options.plan is not None:
        check_target(options.plan, csv_bytes(_PLAN_COLUMNS, ()), first_line=True)
    distinct = tuple(_decisions(options.decisions)) if options.decisions else ()
    with open_space(options, progress.note) as (store, space):
        collection = collect(store, (space,), paths, options.clusters, progress)
        progress.begin("comparing images")
        source = Watched(store.source(space.name, collection.keys), progress)
        pairs = near_duplicates(source, options.threshold)
        collection = with_keys(store, collection, source.keys[~source.broken], progress)
        keys = [bytes(key) for key in source.keys]
    paired = {keys[row] for pair in pairs for row in (pair.first, pair.second)}
    copies = _copies(collection.images, paired, find_engine(engine), progress)
    groups = duplicate_groups(copies, keys, pairs, distinct)
    if options.plan is not None:
        write_file(options.plan, csv_bytes(_PLAN_COLUMNS, _plan_rows(groups)))
    return DuplicatesResult(len(collection.images), groups)


def _copies(
    images: Sequence[StoredImage], paired: set[bytes], engine: Engine, progress: Progress
) -> list[DuplicateFile]:
    """Gather what the choice of a copy needs; only images with a near duplicate are looked into.

    A file that cannot be read now is left out: it can neither be relied on nor be given up.
    """
    alike = [image for image in images if image.key in paired]
    progress.begin("looking into near duplicates", len(alike))
    pixels: dict[str, int] = {}
    lost: dict[str, str] = {}
    for outcome in in_order(engine, Call(_pixels), alike, timeout=READING_SECONDS):
        progress.advance()
        if outcome.result is None:
            lost[outcome.item.path] = str(outcome.error)
        else:
            pixels[outcome.item.path] = outcome.result
    copies = []
    for image in images:
        try:
            status = os.stat(image.path)
        except OSError as error:
            lost.setdefault(image.path, error.strerror or str(error))
        if image.path not in lost:
            size = pixels.get(image.path, 0)
            copies.append(DuplicateFile(image.path, image.key, size, status.st_size, status.st_mtime_ns))
    for path, reason in list(lost.items())[:1]:
        progress.note(f"left out: {quantity(len(lost), 'unreadable image')}, the first: {path}: {reason}")
    return copies


def _pixels(image: StoredImage) -> int:
    decoded = decode(read_file(image.path), KNOWN_LIMITS, at_least=1)
    return decoded.width * decoded.height


def _decisions(file: str) -> Iterator[tuple[bytes, bytes]]:
    for line, cells in read_table(file, ("key_a", "key_b")):
        try:
            one, other = (bytes.fromhex(cell or "") for cell in cells)
        except ValueError:
            one = other = b""
        if not len(one) == len(other) == _KEY_BYTES:
            raise ImgclusterError(f"{file}, line {line}: a key is 64 hex digits")
        yield one, other


def _plan_rows(groups: Sequence[DuplicateGroup]) -> list[tuple[str, ...]]:
    return [
        (str(number), verdict, copy.path, copy.key.hex())
        for number, group in enumerate(groups)
        for verdict, copy in [("keep", group.keep), *(("could_go", other) for other in group.redundant)]
    ]
