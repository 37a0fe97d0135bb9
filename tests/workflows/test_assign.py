"""What `assign` promises: the answer that `cluster` gave, and nothing out of another feature space."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from clusterings import COLOURS, Desk, desk_with_photos
from fakes import FakeNetwork, FakeSource, write_image

from imgcluster.errors import ImgclusterError
from imgcluster.output.manifest import read_assignments
from imgcluster.records import FeatureSpace
from imgcluster.workflows.assign import Assigned, assign

OTHER = FeatureSpace("other", "11" * 32, 16)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = desk_with_photos(tmp_path)
    desk.extract()
    desk.cluster()
    return desk


def run(desk: Desk, *paths: Path, source: FakeSource | None = None) -> tuple[Assigned, ...]:
    return assign(paths, clusters=desk.out, source=source or FakeSource(), progress=desk.progress)


def test_images_that_were_clustered_get_the_same_answer(desk: Desk) -> None:
    source = FakeSource()
    found = run(desk, desk.photos, source=source)
    clustered = read_assignments(str(desk.out))
    assert [(each.path, each.cluster) for each in found] == [(p.path, p.cluster) for p in clustered]
    assert [each.distance for each in found] == pytest.approx([p.distance for p in clustered], abs=1e-6)
    assert source.loads == 0


def test_new_images_are_embedded_and_go_to_the_nearest_cluster(desk: Desk) -> None:
    new = [
        write_image(desk.folder / "new" / f"{name}.png", colour, noise=50) for name, colour in COLOURS.items()
    ]
    source = FakeSource()
    found = {each.path: each.cluster for each in run(desk, desk.folder / "new", source=source)}
    assert sum(source.network.batches) == 3
    for path in new:
        (known,) = {p.cluster for p in read_assignments(str(desk.out)) if f"/{path.stem}/" in p.original}
        assert found[str(path)] == known


def test_nothing_is_fitted_or_filed_again(desk: Desk) -> None:
    before = {path: path.read_bytes() for path in desk.out.rglob("*") if path.is_file()}
    write_image(desk.folder / "new.png", (1, 2, 3))
    run(desk, desk.folder / "new.png")
    assert {path: path.read_bytes() for path in desk.out.rglob("*") if path.is_file()} == before


def test_a_clustering_of_another_feature_space_is_refused_before_anything_is_embedded(desk: Desk) -> None:
    source = FakeSource(FakeNetwork(), OTHER)
    with pytest.raises(ImgclusterError, match=r"made in the feature space fake.*give other"):
        run(desk, desk.photos, source=source)
    assert source.loads == 0


def test_a_table_is_written_on_demand(desk: Desk) -> None:
    table = desk.folder / "assigned.csv"
    found = assign([desk.photos], clusters=desk.out, source=FakeSource(), table=str(table))
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], int(row["cluster"])) for row in rows] == [(a.path, a.cluster) for a in found]


def test_a_clustering_of_two_networks_takes_images_that_both_have_seen(desk: Desk) -> None:
    desk.extract(source=FakeSource(space=OTHER))
    desk.cluster(3, network=("fake", "other"))
    found = {each.path: each.cluster for each in run(desk, desk.photos)}
    assert found == {p.path: p.cluster for p in read_assignments(str(desk.out))}


def test_without_a_clustering_it_says_what_to_run(desk: Desk) -> None:
    with pytest.raises(ImgclusterError, match="run `imgcluster cluster` first"):
        assign([desk.photos], clusters=desk.folder / "nowhere", source=FakeSource())
