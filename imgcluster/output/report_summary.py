"""What the report shows, as the caller hands it over."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from imgcluster.output.report_names import ShownFile, shown
from imgcluster.records import Evaluation, Failure, NamedCluster

NAN = float("nan")


@dataclass(frozen=True, slots=True)
class ReportImage(ShownFile):
    """One image file as the report shows it.

    Attributes
    ----------
    cluster_name
        Of its cluster, if it has one.
    true_class
        What the labels say, where there are labels; `wrong` marks an image whose cluster stands for another.
    x, y
        Place on the map; NaN leaves the image off it.
    date
        When the picture was taken or, where it does not tell, when the file was last changed, as text that
        sorts; may be empty.
    """

    cluster: int
    distance: float = NAN
    silhouette: float = NAN
    probability: float = NAN
    true_class: str | None = None
    wrong: bool = False
    x: float = NAN
    y: float = NAN
    cluster_name: str = ""
    date: str = ""

    @property
    def has_place(self) -> bool:
        """Whether it is on the map."""
        return math.isfinite(self.x) and math.isfinite(self.y)

    @property
    def mark(self) -> str:
        """What stands on its picture."""
        return f"label: {shown(self.true_class or '?')}" if self.wrong else ""

    @property
    def note(self) -> str:
        """One line about it: its cluster, how sure that is, and what its label says."""
        parts = [shown(f"cluster {self.cluster} {self.cluster_name}".rstrip())]
        if not math.isnan(self.distance):
            parts.append(f"distance {self.distance:.3f}")
        if not math.isnan(self.silhouette):
            parts.append(f"silhouette {self.silhouette:.2f}".replace("-", "\u2212"))
        if not math.isnan(self.probability):
            parts.append(f"{100 * self.probability:.0f} % sure")
        if self.true_class is not None:
            parts.append(f"label {shown(self.true_class)}")
        if self.date:
            parts.append(self.date)
        return " · ".join(parts)


@dataclass(frozen=True)
class ReportSummary:
    """What the report says about the clustering as a whole.

    Attributes
    ----------
    clusters
        In the order of their numbers.
    silhouettes
        Mean silhouette of each of them, NaN where it is not defined; may be empty.
    silhouette
        Mean silhouette of all images.
    settings
        How it was made: (what, value) rows.
    failures
        Files that the extraction could not read.
    missing
        How many images of the store were left out because their file is gone.
    labelled
        How the clusters agree with the labels, where there are labels.
    projection
        How the map was made, such as ``openTSNE`` or ``PCA``; shown on the map's page.
    unsorted
        How many image files fit in no cluster.
    command
        What makes such a clustering again, but for ``--k`` and ``--edits``.
    """

    clusters: tuple[NamedCluster, ...]
    silhouettes: tuple[float, ...] = ()
    silhouette: float = NAN
    settings: tuple[tuple[str, str], ...] = ()
    failures: tuple[Failure, ...] = ()
    missing: int = 0
    projection: str = ""
    labelled: Evaluation | None = None
    unsorted: int = 0
    command: str = "imgcluster cluster"

    @property
    def k(self) -> int:
        """The number of clusters."""
        return len(self.clusters)

    @property
    def images(self) -> int:
        """The number of image files."""
        return sum(cluster.size for cluster in self.clusters) + self.unsorted

    def title(self, number: int) -> str:
        """Give a cluster's name with its number, for reading; -1 is what fits in none."""
        return "Unsorted" if number < 0 else self._titles.get(number, f"Cluster {number}")

    @cached_property
    def _titles(self) -> dict[int, str]:
        return {each.number: shown(f"{each.name} ({each.number})") for each in self.clusters if each.name}
