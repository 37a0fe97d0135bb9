"""What is written beside the clusters, and read back: assignments.csv, clustering.json, model.npz."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.output.tables import csv_bytes
from imgcluster.records import ClusterModel, Placement, Preparation, json_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcluster.output.folders import FolderPlan

ASSIGNMENTS = "assignments.csv"
CLUSTERING = "clustering.json"
MODEL = "model.npz"
_SCHEMA = 1
_COLUMNS = ("path", "key", "cluster", "distance", "silhouette", "file")


@dataclass(frozen=True)
class ClusteringManifest:
    """How a clustering was made, enough to make it again; without a time: same answer, same bytes."""

    k: int
    sizes: tuple[int, ...]
    inertia: float
    silhouette: float
    seed: int
    store: str
    spaces: tuple[str, ...]
    options: Mapping[str, object]
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: int = _SCHEMA


def manifest_files(manifest: ClusteringManifest, model: ClusterModel, plan: FolderPlan) -> dict[str, bytes]:
    """Make the three files, by name."""
    described = {**asdict(manifest), "silhouette": json_number(manifest.silhouette)}
    return {
        ASSIGNMENTS: _assignments(plan),
        CLUSTERING: (json.dumps(described, indent=2) + "\n").encode(),
        MODEL: _model_bytes(model),
    }


def _assignments(plan: FolderPlan) -> bytes:
    rows = [
        (
            _relative(placed.placement.original, plan.out),
            placed.placement.key.hex(),
            placed.placement.cluster,
            f"{placed.placement.distance:.6f}",
            "" if np.isnan(placed.placement.silhouette) else f"{placed.placement.silhouette:.6f}",
            f"./{placed.file}",
        )
        for placed in sorted(plan.files, key=lambda placed: os.fsencode(placed.placement.original))
    ]
    return csv_bytes(_COLUMNS, rows)


def _relative(path: str, out: str) -> str:
    """Begin a path with ``./``, so that none is taken for a formula or an option."""
    return f"./{os.path.relpath(path, out)}"


def read_assignments(out: str) -> tuple[Placement, ...]:
    """Read which image is in which cluster.

    Raises
    ------
    ImgclusterError
        Where `out` holds no clustering, or one that was damaged.
    """
    out = os.path.abspath(out)
    file = os.path.join(out, ASSIGNMENTS)
    try:
        with open(file, "rb") as stream:
            text = stream.read().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise ImgclusterError(f"no clustering in {out}: run `imgcluster cluster` first") from error
    try:
        return tuple(_placement(row, out) for row in csv.DictReader(io.StringIO(text, newline="")))
    except (KeyError, ValueError, TypeError) as error:
        raise ImgclusterError(f"{file} is damaged: run `imgcluster cluster` again") from error


def _placement(row: Mapping[str, str], out: str) -> Placement:
    original = os.path.normpath(os.path.join(out, row["path"]))
    silhouette = float(row["silhouette"] or "nan")
    key, cluster, distance = bytes.fromhex(row["key"]), int(row["cluster"]), float(row["distance"])
    return Placement(original, original, key, cluster, distance, silhouette)


def _model_bytes(model: ClusterModel) -> bytes:
    arrays: dict[str, Any] = {"spaces": np.array(model.spaces), "centroids": model.centroids}
    for number, preparation in enumerate(model.preparations):
        flags = np.array([preparation.normalise, preparation.normalise_again])
        arrays |= {
            f"flags{number}": flags,
            f"mean{number}": preparation.mean,
            f"components{number}": preparation.components,
            f"scale{number}": preparation.scale,
        }
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    return stream.getvalue()


def read_model(out: str) -> ClusterModel:
    """Read the fitted model; arrays only, nothing in it can run.

    Raises
    ------
    ImgclusterError
        Where there is none, or it is damaged.
    """
    file = os.path.join(out, MODEL)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            spaces = tuple(str(space) for space in arrays["spaces"])
            preparations = tuple(
                Preparation(
                    bool(arrays[f"flags{number}"][0]),
                    arrays[f"mean{number}"],
                    arrays[f"components{number}"],
                    arrays[f"scale{number}"],
                    bool(arrays[f"flags{number}"][1]),
                )
                for number in range(len(spaces))
            )
            return ClusterModel(spaces, preparations, arrays["centroids"])
    except (OSError, ValueError, KeyError) as error:
        raise ImgclusterError(f"{file} holds no model: run `imgcluster cluster` again") from error
