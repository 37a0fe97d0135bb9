"""What people put right: which image belongs to which cluster, by the image's key; as a CSV file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from imgcluster.errors import UsageError, quantity
from imgcluster.files import read_limited
from imgcluster.output.manifest import as_typed, no_formula
from imgcluster.output.names import NOT, checked_name
from imgcluster.output.paths import PathTexts
from imgcluster.output.tables import csv_bytes
from imgcluster.workflows.csv_files import read_table

EDITS = "edits.csv"
"""The file of a clustering that holds them; they hold for the next one, too."""
COLUMNS = ("key", "path", "cluster", "name")
_KEY_BYTES = 32
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Edit:
    """An image is in the cluster with this name (or number, as text); `barred`: it is not."""

    key: bytes
    cluster: str
    barred: bool = False


@dataclass(frozen=True)
class Edits:
    """Corrections of images, and the names of clusters, by their number or earlier name."""

    images: tuple[Edit, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def clusters(self) -> tuple[str, ...]:
        """Whichever clusters are spoken of, each once, those that images are in first."""
        ordered = sorted(self.images, key=lambda edit: edit.barred)
        return tuple(dict.fromkeys(edit.cluster for edit in ordered))

    def updated(self, later: Edits) -> Edits:
        """Add later ones: of an image that both speak of, the later count alone."""
        again = {edit.key for edit in later.images}
        images = (*(edit for edit in self.images if edit.key not in again), *later.images)
        return Edits(images, {**self.names, **later.names})

    def renamed(self, names: Mapping[str, str]) -> Edits:
        """Speak of clusters by their new names."""
        return replace(
            self, images=tuple(replace(e, cluster=names.get(e.cluster, e.cluster)) for e in self.images)
        )


NO_EDITS = Edits()


def parse_kept_edits(files: Mapping[str, bytes], out: str) -> Edits:
    """Read the edits among the files of the clustering in `out`, if there are any."""
    data = files.get(EDITS)
    return NO_EDITS if data is None else read_edits(os.path.join(out, EDITS), lambda _: None, data)


def kept_edits(clusters: str) -> Edits:
    """Read the edits that the clustering in a folder was made with."""
    try:
        data = read_limited(os.path.join(clusters, EDITS), _MOST_BYTES)
    except OSError:
        return NO_EDITS
    return parse_kept_edits({EDITS: data}, clusters)


def edits_csv(edits: Edits, paths: Mapping[bytes, str]) -> bytes:
    """Write edits; a path, where one is known, is for people: the key counts."""
    rows = [("", "", cluster, no_formula(name)) for cluster, name in edits.names.items()]
    rows += [
        (edit.key.hex(), paths.get(edit.key, ""), no_formula(NOT * edit.barred + edit.cluster), "")
        for edit in edits.images
    ]
    return csv_bytes(COLUMNS, rows)


def read_edits(file: str, key_of: Callable[[str], bytes | None], data: bytes | None = None) -> Edits:
    """Read a file of edits: an image by its key or, where that is empty, its path, and its cluster.

    A row without an image names the cluster.

    Parameters
    ----------
    key_of
        The key of the image that was extracted from a path, absolute; None where none was.
    data
        What is in the file, where that was read before.

    Raises
    ------
    ImgclusterError
        Where the file cannot be read, a row says nothing, names no image or no possible cluster, or two rows
        contradict each other; with the line.
    """
    folder = os.path.dirname(os.path.abspath(file))
    images: dict[Edit, int] = {}
    names: dict[str, str] = {}
    for line, cells in read_table(file, ("cluster",), ("key", "path", "name"), data):
        cluster, key, path, name = (as_typed((cell or "").strip()) for cell in cells)
        where = f"{file}, line {line}"
        if not any((cluster, key, path, name)):
            continue
        if not key and not path:
            names[cluster] = checked(name, where)
            continue
        found = _key(key) if key else key_of(os.path.normpath(os.path.join(folder, path)))
        if found is None:
            raise unknown_image(where, key, path)
        barred = cluster.startswith(NOT)
        images.setdefault(Edit(found, checked(cluster.removeprefix(NOT), where), barred), line)
    _refuse_contradictions(images, file)
    return Edits(tuple(images), names)


def unknown_image(where: str, key: str, path: str = "") -> UsageError:
    """Say that an image is not known."""
    return UsageError(
        f"{where}: no image that was extracted has the {'key' if key else 'path'} {key or path}"
    )


def checked(name: str, where: str) -> str:
    """Check a name; UsageError with the place where it cannot be."""
    try:
        return checked_name(name)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None


def _key(text: str) -> bytes | None:
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return None
    return key if len(key) == _KEY_BYTES else None


def _refuse_contradictions(images: Mapping[Edit, int], file: str) -> None:
    put: dict[bytes, tuple[str, int]] = {}
    for edit, line in sorted(images.items(), key=lambda item: item[0].barred):
        first = put.get(edit.key)
        if not edit.barred and first is None:
            put[edit.key] = edit.cluster, line
        elif first is not None and edit.barred == (edit.cluster == first[0]):
            said = f"{NOT * edit.barred}{edit.cluster}"
            raise UsageError(f"{file}: line {first[1]} says {first[0]}, line {line} {said} of the same image")


def refuse_too_many(clusters: Sequence[str], k: int) -> None:
    """Raise UsageError where edits speak of more clusters than there are to be."""
    if len(clusters) > k:
        raise UsageError(
            f"the edits name {quantity(len(clusters), 'cluster')} ({', '.join(sorted(clusters)[:20])}): "
            f"choose --k {len(clusters)} or more"
        )


def paths_of(images: Iterable[tuple[bytes, str]], out: str) -> dict[bytes, str]:
    """Give a path for each key, relative to `out` or absolute, as tables write them."""
    texts = PathTexts(out)
    return {key: texts.text(path) for key, path in images}
