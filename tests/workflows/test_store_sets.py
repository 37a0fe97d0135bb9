"""Every command that reads takes a set of stores, and answers as with the one they can be merged into."""

from __future__ import annotations

import itertools
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from clusterings import Desk, backdate, desk_with_photos, pictures
from fakes import FakeSource, write_image

from imgcluster.errors import ImgclusterError, StoreError, UsageError
from imgcluster.records import FeatureSpace
from imgcluster.store.merge import merge
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.assign import assign
from imgcluster.workflows.cluster import cluster
from imgcluster.workflows.duplicates import duplicates
from imgcluster.workflows.export import export
from imgcluster.workflows.extract import extract
from imgcluster.workflows.options import (
    AssignOptions,
    ClusterOptions,
    DuplicatesOptions,
    ExportOptions,
    ExtractOptions,
    ReadStoreOptions,
    SimilarOptions,
    SweepOptions,
)
from imgcluster.workflows.shard import Shard
from imgcluster.workflows.similar import similar
from imgcluster.workflows.store import info, verify
from imgcluster.workflows.sweep import sweep

SHARDS = 3
SPACE = FeatureSpace("vgg16", "00" * 32, 16)  # the stand-in goes by the name of a network that there is


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """18 pictures and a copy of one, extracted in three shards of which two know one picture, and merged."""
    desk = desk_with_photos(tmp_path_factory.mktemp("desk"))
    for number in range(1, SHARDS + 1):  # at least one for each
        names = (desk.photos / f"more{n}.png" for n in itertools.count())
        write_image(next(path for path in names if holds(number, path)), (90, 90, 90), noise=50 + number)
    shutil.copy(desk.photos / "red" / "red0.png", desk.photos / "copy of red0.png")
    backdate(desk.photos)
    (desk.folder / "stores").mkdir()
    results = [extract_shard(desk, number) for number in range(1, SHARDS + 1)]
    assert sum(result.found for result in results) == 19
    assert all(result.found == result.new + result.duplicates for result in results)
    extract_shard(desk, 1, [next(p for p in pictures(desk.photos) if not holds(1, p))], shard=None)
    merge(members(desk), str(desk.folder / "stores" / "merged"))
    return desk


def holds(number: int, path: Path) -> bool:
    return Shard(number, SHARDS).holds(str(path))


def extract_shard(desk: Desk, number: int, paths=None, **options):
    store = str(desk.folder / "stores" / f"features-{number}-of-{SHARDS}.h5")
    options = {"store": store, "shard": f"{number}/{SHARDS}"} | options
    return extract(paths or [desk.photos], ExtractOptions(**options), source=FakeSource(space=SPACE))


def members(desk: Desk) -> list[str]:
    return [
        str(desk.folder / "stores" / f"features-{number}-of-{SHARDS}.h5") for number in range(1, SHARDS + 1)
    ]


@pytest.fixture
def stores(sharded: Desk) -> tuple[str, str]:
    return str(sharded.folder / "stores" / "features-*-of-3.h5"), str(sharded.folder / "stores" / "merged")


def test_shards_hold_every_path_once(sharded: Desk, stores: tuple[str, str]) -> None:
    known = []
    for path in members(sharded):
        with FeatureStore(path) as store:
            known += [entry.path for entry in store.paths()]
    assert min(known) == str(sharded.photos / "blue" / "blue0.png")
    assert len(known) == len(set(known)) + 1 == 20  # one was given to the first by name


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "-1/3", "1/3/5", "a/b"])
def test_a_part_is_one_of_a_whole(text: str) -> None:
    with pytest.raises(UsageError, match=r"--shard: .* is no part of a whole"):
        ExtractOptions(shard=text)


