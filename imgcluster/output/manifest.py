"""What a clustering says about itself: assignments.csv for people and programs, clustering.json for both."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from imgcluster.errors import ImgclusterError
from imgcluster.files import read_limited
from imgcluster.output.paths import PathTexts, absolute, below
from imgcluster.output.tables import csv_bytes, no_formula
from imgcluster.records import NamedCluster, Placement, json_number

ASSIGNMENTS = "assignments.csv"
CLUSTERING = "clustering.json"
SCHEMA = 1
_MOST_BYTES = {"assignments.csv": 1 << 29, "clustering.json": 1 << 24}

_COLUMNS = ("path", "key", "cluster", "distance", "silhouette", "file", "moved", "name", "probability")


@dataclass(frozen=True)
class ClusteringManifest:
    """How a clustering was made, enough to make it again. No time is in it: the same command, the same bytes.

    Attributes
    ----------
    store
        The feature store, absolute.
    spaces
        Names of the feature spaces, in the order of the model.
    sizes
        Files per cluster, in the order of `clusters`.
    clusters
        In the order of their numbers, which may have gaps. Where they are not told, as by
        earlier versions, the numbers have none, and nor are there names.
    rows
        For each row of the model the number of its cluster, where clusters were merged since; else the rows
        are those of `clusters`.
    own
        The numbers of clusters that a person began, which therefore were not found.
    paths
        Files and folders that images were taken from, absolute; none where all of the store were.
    options
        Whatever else was chosen, by the names of the options.
    versions
        Of imgcluster and of the libraries that decide the numbers.
    unsorted
        Files that fit in no cluster.
    """

    k: int
    seed: int
    algorithm: str
    prepare: str
    mode: str
    store: str
    spaces: tuple[str, ...]
    sizes: tuple[int, ...]
    images: int
    inertia: float
    silhouette: float = math.nan
    paths: tuple[str, ...] = ()
    options: Mapping[str, str | bool | float | Sequence[str]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    unsorted: int = 0
    clusters: tuple[NamedCluster, ...] = ()
    rows: tuple[int, ...] = ()
    own: tuple[int, ...] = ()
    schema: int = SCHEMA

    @property
    def number_of(self) -> dict[int, int]:
        """The number of the cluster that each row of the model is of; -1, no row, is none."""
        return dict(enumerate(self.rows or (cluster.number for cluster in self.clusters))) | {-1: -1}

    def __post_init__(self) -> None:
        if not self.clusters:
            clusters = tuple(NamedCluster(number, "", size) for number, size in enumerate(self.sizes))
            object.__setattr__(self, "clusters", clusters)

    @property
    def names(self) -> dict[int, str]:
        """The names of clusters that have one, by their numbers."""
        return {cluster.number: cluster.name for cluster in self.clusters if cluster.name}


def assignments_csv(
    placements: Sequence[Placement],
    out: str,
    files: Sequence[str] | None = None,
    names: Mapping[int, str] | None = None,
) -> bytes:
    r"""Write the table of all images.

    Paths are relative to `out` where both lie below a common folder, and begin with ``./`` or ``/``, so that
    no spreadsheet takes one for a formula. Names that are not UTF-8 keep their bytes. Lines end with
    ``\r\n``.

    Parameters
    ----------
    placements
        With `path` where the image lies, `original` where it came from.
    out
        The output folder, absolute.
    files
        Where each image is shown, relative to `out`, such as ``0/a.jpg``, or absolute.
    names
        Of the clusters that have one; with ' before a name that begins as a formula does.
    """
    names = {number: no_formula(name) for number, name in (names or {}).items()}
    texts = PathTexts(os.path.realpath(out))
    files = [p.path for p in placements] if files is None else [os.path.join(texts.base, f) for f in files]
    shown = map(texts.text, files)
    rows = (
        (
            texts.text(p.original),
            p.key.hex(),
            p.cluster,
            p.distance,
            "" if math.isnan(p.silhouette) else p.silhouette,
            file,
            "yes" if p.path != p.original and texts.text(p.path) == file else "no",
            names.get(p.cluster, ""),
            "" if math.isnan(p.probability) else f"{p.probability:.3f}",
        )
        for p, file in zip(placements, shown, strict=True)
    )
    return csv_bytes(_COLUMNS, rows)


def read_assignments(out: str) -> tuple[Placement, ...]:
    """Read the table of the clustering in `out` back, in its order.

    Raises
    ------
    ImgclusterError
        When there is none, or it is damaged.
    """
    out = os.path.realpath(out)
    return parse_assignments(_read(out, ASSIGNMENTS), out)


def parse_assignments(data: bytes, out: str) -> tuple[Placement, ...]:
    """Do as `read_assignments` with a table that was read before."""
    text = data.decode("utf-8", "surrogateescape")
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        return tuple(_placement(row, out) for row in reader)
    except (csv.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        path = os.path.join(out, ASSIGNMENTS)
        raise ImgclusterError(
            f"{path}, line {reader.line_num}, is damaged ({error}): run `imgcluster cluster` again"
        ) from error


def _placement(row: Mapping[str, str], out: str) -> Placement:
    original = absolute(row["path"], out)
    path = f"{out}/{below(row['file'])}" if row["moved"] == "yes" else original
    key = bytes.fromhex(row["key"])
    if len(key) != 32:
        raise ValueError("a key has 64 hexadecimal digits")
    silhouette = float(row["silhouette"] or "nan")
    shown = absolute(row["file"], out)
    probability = float(row["probability"]) if row.get("probability") else math.nan
    cluster, distance = int(row["cluster"]), float(row["distance"])
    return Placement(path, original, key, cluster, distance, silhouette, shown, probability)


def manifest_json(manifest: ClusteringManifest, out: str) -> bytes:
    """Write clustering.json; paths are relative to `out` where both lie together."""
    texts = PathTexts(os.path.realpath(out))
    document = asdict(manifest) | {
        "store": texts.text(manifest.store),
        "paths": [texts.text(path) for path in manifest.paths],
        "inertia": json_number(manifest.inertia),
        "silhouette": json_number(manifest.silhouette),
    }
    if not manifest.own:
        del document["own"]  # earlier versions know no such field, and need not
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def read_manifest(out: str) -> ClusteringManifest:
    """Read clustering.json of the clustering in `out`.

    Raises
    ------
    ImgclusterError
        When there is none, a newer imgcluster wrote it, or it is damaged.
    """
    out = os.path.realpath(out)
    return parse_manifest(_read(out, CLUSTERING), out)


def parse_manifest(data: bytes, out: str) -> ClusteringManifest:
    """Do as `read_manifest` with a file that was read before."""
    path = os.path.join(out, CLUSTERING)
    try:
        document = json.loads(data)
        if document["schema"] > SCHEMA:
            raise ImgclusterError(f"{path} was written by a newer imgcluster: update imgcluster")
        document |= {
            "store": absolute(document["store"], out),
            "spaces": tuple(document["spaces"]),
            "sizes": tuple(document["sizes"]),
            "paths": tuple(absolute(path, out) for path in document.get("paths", ())),
            "inertia": _number(document["inertia"]),
            "silhouette": _number(document["silhouette"]),
            "clusters": _clusters(document),
            "rows": tuple(map(int, document.get("rows", ()))),
            "own": tuple(map(int, document.get("own", ()))),
        }
        return ClusteringManifest(**document)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ImgclusterError(f"{path} is damaged ({error}): run `imgcluster cluster` again") from error


def _clusters(document: Mapping[str, Any]) -> tuple[NamedCluster, ...]:
    listed = document.get("clusters", ())
    clusters = tuple(NamedCluster(int(c["number"]), str(c["name"]), int(c["size"])) for c in listed)
    numbers = [cluster.number for cluster in clusters]
    if numbers != sorted(set(numbers)) or (numbers and (len(numbers) != document["k"] or numbers[0] < 0)):
        raise ValueError("its clusters are not in order")
    if numbers and numbers[-1] >= 1 << 31:
        raise ValueError("its clusters have numbers that are too large")
    return clusters


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _read(out: str, name: str) -> bytes:
    path = os.path.join(out, name)
    try:
        return read_limited(path, _MOST_BYTES[name])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImgclusterError(f"no clustering in {out}: run `imgcluster cluster` first") from error
    except OSError as error:
        raise ImgclusterError(f"cannot read {path}: {error.strerror}") from error
