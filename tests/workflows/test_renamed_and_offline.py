"""Folders that were renamed are found again, and folders that are not there now cost nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from clusterings import IMAGES, Desk, contents, pictures
from fakes import FakeNetwork, FakeSource

from imgcluster.errors import ImgclusterError, StoreError
from imgcluster.store.prune import prune
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.extract import ExtractOptions, extract


def paths_in(desk: Desk) -> set[str]:
    with FeatureStore(desk.store) as store:
        return {entry.path for entry in store.paths()}


@pytest.mark.parametrize("times", [1, 2])
def test_after_a_folder_was_renamed_nothing_is_computed_again_and_nothing_is_missing(
    desk: Desk, times: int
) -> None:
    """Report C5."""
    before = contents(pictures(desk.photos))
    folder = desk.photos
    for number in range(times):
        folder = Path(shutil.move(folder, desk.folder / f"renamed{number}"))
        source = FakeSource()
        result = extract([folder], ExtractOptions(store=desk.store), source=source)
        assert (result.cached, result.new, source.loads) == (IMAGES, 0, 0)
    clustered = desk.cluster()
    assert (clustered.images, clustered.missing) == (IMAGES, 0)
    assert desk.progress.notes == []
    assert contents(pictures(desk.out)) == before


def test_images_that_are_nowhere_are_still_told_of_after_others_were_renamed(desk: Desk) -> None:
    lost = desk.photos / "red" / "red0.png"
    lost.unlink()
    shutil.move(desk.photos, desk.folder / "renamed")
    desk.extract(desk.folder / "renamed")
    assert desk.cluster().missing == 1
    assert desk.progress.said(str(lost))


@pytest.mark.parametrize("photos", ["empty", "missing", "empty files"])
def test_an_offline_folder_loses_nothing_however_often_it_is_extracted(desk: Desk, photos: str) -> None:
    """Report C4."""
    known = paths_in(desk)
    elsewhere = Path(shutil.move(desk.photos, desk.folder / "drive"))
    if photos != "missing":
        desk.photos.mkdir()
    if photos == "empty files":
        for path in pictures(elsewhere):
            target = desk.photos / path.relative_to(elsewhere)
            target.parent.mkdir(exist_ok=True)
            target.touch()
    for _ in range(2):
        with pytest.raises(ImgclusterError):
            desk.extract()
    assert paths_in(desk) == known
    if photos == "empty files":
        assert prune(desk.store).rows == 0
    else:
        with pytest.raises(StoreError, match="--force"):
            prune(desk.store)
    shutil.rmtree(desk.photos, ignore_errors=True)
    shutil.move(elsewhere, desk.photos)
    source = FakeSource(FakeNetwork())
    desk.extract(source=source)
    assert source.network.batches == []
    assert desk.cluster().images == IMAGES


def test_a_copy_of_a_picture_that_was_taken_away_is_not_missed(desk: Desk) -> None:
    copy = shutil.copy(desk.photos / "red" / "red0.png", desk.photos / "copy.png")
    os.utime(copy, ns=(10**18, 10**18))
    desk.extract()
    assert desk.cluster().images == IMAGES + 1
    os.unlink(copy)
    again = desk.cluster()
    assert (again.images, again.missing) == (IMAGES, 0)
