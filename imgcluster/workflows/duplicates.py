"""Duplicates: files that are equal, or look alike, and which copy of each is the best. Nothing is deleted."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgcluster.analysis.duplicates import Copy, KeepPlan, duplicate_groups
from imgcluster.analysis.neighbours import near_duplicates
from imgcluster.errors import ImgclusterError, UnreadableImage
from imgcluster.images.decode import decode
from imgcluster.images.reading import read_file
from imgcluster.output.single_file import write_file
from imgcluster.output.tables import csv_bytes
from imgcluster.records import Progress, SilentProgress
from imgcluster.workflows.collection import SpaceChoice, collect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from imgcluster.workflows.existing import StoredImage

DEFAULT_THRESHOLD = 0.9
"""Of copies of 400-pixel photographs at half the size and quality 70 this finds 20 of 30 and 72 of 84 (17 of
the 84 at 0.95); of pairs of different photographs of one kind of scene it takes one in ten thousand."""


@dataclass(frozen=True)
class DuplicatesResult:
    """Groups of two and more files; in each the copy to keep by the documented order, and the others."""

    images: int
    groups: tuple[KeepPlan, ...]


def duplicates(
    paths: Sequence[str | os.PathLike[str]] = (),
    *,
    threshold: float = DEFAULT_THRESHOLD,
    where: SpaceChoice = SpaceChoice(),  # noqa: B008 - frozen
    decisions: str | None = None,
    plan: str | None = None,
    progress: Progress | None = None,
) -> DuplicatesResult:
    """Group files that are equal byte for byte, or whose embeddings have a cosine from `threshold` on.

    Parameters
    ----------
    decisions
        A CSV file with the columns key_a and key_b (hex): pairs that someone judged not to be duplicates.
    plan
        A CSV file to write: group, keep or could_go, path, key.

    Raises
    ------
    ImgclusterError
        Where the store knows no image, or the decisions cannot be read.
    """
    progress = progress or SilentProgress()
    distinct = tuple(_decisions(decisions)) if decisions else ()
    with where.open(progress.note) as (store, space):
        collection = collect(store, (space,), paths, where.clusters, progress)
        source = store.source(space.name, collection.keys)
        progress.begin("comparing images")
        pairs = near_duplicates(source, threshold)
        keys = [bytes(key) for key in source.keys]
    paired = {keys[row] for pair in pairs for row in (pair.first, pair.second)}
    groups = duplicate_groups(_copies(collection.images, paired), keys, pairs, distinct)
    if plan is not None:
        write_file(plan, _plan_csv(groups))
    return DuplicatesResult(len(collection.images), groups)


def _copies(images: Sequence[StoredImage], paired: set[bytes]) -> list[Copy]:
    """Gather what the choice of a copy needs; only images with a near duplicate are looked into."""
    copies = []
    for image in images:
        status = os.stat(image.path)
        pixels = _pixels(image.path) if image.key in paired else 0
        copies.append(Copy(image.path, image.key, pixels, status.st_size, status.st_mtime_ns))
    return copies


def _pixels(path: str) -> int:
    try:
        decoded = decode(read_file(path), at_least=1)
    except UnreadableImage:
        # It could be read when it was embedded; a copy that cannot be read now is the last one to keep.
        return 0
    return decoded.width * decoded.height


def _decisions(file: str) -> Iterator[tuple[bytes, bytes]]:
    try:
        text = Path(file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ImgclusterError(f"{file} cannot be read as CSV: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    if not {"key_a", "key_b"} <= set(reader.fieldnames or ()):
        raise ImgclusterError(f"{file} needs the columns key_a and key_b in its first line")
    for row in reader:
        try:
            yield bytes.fromhex(row["key_a"]), bytes.fromhex(row["key_b"])
        except (TypeError, ValueError) as error:
            raise ImgclusterError(f"{file}, line {reader.line_num}: a key is 64 hex digits") from error


def _plan_csv(groups: Sequence[KeepPlan]) -> bytes:
    rows = [
        (str(number), verdict, copy.path, copy.key.hex())
        for number, group in enumerate(groups)
        for verdict, copy in [("keep", group.keep), *(("could_go", other) for other in group.others)]
    ]
    return csv_bytes(("group", "verdict", "path", "key"), rows)
