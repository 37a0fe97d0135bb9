"""Several stores read as one: what they answer is what the merged store answers."""

from __future__ import annotations

import os

import numpy as np
import pytest
from store_helpers import DIMENSION, OTHER, SPACE, fill, rows

from imgcluster.errors import FailureCode, StoreError
from imgcluster.records import PICTURE, Failure, PathEntry
from imgcluster.store.merge import merge
from imgcluster.store.store import FeatureStore
from imgcluster.store.store_set import find_stores, is_pattern, open_features


def everything(store):
    """All that a command can ask a store for."""
    spaces = {
        stored.name: (stored, keys := store.keys(stored.name), store.read(stored.name, keys))
        for stored in store.spaces
    }
    sources = {name: store.source(name, keys[::-3], 3000) for name, (_, keys, _) in spaces.items()}
    return {
        "spaces": store.spaces,
        "keys": {name: keys.tolist() for name, (_, keys, _) in spaces.items()},
        "rows": {name: found.tolist() for name, (_, _, found) in spaces.items()},
        "source keys": {name: source.keys.tolist() for name, source in sources.items()},
        "blocks": {name: np.concatenate([*source.blocks()]).tolist() for name, source in sources.items()},
        "contains": store.contains(SPACE.name, rows(0, 120)[0]).tolist(),
        "paths": store.paths(),
        "failures": store.failures(),
        "pictures": [part.tobytes() for part in store.pictures(rows(0, 120)[0])],
        "folders": store.scanned_folders(),
    }