def test_where_no_store_is_named_a_shard_has_its_own() -> None:
    assert ExtractOptions(shard="03/16").store_path == "features-3-of-16.h5"
    assert ExtractOptions(shard="3/16", store="features.h5").store_path == "features.h5"
    assert ExtractOptions().store_path == "features.h5"
    assert all(sum(Shard(i, 5).holds(f"/{n}.jpg") for i in range(1, 6)) == 1 for n in range(50))


def test_a_shard_leaves_what_the_store_knows_of_others(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path, 6)
    broken = [desk.photos / f"broken{number}.png" for number in range(6)]
    for path in broken:
        path.write_text("Dear diary")
    backdate(desk.photos)
    for number in (1, 2, 1):
        result = extract(
            [desk.photos],
            ExtractOptions(store=desk.store, shard=f"{number}/2"),
            source=FakeSource(space=SPACE),
        )
        assert result.found == result.new + result.cached + result.failed
        assert all(Shard(number, 2).holds(failure.path) for failure in result.failures)
    with FeatureStore(desk.store) as store:
        assert [failure.path for failure in store.failures()] == sorted(map(str, broken))


def test_a_shard_without_an_image_is_a_store_all_the_same(tmp_path: Path) -> None:
    image = write_image(tmp_path / "photos" / "a.png", (9, 9, 9))
    for number in range(1, 4):
        store = str(tmp_path / f"features-{number}-of-3.h5")
        extract([image], ExtractOptions(shard=f"{number}/3", store=store), source=FakeSource(space=SPACE))
    assert info(ReadStoreOptions(store=str(tmp_path / "features-*.h5"))).spaces[0].rows == 1


@pytest.mark.parametrize("paths", [(), ("red", "blue")])
def test_clusters_are_those_of_the_merged_store(
    sharded: Desk, stores: tuple[str, str], tmp_path: Path, paths: tuple[str, ...]
) -> None:
    tables = []
    for number, store in enumerate(stores):
        desk = replace(sharded, folder=tmp_path)
        out = tmp_path / str(number)
        settings = ClusterOptions(k=3, store=store, out=str(out), restarts=3, mode="copy")
        cluster([sharded.photos / path for path in paths], settings, progress=desk.progress)
        tables.append((out / "assignments.csv").read_text())
    assert tables[0] == tables[1]


def test_a_sweep_similar_images_and_duplicates_are_those_of_the_merged_store(
    sharded: Desk, stores: tuple[str, str]
) -> None:
    one, other = (sweep((), SweepOptions(store=store, restarts=2, k=(2, 3))) for store in stores)
    assert (one.images, one.sweep.suggestion) == (other.images, other.sweep.suggestion)
    np.testing.assert_allclose(
        [row.inertia for row in one.sweep.rows], [row.inertia for row in other.sweep.rows], rtol=1e-5
    )
    image = sharded.photos / "red" / "red1.png"
    found = [similar(image, SimilarOptions(store=store)) for store in stores]
    assert found[0] == found[1]
    assert len(found[0]) == 17
    groups = [duplicates((), DuplicatesOptions(store=store, threshold=0.9999)) for store in stores]
    assert groups[0] == groups[1]


def test_info_verify_and_export_see_the_whole_set(
    sharded: Desk, stores: tuple[str, str], tmp_path: Path
) -> None:
    one, other = (info(ReadStoreOptions(store=store)) for store in stores)
    assert (one.paths, one.failures, one.spaces) == (other.paths, other.failures, other.spaces)
    assert one.bytes == sum(map(os.path.getsize, members(sharded)))
    assert len(one.runs) == len(other.runs) == 4
    assert (
        verify(ReadStoreOptions(store=stores[0])).rows >= 19
    )  # the copy may be in another store than what it is one of
    archives = []
    for number, store in enumerate(stores):
        export(ExportOptions(store=store, out=str(tmp_path / f"{number}.npz")))
        archives.append((tmp_path / f"{number}.npz").read_bytes())
    assert archives[0] == archives[1]


