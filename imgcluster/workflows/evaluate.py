"""Evaluation: clusters against classes that a person made."""

from __future__ import annotations

import os

import numpy as np

from imgcluster.analysis import scoring
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import SILENT, Evaluation, Progress
from imgcluster.workflows.cluster_result import ClusterResult, read_clusters
from imgcluster.workflows.labels import Labels, labels_of
from imgcluster.workflows.options import FOLDERS


def evaluate(
    labels: Labels = FOLDERS,
    *,
    clusters: str | os.PathLike[str] | ClusterResult = "clusters",
    owner: Ownership = IN_MEMORY,
    progress: Progress = SILENT,
) -> Evaluation:
    """Compare a clustering with classes; images without a label are left out.

    Parameters
    ----------
    labels
        ``folders``, a CSV file with the columns path and label, labels by path (a mapping or a Series), or
        one for each image in the order of the clustering's paths.
    clusters
        The folder that `cluster` made, or what `cluster` returned.

    Raises
    ------
    ImgclusterError
        Where there is no clustering or no label.
    """
    placements, _ = read_clusters(clusters, owner, progress.note)
    paths = [placement.original for placement in placements]
    numbers = np.array([placement.cluster for placement in placements], np.int32)
    classes = labels_of(labels, paths, progress.note)
    labelled = [row for row, path in enumerate(paths) if path in classes]
    return scoring.evaluate(numbers[labelled], [classes[paths[row]] for row in labelled])