@pytest.mark.parametrize(
    "shards",
    [
        [(0, 30, False)],
        [(0, 30, True), (30, 70, False)],
        [(20, 30, False), (0, 40, True), (10, 0, False), (25, 10, True)],
    ],
)
def test_a_set_answers_as_the_merged_store_does(tmp_path, shards):
    folder = tmp_path
    for number, (start, count, other) in enumerate(shards):
        path = folder / f"{number}.h5"
        fill(path, count, start=start, folder=folder / "photos")
        if other:
            fill(path, count // 2, start=start, space=OTHER)
        with FeatureStore(path, "a") as store:
            store.record_pictures({bytes(key): np.full((), number, PICTURE) for key in rows(start, 3)[0]})
            store.record_scanned([str(folder / "photos"), f"/{number}"])
            store.record_paths([PathEntry("/shared.jpg", number, 200, 1000 - number, bytes([number] * 32))])
            store.record_failures(
                [
                    Failure(f"/{number}.jpg", "cut short", FailureCode.DAMAGED, 4, 100),
                    Failure("/shared.jpg", "cut short", FailureCode.DAMAGED, 4, 100 + 150 * number),
                ]
            )
    merge(sorted(map(str, folder.glob("*.h5"))), str(folder / "merged"))
    with FeatureStore(folder / "merged") as merged, open_features(str(folder / "*.h5")) as found:
        assert everything(found) == everything(merged)


def test_a_set_is_read_where_it_lies_while_one_of_it_is_written(tmp_path):
    for number in range(3):
        fill(tmp_path / f"{number}.h5", 20, start=20 * number)
    with FeatureStore(tmp_path / "1.h5", "a") as writer, open_features(str(tmp_path / "*")) as store:
        writer.append(SPACE.name, *rows(100, 5))
        writer.commit()
        np.testing.assert_array_equal(store.read(SPACE.name, rows(0, 60)[0]), rows(0, 60)[1])
        with pytest.raises(StoreError, match="lacks the embeddings of 5 of 5 images"):
            store.read(SPACE.name, rows(100, 5)[0])


def test_what_lies_beside_stores_is_none_of_the_set(tmp_path):
    names = [
        "a.h5",
        "a.h5.lock",
        "a.h5.wal0",
        "a.h5.wal1",
        "a.h5.inflight",
        "a.h5.damaged2",
        "b.h5",
        "b.h5.x",
    ]
    for name in names:
        (tmp_path / name).touch()
    os.symlink("a.h5", tmp_path / "z.h5")
    found = [os.path.basename(path) for path in find_stores(str(tmp_path / "*"))]
    assert found == ["a.h5", "b.h5", "b.h5.x"]  # the last may be a store: it is not left out in silence


def test_a_name_that_a_file_has_is_no_pattern(tmp_path):
    path = str(tmp_path / "trip [2019]*.h5")
    fill(tmp_path / "features.h5", 3)
    os.rename(tmp_path / "features.h5", path)
    assert not is_pattern(path)
    with open_features(path) as store:
        assert store.path == path


@pytest.mark.parametrize(
    ("names", "lacks"),
    [
        (["features-1-of-2.h5", "features-2-of-2.h5"], None),
        (["features-1-of-3.h5", "features-3-of-3.h5"], "features-2-of-3.h5"),
        (["features-01-of-02.h5", "features-02-of-02.h5", "others.h5"], None),
        (["one/f-1-of-2.h5", "two/f-2-of-2.h5"], None),  # a folder for each machine
        (["one/f-1-of-2.h5", "one/f-2-of-2.h5", "two/f-2-of-2.h5"], "two/f-1-of-2.h5"),
        (["f-1-of-2.h5", "f-2-of-2.h5", "f-2-of-999999999.h5"], "f-1-of-999999999.h5"),
        (["a-1-of-1.h5", "b-0-of-1.h5"], "b-1-of-1.h5"),
    ],
)
def test_a_set_that_lacks_one_is_refused_unless_a_part_is_enough(tmp_path, names, lacks):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pattern = str(tmp_path / "**" / "*.h5")
    assert len(find_stores(pattern, partial=True)) == len(names)
    if lacks is None:
        assert len(find_stores(pattern)) == len(names)
    else:
        with pytest.raises(StoreError, match=f"lacks {tmp_path / lacks}.*--shard .*--partial"):
            find_stores(pattern)


def test_stores_that_keep_a_space_in_different_ways_are_no_set(tmp_path):
    fill(tmp_path / "a.h5", 3)
    with FeatureStore(tmp_path / "b.h5", "a") as store:
        store.add_space(SPACE, DIMENSION, "float16")
    with (
        pytest.raises(StoreError, match=r"b.h5: .* of float16, in .*a.h5 .* of float32"),
        open_features(str(tmp_path / "*.h5")),
    ):
        pass


def test_a_damaged_store_of_a_set_is_named(tmp_path):
    fill(tmp_path / "a.h5", 3)
    (tmp_path / "b.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:3000])
    with pytest.raises(StoreError, match=r"b.h5 is damaged"), open_features(str(tmp_path / "*.h5")):
        pass
    with pytest.raises(StoreError, match=r"no feature store matches .*x\*"), open_features(f"{tmp_path}/x*"):
        pass


@pytest.mark.parametrize("mode", ["a", "r"])
def test_a_set_is_never_written(tmp_path, mode):
    fill(tmp_path / "a.h5", 3)
    for name in ("*.h5", "[a-b].h5", "none*.h5"):
        with pytest.raises(StoreError, match="stands for a set of stores, which is only read"):
            FeatureStore(tmp_path / name, mode)
    assert [path.name for path in tmp_path.glob("*.h5")] == ["a.h5"]


@pytest.mark.parametrize("pattern", ["shards/*.h5", "*/features.h5"])
def test_a_link_among_the_matches_does_not_make_another_store_a_part_of_the_set(
    tmp_path, pattern, monkeypatch
):
    (tmp_path / "private").mkdir()
    fill(tmp_path / "private" / "features.h5", 3)
    (tmp_path / "album" / "shards").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "album")
    fill("shards/features.h5", 3)
    assert find_stores(pattern) == ("shards/features.h5",)
    os.symlink(tmp_path / "private" / "features.h5", "shards/other.h5")
    os.symlink(tmp_path / "private", "sub")
    with pytest.raises(
        StoreError, match=f"leads out of {tmp_path}/album.*, to {tmp_path}/private/features.h5"
    ):
        find_stores(pattern)
    os.mkfifo("shards/pipe.h5")
    os.unlink("shards/other.h5")
    os.unlink("sub")
    assert find_stores(pattern) == ("shards/features.h5",)
