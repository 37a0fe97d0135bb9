"""What `compare` promises, with stand-ins for the networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from clusterings import Notes
from fakes import FakeNetwork, FakeSource, write_images

from imgcluster.errors import ImgclusterError, Interrupted, NetworkUnavailable, StoreError, UsageError
from imgcluster.networks.catalog import find_network
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.weights import weights_in
from imgcluster.records import SILENT, FeatureSpace, NetworkSource, Progress, SilentProgress
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.compare import CompareOptions, CompareResult, compare

if TYPE_CHECKING:
    from imgcluster.records import Embeddings, Notify, Pixels

COLOURS = {"red": (200, 30, 30), "blue": (30, 30, 200)}


class Networks:
    """Chooses stand-ins; `missing` ones cannot be had, `broken` ones cannot be loaded."""

    def __init__(self, *, missing: tuple[str, ...] = (), broken: tuple[str, ...] = ()) -> None:
        self.missing = missing
        self.broken = broken
        self.choices: list[NetworkChoice] = []
        self.sources: dict[str, FakeSource] = {}

    def __call__(self, choice: NetworkChoice, notify: Notify) -> NetworkSource:
        self.choices.append(choice)
        if choice.network in self.missing:
            raise ImgclusterError(f"the weights of {choice.network} could not be fetched")
        space = FeatureSpace(choice.network, "00" * 32, 16)
        source = Broken(FakeNetwork(), space) if choice.network in self.broken else FakeSource(space=space)
        return self.sources.setdefault(choice.network, source)


class Broken(FakeSource):
    def load(self) -> FakeNetwork:
        raise NetworkUnavailable("these weights are not those of this network")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", 6, COLOURS)
    return tmp_path / "photos"


def run(
    photos: Path,
    choose: Networks,
    *networks: str,
    paths: tuple[Path, ...] = (),
    progress: Progress = SILENT,
    **options: object,
) -> CompareResult:
    settings = CompareOptions(
        networks=networks or ("vgg16", "vgg19"),
        store=str(photos.parent / "features.h5"),
        **{"seeds": 2, "restarts": 2, **options},  # type: ignore[arg-type]
    )
    return compare(paths or [photos], settings, choose=choose, progress=progress)


def test_there_is_a_row_for_each_network_and_algorithm_and_an_evaluation_for_each_seed(photos: Path) -> None:
    result = run(photos, Networks(), seeds=3)
    assert [(row.network, row.algorithm) for row in result.rows] == [
        ("vgg16", "kmeans"),
        ("vgg16", "minibatch-kmeans"),
        ("vgg19", "kmeans"),
        ("vgg19", "minibatch-kmeans"),
    ]
    assert result.images == 12
    for row in result.rows:
        assert row.accuracies == (1.0, 1.0, 1.0)
        assert (row.accuracy, row.spread, row.errors, row.ari, row.nmi) == (1.0, 0.0, 0.0, 1.0, 1.0)
        assert row.extraction.new == 12
        assert min(row.extraction.seconds, row.clustering_seconds) > 0


def test_nothing_is_written_but_the_store(photos: Path) -> None:
    before = sorted(photos.rglob("*"))
    run(photos, Networks())
    assert sorted(photos.rglob("*")) == before
    assert {path.name for path in photos.parent.iterdir()} <= {"photos", "features.h5", "features.h5.lock"}


def test_a_second_comparison_runs_no_network_and_gives_the_same(photos: Path) -> None:
    first = run(photos, Networks(), k=3)
    again = Networks()
    second = run(photos, again, k=3)
    assert [row.accuracies for row in second.rows] == [row.accuracies for row in first.rows]
    assert [row.extraction.new for row in second.rows] == [0] * 4
    assert all(source.loads == 0 for source in again.sources.values())


@pytest.mark.parametrize("trouble", ["missing", "broken"])
def test_a_network_that_cannot_be_had_is_named_with_its_reason_and_the_rest_goes_on(
    photos: Path, trouble: str
) -> None:
    choose = Networks(**{trouble: ("vgg16",)})  # type: ignore[arg-type]
    result = run(photos, choose)
    assert {row.network for row in result.rows} == {"vgg19"}
    (left_out,) = result.unavailable
    assert left_out.network == "vgg16"
    assert "weights" in left_out.reason


def test_where_no_network_can_be_had_the_reason_is_the_error(photos: Path) -> None:
    with pytest.raises(ImgclusterError, match="no network could be used; vgg16: the weights of vgg16"):
        run(photos, Networks(missing=("vgg16", "vgg19")))


def test_two_networks_are_compared_side_by_side_and_each_is_tried_once(photos: Path) -> None:
    choose = Networks()
    result = run(photos, choose, "vgg16", "vgg16+vgg19", algorithms=("kmeans",))
    assert [row.network for row in result.rows] == ["vgg16", "vgg16+vgg19"]
    assert [choice.network for choice in choose.choices] == ["vgg16", "vgg19"]
    choose = Networks(missing=("vgg19",))
    result = run(photos, choose, "vgg19", "vgg16+vgg19", "vgg16", algorithms=("kmeans",))
    assert [row.network for row in result.rows] == ["vgg16"]
    assert [each.network for each in result.unavailable] == ["vgg19", "vgg16+vgg19"]
    assert [choice.network for choice in choose.choices].count("vgg19") == 1


def test_networks_that_embed_different_images_are_told_apart(photos: Path) -> None:
    class Unsure(FakeNetwork):
        first: Pixels | None = None

        def embed(self, pixels: Pixels) -> Embeddings:
            rows = super().embed(pixels)
            self.first = pixels[0] if self.first is None else self.first
            rows[[np.array_equal(each, self.first) for each in pixels]] = np.nan
            return rows

    networks = Networks()
    networks.sources["vgg16"] = FakeSource(Unsure(), FeatureSpace("vgg16", "00" * 32, 16))
    notes = Notes()
    result = run(photos, networks, progress=notes)
    assert result.images == 12
    assert notes.said("not compared on the same images: vgg16 of 11, vgg19 of 12")
    notes.notes.clear()
    run(photos, Networks(), "vgg19", progress=notes)
    assert not notes.said("same images")


def test_trouble_that_is_not_the_networks_ends_the_comparison(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(ImgclusterError, match="nowhere"):
        run(photos, Networks(), paths=(tmp_path / "nowhere",))
    with pytest.raises(ImgclusterError, match="13 clusters"):
        run(photos, Networks(), k=13)
    with pytest.raises(ImgclusterError, match="not a folder"):
        run(photos, Networks(), weights_dir=str(tmp_path / "nowhere"))
    (photos.parent / "features.h5").write_bytes(b"no HDF5 at all")
    with pytest.raises(StoreError):
        run(photos, Networks())


def test_labels_come_from_a_file_too_and_images_without_one_do_not_count(photos: Path) -> None:
    wrong = photos / "red" / "red0.png"
    rows = [f"{path},{'blue' if path == wrong else path.parent.name}" for path in photos.rglob("*[0-4].png")]
    table = photos.parent / "labels.csv"
    table.write_text("\n".join(["path,label", *rows]))
    (row,) = run(photos, Networks(), "vgg16", algorithms=("kmeans",), labels=str(table)).rows
    assert row.evaluations[0].images == 10
    assert (row.errors, row.accuracy) == (1, 0.9)


def test_weights_are_taken_from_the_folder_under_their_published_names(tmp_path: Path, photos: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    file = weights / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    file.touch()
    assert weights_in(str(weights), find_network("vgg16")) == str(file)
    assert weights_in(str(weights), find_network("vgg19")) == "imagenet"
    assert weights_in(str(weights), find_network("efficientnet_lite2")) == "imagenet"
    choose = Networks()
    run(photos, choose, weights_dir=str(weights))
    assert [choice.weights for choice in choose.choices] == [str(file), "imagenet"]


@pytest.mark.parametrize(
    "options",
    [
        {"networks": ("alexnet",)},
        {"networks": ("vgg16+alexnet",)},
        {"networks": ()},
        {"algorithms": ("guessing",)},
        {"seeds": 0},
        {"k": 0},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_before_anything_runs(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        compare([], CompareOptions(**options), choose=Networks())  # type: ignore[arg-type]


def test_stopping_keeps_the_embeddings(photos: Path) -> None:
    class StopWhenEmbedded(SilentProgress):
        stopping = False

        def begin(self, what: str, total: int | None = None) -> None:
            self.stopping = "clusters" in what

    store = str(photos.parent / "features.h5")
    options = CompareOptions(networks=("vgg16",), store=store)
    with pytest.raises(Interrupted, match="are kept"):
        compare([photos], options, choose=Networks(), progress=StopWhenEmbedded())
    with FeatureStore(store) as kept:
        assert [space.rows for space in kept.spaces] == [12]
