"""What the report shows, as the caller hands it over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imgcluster.records import Failure

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class ReportImage:
    """One image file as the report shows it.

    Attributes
    ----------
    key
        SHA-256 of the file's bytes, 64 hex characters; finds the thumbnail.
    path
        The path that a person reads and copies, in `os.fsdecode` form.
    file
        Where the full image lies: absolute, or relative to the folder that holds ``report.html``; in
        `os.fsdecode` form, not percent-encoded.
    true_class
        What the labels say, where there are labels; `wrong` marks an image whose cluster stands for another.
    x, y
        Place on the map; NaN leaves the image off it.
    """

    key: str
    path: str
    file: str
    cluster: int
    distance: float = NAN
    silhouette: float = NAN
    true_class: str | None = None
    wrong: bool = False
    x: float = NAN
    y: float = NAN


@dataclass(frozen=True)
class ConfusionTable:
    """How classes fall into clusters.

    Attributes
    ----------
    classes
        One name per row.
    clusters
        The cluster number of each column.
    counts
        One row per class, one number per cluster.
    matched
        For each class the cluster that stands for it, or None.
    """

    classes: tuple[str, ...]
    clusters: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]
    matched: tuple[int | None, ...]
    accuracy: float = NAN


@dataclass(frozen=True)
class ReportFacts:
    """What the report says about the clustering as a whole.

    Attributes
    ----------
    sizes
        Number of image files in each cluster.
    silhouettes
        Mean silhouette of each cluster, NaN where it is not defined; may be empty.
    silhouette
        Mean silhouette of all images.
    made
        How it was made: (what, value) rows.
    failures
        Files that the extraction could not read.
    missing
        How many images of the store were left out because their file is gone.
    projection
        How the map was made, such as ``openTSNE`` or ``PCA``; shown on the map's page.
    """

    sizes: tuple[int, ...]
    silhouettes: tuple[float, ...] = ()
    silhouette: float = NAN
    made: tuple[tuple[str, str], ...] = ()
    failures: tuple[Failure, ...] = ()
    missing: int = 0
    projection: str = ""
    confusion: ConfusionTable | None = None

    @property
    def k(self) -> int:
        """The number of clusters."""
        return len(self.sizes)

    @property
    def images(self) -> int:
        """The number of image files."""
        return sum(self.sizes)
