"""Evaluation: clusters against classes that a person made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis import scoring
from imgcluster.output.manifest import read_assignments
from imgcluster.output.trust import note_foreign
from imgcluster.ownership import IN_MEMORY, Ownership
from imgcluster.records import Progress, SilentProgress
from imgcluster.workflows.clustered import ClusteredImages
from imgcluster.workflows.labels import Labels, labels_of
from imgcluster.workflows.options import FOLDERS

if TYPE_CHECKING:
    from imgcluster.analysis.scoring import Evaluation


def evaluate(
    labels: Labels = FOLDERS,
    *,
    clusters: str | os.PathLike[str] | ClusteredImages = "clusters",
    owner: Ownership = IN_MEMORY,
    progress: Progress | None = None,
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
    if isinstance(clusters, ClusteredImages):
        paths, numbers = list(clusters.paths), clusters.labels
    else:
        note_foreign(os.fspath(clusters), owner, (progress or SilentProgress()).note)
        placements = read_assignments(os.fspath(clusters))
        paths = [placement.original for placement in placements]
        numbers = np.array([placement.cluster for placement in placements], np.int32)
    classes = labels_of(labels, paths, (progress or SilentProgress()).note)
    labelled = [row for row, path in enumerate(paths) if path in classes]
    return scoring.evaluate(numbers[labelled], [classes[paths[row]] for row in labelled])
