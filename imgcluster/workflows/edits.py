"""What people put right: which image belongs to which cluster, by the image's key; as a CSV file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from imgcluster.errors import UsageError
from imgcluster.files import read_limited
from imgcluster.output.names import NOT, UNSORTED, checked_name, composed
from imgcluster.output.paths import PathTexts
from imgcluster.output.tables import as_typed, csv_bytes, no_formula
from imgcluster.records import Placement
from imgcluster.workflows.csv_files import key_in, read_table

EDITS = "edits.csv"
"""The file of a clustering that holds them; they hold for the next one, too."""
COLUMNS = ("key", "path", "cluster", "name")
_MOST_BYTES = 1 << 30
_NOWHERE = "-1"
"""What assignments.csv calls ``unsorted``."""

KeyOf = Callable[[str], bytes | None]
"""Tells the key of the image that was extracted from a path, absolute; None where none was."""


@dataclass(frozen=True, slots=True)
class Edit:
    """An image is in the cluster with this name (or number, as text), or in none; `barred`: not in that."""

    key: bytes
    cluster: str
    barred: bool = False

    def __str__(self) -> str:
        return NOT * self.barred + self.cluster


@dataclass(frozen=True)
class Edits:
    """Corrections of images, and the names of clusters, by their number or earlier name."""

    images: tuple[Edit, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def clusters(self) -> tuple[str, ...]:
        """Whichever clusters are spoken of, each once, those that images are in first."""
        ordered = sorted(self.images, key=lambda edit: edit.barred)
        return tuple(dict.fromkeys(edit.cluster for edit in ordered if edit.cluster != UNSORTED))

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


def edits_csv(edits: Edits, images: Iterable[Placement], out: str) -> bytes:
    """Write edits for the folder `out`; paths, of images where they are known, are for people: keys count."""
    texts = PathTexts(out)
    paths = {image.key: texts.text(image.original) for image in images}
    rows = [("", "", cluster, no_formula(name)) for cluster, name in edits.names.items()]
    rows += [(e.key.hex(), paths.get(e.key, ""), no_formula(str(e)), "") for e in edits.images]
    return csv_bytes(COLUMNS, rows)


def read_edits(file: str, key_of: KeyOf, data: bytes | None = None) -> Edits:
    """Read a file of edits: an image by its key or, where that is empty, its path, and its cluster.

    A row without an image names the cluster. `data` is what is in the file, where that was read before.

    Raises
    ------
    ImgclusterError
        Where the file cannot be read, a row says nothing, names no image or no possible cluster, or two rows
        contradict each other; with the line.
    """
    folder = os.path.dirname(os.path.abspath(file))
    images: dict[Edit, int] = {}
    names: dict[str, tuple[str, int]] = {}
    for line, cells in read_table(file, ("cluster",), ("key", "path", "name"), data):
        cluster, key, path, name = (as_typed((cell or "").strip()) for cell in cells)
        where = f"{file}, line {line}"
        if not any((cluster, key, path, name)):
            continue
        if not key and not path:
            if not cluster:
                raise UsageError(f"{where}: the name {name} is given to no cluster")
            cluster, name = composed(cluster), checked(name, where)
            earlier, first = names.setdefault(cluster, (name, line))
            if earlier != name:
                raise UsageError(
                    f"{file}: line {first} calls cluster {cluster} {earlier}, line {line} {name}"
                )
            continue
        found = key_in(key) if key else key_of(os.path.normpath(os.path.join(folder, path)))
        if found is None:
            raise unknown_image(where, key, path)
        barred = cluster.startswith(NOT)
        if cluster == _NOWHERE:
            cluster = UNSORTED
        if cluster != UNSORTED:
            cluster = checked(cluster.removeprefix(NOT), where)
        images.setdefault(Edit(found, cluster, barred), line)
    _refuse_contradictions(images, file)
    return Edits(tuple(images), {cluster: name for cluster, (name, _) in names.items()})


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


def _refuse_contradictions(images: Mapping[Edit, int], file: str) -> None:
    put: dict[bytes, tuple[str, int]] = {}
    for edit, line in sorted(images.items(), key=lambda item: item[0].barred):
        cluster, first = put.get(edit.key, ("", 0))
        if not first:
            if not edit.barred:
                put[edit.key] = edit.cluster, line
        elif edit.barred == (edit.cluster == cluster):
            raise UsageError(f"{file}: line {first} says {cluster}, line {line} {edit} of the same image")
