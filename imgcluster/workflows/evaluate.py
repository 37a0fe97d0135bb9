"""Evaluation: clusters against classes that a person made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from imgcluster.analysis import scoring
from imgcluster.output.manifest import read_assignments
from imgcluster.workflows.labels import read_labels
from imgcluster.workflows.options import FOLDERS

if TYPE_CHECKING:
    from imgcluster.analysis.scoring import Evaluation


def evaluate(labels: str = FOLDERS, *, clusters: str | os.PathLike[str] = "clusters") -> Evaluation:
    """Compare a clustering with classes; images without a label are left out.

    Parameters
    ----------
    labels
        ``folders``, or a CSV file with the columns path and label.
    clusters
        The folder that `cluster` made.

    Raises
    ------
    ImgclusterError
        Where there is no clustering or no label.
    """
    placements = read_assignments(os.fspath(clusters))
    classes = read_labels(labels, (placement.original for placement in placements))
    labelled = [placement for placement in placements if placement.original in classes]
    return scoring.evaluate(
        np.array([placement.cluster for placement in labelled], np.int32),
        [classes[placement.original] for placement in labelled],
    )