def test_a_store_of_another_space_brings_images_without_an_embedding(sharded: Desk, tmp_path: Path) -> None:
    for path in members(sharded)[:2]:
        shutil.copy(path, tmp_path)
    source = FakeSource()
    source.space = replace(source.space, network="other")
    other = ExtractOptions(store=str(tmp_path / "features-3-of-3.h5"), shard="3/3")
    extract([sharded.photos], other, source=source)
    pattern = str(tmp_path / "*.h5")
    with pytest.raises(StoreError, match=r"has several feature spaces.*other.*vgg16"):
        sweep((), SweepOptions(store=pattern))
    assert (
        sweep((), SweepOptions(store=pattern, k=(2,), network="vgg16"), progress=sharded.progress).images > 5
    )
    assert sharded.progress.said("without an embedding in vgg16")


def test_a_damaged_row_names_its_store(sharded: Desk, tmp_path: Path) -> None:
    for path in members(sharded):
        shutil.copy(path, tmp_path)
    bad = tmp_path / "features-2-of-3.h5"
    with FeatureStore(bad) as store, FeatureStore(tmp_path / "features-1-of-3.h5") as first:
        keys = store.keys(SPACE.name)
        alone = keys[~first.contains(SPACE.name, keys)]  # of equal keys the first store's row is read
        row = store.read(SPACE.name, alone[-1:])[0].tobytes()
    data = bad.read_bytes()
    assert data.count(row) == 1
    bad.write_bytes(data.replace(row, b"\1" + row[1:]))
    with pytest.raises(StoreError, match=r"features-2-of-3.h5: 1 rows .* are damaged"):
        sweep((), SweepOptions(store=str(tmp_path / "*.h5"), k=(2,)))
    (problem,) = verify(ReadStoreOptions(store=str(tmp_path / "*.h5"))).problems
    assert str(bad) in problem


def test_assign_keeps_what_it_embeds_in_the_store_that_is_named(
    sharded: Desk, stores: tuple[str, str], tmp_path: Path
) -> None:
    out = str(tmp_path / "clusters")
    cluster((), ClusterOptions(k=3, store=stores[0], out=out, restarts=3, mode="copy"))
    new = write_image(tmp_path / "new" / "red.png", (200, 30, 30), noise=99)
    known = sharded.photos / "red" / "red2.png"
    with pytest.raises(UsageError, match="--write-store"):
        assign([new, known], AssignOptions(clusters=out))
    source = FakeSource(space=SPACE)
    options = AssignOptions(clusters=out, write_store=str(tmp_path / "new.h5"))
    for expected in (1, 0):
        result = assign([new, known], options, choose=lambda *_: source)
        assert result.new == expected
        assert len({image.cluster for image in result.images}) == 1
        assert len(result.images) == 2
    assert source.network.batches == [1]
    with FeatureStore(tmp_path / "new.h5") as store:
        assert store.find_space().rows == 1
    before = [Path(path).read_bytes() for path in members(sharded)]
    assert [Path(path).read_bytes() for path in members(sharded)] == before


def test_a_set_that_lacks_one_is_refused_by_every_command(sharded: Desk, tmp_path: Path) -> None:
    for path in members(sharded)[1:]:
        shutil.copy(path, tmp_path)
    pattern = str(tmp_path / "*.h5")
    for command in (
        lambda: info(ReadStoreOptions(store=pattern)),
        lambda: verify(ReadStoreOptions(store=pattern)),
        lambda: sweep((), SweepOptions(store=pattern)),
        lambda: similar(sharded.photos / "red" / "red1.png", SimilarOptions(store=pattern)),
        lambda: export(ExportOptions(store=pattern, out=str(tmp_path / "x.npz"))),
    ):
        with pytest.raises(ImgclusterError, match=r"lacks .*features-1-of-3.h5.*--shard 1/3.*--partial"):
            command()
    assert info(ReadStoreOptions(store=pattern, partial=True)).paths < 19
    assert sweep((), SweepOptions(store=pattern, partial=True, k=(2,))).images < 18
