"""What images look like stays with them through everything that is done to a store."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from store_helpers import SPACE, entry, fill, rows

from imgcluster.errors import StoreError
from imgcluster.records import PICTURE
from imgcluster.store.merge import merge
from imgcluster.store.prune import prune
from imgcluster.store.repair import repair, verify
from imgcluster.store.store import FeatureStore


def looks(number: int) -> np.ndarray:
    return np.array((number + 1, 7, 1, np.full((32, 32), number), np.full((8, 8, 2), 9)), PICTURE)


def add(path: str, first: int, count: int, folder: str | None = None) -> None:
    fill(path, count, start=first, folder=folder)
    keys = rows(first, count)[0]
    with FeatureStore(path, "a") as store:
        store.record_pictures({bytes(key): looks(first + at) for at, key in enumerate(keys)})


def seen(path: str, count: int) -> list[int]:
    """The numbers of the images of which it is known what they look like."""
    with FeatureStore(path) as store:
        pictures, known = store.pictures(rows(0, count)[0])
    numbers = np.flatnonzero(known).tolist()
    assert all((pictures[number] == looks(number)).all() for number in numbers)
    return numbers


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "features.h5")


def test_what_is_known_stays_and_what_is_not_is_told(path: str) -> None:
    add(path, 0, 70)
    add(path, 72, 3)
    with FeatureStore(path, "a") as store:
        store.record_pictures({bytes(rows(0, 1)[0][0]): looks(99)})
        store.record_pictures({})
    assert seen(path, 80) == [*range(70), 72, 73, 74]


def test_stores_that_are_joined_keep_it_once(path: str, tmp_path: Path) -> None:
    other, out = str(tmp_path / "other.h5"), str(tmp_path / "out.h5")
    add(path, 0, 3)
    add(other, 2, 3)
    merge([path, other], out)
    assert seen(out, 6) == [0, 1, 2, 3, 4]
    assert verify(out).problems == ()


def test_it_goes_with_the_image(path: str, tmp_path: Path) -> None:
    add(path, 0, 4, str(tmp_path))
    for number in (1, 2, 3):
        Path(entry(tmp_path, number).path).touch()
    prune(path)
    assert seen(path, 4) == [1, 2, 3]


def test_damage_is_found_and_the_rest_is_saved(path: str) -> None:
    add(path, 0, 3)
    with h5py.File(path, "r+") as file:
        damaged = file["pictures/looks"][1]
        damaged["width"] = 1000
        file["pictures/looks"][1] = damaged
    assert [line for line in verify(path).problems if "pictures: row 1 is damaged" in line]
    with pytest.raises(StoreError, match="rows of /pictures are damaged"):
        seen(path, 3)
    repair(path)
    assert seen(path, 3) == [0, 2]
    with FeatureStore(path) as store:
        assert store.find_space(name=SPACE.name).rows == 3


def test_a_group_that_is_not_as_we_make_it_is_damage(path: str, tmp_path: Path) -> None:
    add(path, 0, 3)
    with h5py.File(path, "r+") as file:
        del file["pictures/looks"]
        file["pictures/looks"] = h5py.ExternalLink(os.fspath(tmp_path / "elsewhere.h5"), "/x")
    with pytest.raises(StoreError, match="is damaged"):
        seen(path, 3)
    assert any("what pictures look like: unreadable" in line for line in verify(path).problems)
