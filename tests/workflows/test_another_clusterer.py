"""A clusterer from outside, one that is no k-means and knows what fits nowhere, works in every command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from clusterings import COLOURS, IMAGES, desk_with_photos
from fakes import FakeSource, write_image
from numpy.typing import NDArray
from sklearn.cluster import AgglomerativeClustering

from imgcluster.analysis.clusterer import ClustererKind, ClusterSettings
from imgcluster.analysis.clusterers import CLUSTERERS
from imgcluster.records import FeatureSpace
from imgcluster.workflows.assign import assign
from imgcluster.workflows.evaluate import evaluate
from imgcluster.workflows.options import AssignOptions, ReportOptions
from imgcluster.workflows.report import report

FEWEST = 2


@dataclass(frozen=True)
class NearestMember:
    """Predicts the label of the nearest point that was clustered."""

    members: NDArray[np.float32]
    labels: NDArray[np.int32]

    def predict(self, points: NDArray[np.float32]) -> NDArray[np.int32]:
        gaps = np.linalg.norm(points[:, None] - self.members[None], axis=2)
        return self.labels[gaps.argmin(axis=1)]

    def arrays(self) -> Mapping[str, NDArray[np.generic]]:
        return {"members": self.members, "labels": self.labels}


@dataclass(frozen=True)
class Agglomerative:
    """Merges images into one more cluster than asked for; clusters with fewer than FEWEST fit nowhere."""

    settings: ClusterSettings

    def fit(
        self, points: NDArray[np.float32], weights: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NearestMember]:
        found = AgglomerativeClustering(min(self.settings.k + 1, len(points)), linkage="average").fit(points)
        labels = 7 * found.labels_.astype(np.int32)  # with gaps
        small = np.bincount(labels, weights, labels.max() + 1)[labels] < FEWEST
        labels[small] = -1
        return labels, NearestMember(points, labels)


def load(arrays: Mapping[str, NDArray[np.generic]]) -> NearestMember:
    return NearestMember(np.asarray(arrays["members"], np.float32), np.asarray(arrays["labels"], np.int32))


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CLUSTERERS, "agglomerative", ClustererKind(Agglomerative, load))


@pytest.mark.filterwarnings("ignore:Bokeh")
def test_it_sorts_into_folders_assigns_sweeps_and_reports(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    odd = write_image(desk.photos / "odd" / "odd.png", (250, 250, 250))
    space = FeatureSpace("vgg16", "00" * 32, 32)
    desk.extract(source=FakeSource(space=space))
    result = desk.cluster(len(COLOURS), algorithm="agglomerative", prepare="l2")
    assert (result.k, result.sizes, result.unsorted) == (3, (5, 5, 5), 1)
    assert {path.name for path in desk.out.iterdir() if path.is_dir()} == {"0", "1", "2", "unsorted"}
    assert [path.name for path in (desk.out / "unsorted").iterdir()] == ["odd.png"]

    new = write_image(tmp_path / "new" / "new.png", (250, 250, 250), noise=5)
    options = AssignOptions(clusters=str(desk.out))
    choose = lambda choice, notify: FakeSource(space=space)  # noqa: E731
    assigned = assign([desk.photos, new], options, choose=choose, progress=desk.progress).images
    clusters = {image.path: image.cluster for image in assigned}
    assert (clusters[str(odd)], clusters[str(new)]) == (-1, -1)
    assert sorted(clusters.values()) == [-1, -1, *sorted([0, 1, 2] * 5)]

    score = evaluate(clusters=desk.out)
    assert (score.images, score.errors) == (IMAGES + 1, 1)

    assert desk.cluster(None, algorithm="agglomerative", prepare="l2", out=tmp_path / "auto").k in range(
        2, 13
    )

    made = report(
        ReportOptions(clusters=str(desk.out), labels="folders"),
        thumbnails=str(tmp_path / "thumbnails"),
        progress=desk.progress,
    )
    assert "Unsorted" in Path(made.page).read_text()
    assert (desk.out / "report" / "unsorted.html").is_file()


def test_refined_by_nobody_the_fused_space_stays_the_first(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    desk.extract()
    assert desk.cluster(2, algorithm="agglomerative").sizes == (5, 5, 5)
    assert desk.cluster(3).sizes == (5, 5, 5)  # and what it made can be replaced
