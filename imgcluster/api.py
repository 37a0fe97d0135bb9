"""The commands as Python functions; keyword arguments are named as the options."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imgcluster.workflows import cluster as clustering
from imgcluster.workflows import extract as extraction
from imgcluster.workflows.evaluate import evaluate

if TYPE_CHECKING:
    import os

    from imgcluster.records import NetworkSource, Progress

__all__ = ["cluster", "evaluate", "extract"]


def extract(
    *paths: str | os.PathLike[str],
    source: NetworkSource | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> extraction.ExtractResult:
    """Embed every image below `paths` that the store does not know yet.

    `options` are those of `ExtractOptions`: ``store="features.h5"``, ``network="vgg16"`` …; raises what
    `workflows.extract.extract` raises.
    """
    return extraction.extract(
        paths or (".",), extraction.ExtractOptions(**options), source=source, progress=progress
    )


def cluster(
    *paths: str | os.PathLike[str],
    progress: Progress | None = None,
    **options: Any,
) -> clustering.ClusterResult:
    """Sort the embedded images below `paths` (default: all) into one folder per cluster.

    `options` are those of `ClusterOptions`: ``k=8``, ``out="clusters"`` …; raises what
    `workflows.cluster.cluster` raises.
    """
    return clustering.cluster(paths, clustering.ClusterOptions(**options), progress=progress)
