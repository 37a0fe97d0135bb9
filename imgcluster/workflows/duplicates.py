"""Duplicates: files that are equal or show one picture, and which is the best. Nothing is deleted."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgcluster.analysis.duplicates import (
    DuplicateFile,
    DuplicateGroup,
    Match,
    SamePictures,
    best_files,
    group_files,
    worth,
)
from imgcluster.analysis.embeddings import Watched, finite_rows
from imgcluster.analysis.look_alikes import Pair, look_alikes
from imgcluster.analysis.looks import Looks
from imgcluster.analysis.transforms import unit_length
from imgcluster.engines.protocol import Engine
from imgcluster.errors import ImgclusterError, quantity
from imgcluster.files import path_filter
from imgcluster.output.single_file import table_file
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Embeddings, Keys, Pictures, Progress, mtime_ns, row_of_key
from imgcluster.tabular import Tabular
from imgcluster.workflows.csv_files import key_in, read_table
from imgcluster.workflows.embedded_images import collect, open_space
from imgcluster.workflows.image_looks import Remake, pictures_of, remakes
from imgcluster.workflows.options import LOOK_ALIKE, DuplicatesOptions
from imgcluster.workflows.pages import prepare_pages
from imgcluster.workflows.stored_files import StoredImage

_LEAST_TIMES = 1.25  # along each side: a picture that is hardly larger may well have been made larger

PLAN_COLUMNS = ("group", "verdict", "path", "key", "kind", "cosine", "difference")


@dataclass(frozen=True)
class DuplicatesResult(Tabular):
    """Groups of two and more files, the one to keep and the copies of it; and images that only look alike."""

    images: int
    groups: tuple[DuplicateGroup, ...]
    look_alikes: tuple[DuplicateGroup, ...]

    def table(self) -> dict[str, list[Any]]:
        """Give a row for each file, as in the plan."""
        rows = _plan_rows(self)
        return {name: [row[place] for row in rows] for place, name in enumerate(PLAN_COLUMNS)}


def duplicates(
    paths: Sequence[str | os.PathLike[str]] = (),
    options: DuplicatesOptions | None = None,
    *,
    engine: str | Engine = "local",
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> DuplicatesResult:
    """Group files that are equal byte for byte, or whose pixels show the same picture.

    Every copy is compared with the one that is kept: their pixels decide, and the cosine of their embeddings
    reaches the threshold.

    Raises
    ------
    ImgclusterError
        Where the store knows no image, the decisions cannot be read, or the library of the report is missing.
    """
    options = options or DuplicatesOptions()
    if options.report:
        prepare_pages(options.out)
    write_plan = table_file(options.plan, PLAN_COLUMNS)
    judged = list(_decisions(options.decisions)) if options.decisions else []
    with open_space(options, progress) as (store, space):
        collection = collect(store, (space,), paths, (options.clusters,), progress, owner=owner, strict=True)
        keys = store.source(space.name, collection.keys).keys
        stored = store.pictures(keys)
    pictures, known = pictures_of(
        options, collection.images, keys, stored, owner=owner, engine=engine, progress=progress
    )
    with open_space(options, SILENT) as (store, space):
        files = _files(collection.images, keys, pictures, options.prefer, progress)
        apart = _apart(judged, keys)

        def embed(some: NDArray[np.intp]) -> Embeddings:
            rows = store.read(space.name, keys[some])
            return unit_length(np.where(finite_rows(rows)[:, None], rows, np.float32(0)))

        looked = Looks(pictures)

        def find(some: NDArray[np.intp]) -> list[Match]:
            return SamePictures(looked, embed, options.threshold, apart, progress).find(some)

        order = _order(files, keys)
        same = find(order[known[order]])
        looked_at: set[Remake] = set()
        while fresh := [each for each in _candidates(files, same, keys) if each not in looked_at]:
            looked_at.update(fresh)
            if not (made := remakes(fresh, engine, progress)):
                break
            files = [replace(file, remade=file.remade or file.key in made) for file in files]
            order = _order(files, keys)
            unmade = {pair.kept for pair in same if bytes(keys[pair.kept]) in made}
            again = [row for pair in same if pair.kept in unmade for row in (pair.kept, pair.copy)]
            same = [pair for pair in same if pair.kept not in unmade] + find(order[np.isin(order, again)])
        taken = np.ones(len(keys), np.bool_)
        taken[order] = False
        taken[[pair.copy for pair in same]] = True
        source = Watched(store.source(space.name, keys), SILENT)
        alike = [
            Match(pair.first, pair.second, "look-alike", pair.cosine, _difference(looked, known, pair))
            for pair in look_alikes(source, embed, max(options.threshold, LOOK_ALIKE), taken, progress)
            if pair.second not in apart.get(pair.first, ())
        ]
        collection = collection.finite(keys[~source.broken], progress)
    usable = set(map(bytes, keys[~source.broken]))
    files = [file for file in files if file.key in usable]
    named = [bytes(key) for key in keys]
    result = DuplicatesResult(
        len(collection.images),
        group_files(files, same, named),
        group_files(best_files(files), alike, named),
    )
    write_plan(_plan_rows(result))
    return result


def _files(
    images: Sequence[StoredImage], keys: Keys, pictures: Pictures, prefer: Sequence[str], progress: Progress
) -> list[DuplicateFile]:
    """Gather what the choice of a copy needs.

    A file that is gone now is left out: it can neither be relied on nor be given up.
    """
    rows = row_of_key(keys)
    preferred = [path_filter([os.path.abspath(folder), os.path.realpath(folder)]) for folder in prefer]
    files, lost = [], []
    for image in images:
        try:
            status = os.stat(image.path)
        except OSError as error:
            lost.append(f"{image.path}: {error.strerror or error}")
            continue
        look = pictures[rows[image.key]]
        rank = next((at for at, lies_there in enumerate(preferred) if lies_there(image.path)), len(preferred))
        pixels = int(look["width"]) * int(look["height"])
        files.append(
            DuplicateFile(
                image.path, image.key, pixels, status.st_size, mtime_ns(status), bool(look["camera"]), rank
            )
        )
    for folder, lies_there in zip(prefer, preferred, strict=True):
        if not any(lies_there(file.path) for file in files):
            progress.note(f"no image lies in {folder}, which --prefer names")
    if lost:
        progress.note(f"left out: {quantity(len(lost), 'unreadable image')}, the first: {lost[0]}")
    return files


def _order(files: Sequence[DuplicateFile], keys: Keys) -> NDArray[np.intp]:
    """Give the rows of the images in files, those to keep first."""
    rows = row_of_key(keys)
    return np.array(list(dict.fromkeys(rows[file.key] for file in sorted(files, key=worth))), np.intp)


def _candidates(files: Sequence[DuplicateFile], same: Sequence[Match], keys: Keys) -> list[Remake]:
    """Of groups whose kept file has but its size before an older one, say what that may have been made of.

    Of the smaller ones, and of the equally large ones with other endings, the best stands for all.
    """
    best = {file.key: file for file in best_files(files)}
    found: dict[tuple[bytes, bool], Remake] = {}
    for pair in same:
        kept, copy = (best[bytes(keys[row])] for row in (pair.kept, pair.copy))
        times = math.sqrt(kept.pixels / max(copy.pixels, 1))
        endings = {os.path.splitext(file.path)[1].lower() for file in (kept, copy)}
        if (
            (kept.preferred, kept.camera) == (copy.preferred, copy.camera)
            and kept.mtime_ns > copy.mtime_ns
            and not kept.remade
            and (times >= _LEAST_TIMES or (times == 1 and len(endings) == 2))
        ):
            remake = Remake((kept.key, kept.path), (copy.key, copy.path), times)
            found.setdefault((kept.key, times > 1), remake)
    return list(found.values())


def _difference(looks: Looks, known: NDArray[np.bool_], pair: Pair) -> float:
    if not known[pair.first] or not known[pair.second]:
        return math.nan
    return float(looks.differences(pair.first, np.array([pair.second]))[0])


def _apart(judged: Sequence[tuple[bytes, bytes]], keys: Keys) -> dict[int, set[int]]:
    """For a row the rows that were judged not to be duplicates of it."""
    rows = row_of_key(keys)
    apart: dict[int, set[int]] = {}
    for one, other in (*judged, *((other, one) for one, other in judged)):
        if one in rows and other in rows:
            apart.setdefault(rows[one], set()).add(rows[other])
    return apart


def _decisions(file: str) -> Iterator[tuple[bytes, bytes]]:
    for line, (key_a, key_b) in read_table(file, ("key_a", "key_b")):
        one, other = key_in(key_a), key_in(key_b)
        if one is None or other is None:
            raise ImgclusterError(f"{file}, line {line}: a key is 64 hex digits")
        yield one, other


def _plan_rows(result: DuplicatesResult) -> list[tuple[object, ...]]:
    groups = [("could_go", group) for group in result.groups]
    groups += [("look_alike", group) for group in result.look_alikes]
    rows: list[tuple[object, ...]] = []
    for number, (verdict, group) in enumerate(groups):
        rows.append((number, "keep", group.keep.path, group.keep.key.hex(), "", "", ""))
        rows += (
            (number, verdict, copy.file.path, copy.file.key.hex(), copy.kind, copy.cosine, copy.difference)
            for copy in group.copies
        )
    return rows
