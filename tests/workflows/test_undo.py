"""What `undo` promises: what `cluster` made goes, all else stays as it was before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from clusterings import IMAGES, Desk, pictures

from imgcluster.errors import ImgclusterError
from imgcluster.ownership import Ownership
from imgcluster.workflows.cluster import cluster
from imgcluster.workflows.options import ClusterOptions, ReportOptions, UndoOptions
from imgcluster.workflows.report import report
from imgcluster.workflows.undo import undo


def files_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("mode", ["hardlink", "symlink", "copy", "move"])
def test_everything_is_as_before(desk: Desk, mode: str) -> None:
    before = files_of(desk.folder)
    desk.cluster(mode=mode)
    done = undo(UndoOptions(clusters=desk.out, all=True))
    assert files_of(desk.folder) == before
    assert not desk.out.exists()
    assert done.returned == (IMAGES if mode == "move" else 0)
    assert done.left == ()


def test_files_of_others_stay_and_are_named(desk: Desk) -> None:
    desk.cluster()
    note = desk.out / "1" / "note.txt"
    note.write_text("mine")
    done = undo(UndoOptions(clusters=desk.out, all=True))
    assert done.left == (str(note),)
    assert files_of(desk.out) == {note: b"mine"}


def test_a_moved_image_goes_back_into_a_folder_that_is_gone(desk: Desk) -> None:
    before = {path.name for path in pictures(desk.photos)}
    desk.cluster(mode="move")
    shutil.rmtree(desk.photos)
    undo(UndoOptions(clusters=desk.out, all=True))
    assert {path.name for path in pictures(desk.photos)} == before


def test_nothing_happens_where_another_file_took_the_place_of_a_moved_image(desk: Desk) -> None:
    desk.cluster(mode="move")
    (desk.photos / "red" / "red0.png").write_text("another")
    before = files_of(desk.folder)
    with pytest.raises(ImgclusterError, match=r"red0\.png has taken the place"):
        undo(UndoOptions(clusters=desk.out, all=True))
    assert files_of(desk.folder) == before


def test_copies_whose_originals_are_gone_are_not_taken_away(desk: Desk) -> None:
    desk.cluster(mode="copy")
    (desk.photos / "red" / "red0.png").unlink()
    done = undo(UndoOptions(clusters=desk.out, all=True))
    assert [Path(path).name for path in done.left] == ["red0.png"]
    assert [path.name for path in pictures(desk.out)] == ["red0.png"]


def test_a_foreign_clustering_is_undone_only_below_folders_that_are_trusted(desk: Desk) -> None:
    before = files_of(desk.folder)
    desk.cluster(mode="move")
    clustered, stranger = files_of(desk.folder), Ownership()
    for force in (False, True):
        with pytest.raises(ImgclusterError, match="--trust"):
            undo(UndoOptions(clusters=desk.out, force=force), owner=stranger)
    trust = [str(desk.photos)]
    assert undo(UndoOptions(clusters=desk.out, trust=trust, dry_run=True), owner=stranger).returned == IMAGES
    assert files_of(desk.folder) == clustered
    assert undo(UndoOptions(clusters=desk.out, trust=trust), owner=stranger).returned == IMAGES
    assert files_of(desk.folder) == before


def test_a_foreign_clustering_is_replaced_and_reported_on_only_where_it_is_trusted(desk: Desk) -> None:
    desk.cluster(mode="move")
    clustered, stranger = files_of(desk.out), Ownership()
    options = {"store": str(desk.store), "out": str(desk.out), "k": 2}
    with pytest.raises(ImgclusterError, match="--trust"):
        cluster((), ClusterOptions(**options, force=True), owner=stranger)
    with pytest.raises(ImgclusterError, match="--trust"):
        report(
            ReportOptions(clusters=str(desk.out)), thumbnails=str(desk.folder / "thumbnails"), owner=stranger
        )
    assert files_of(desk.out) == clustered
    trust = (str(desk.photos),)
    cluster((), ClusterOptions(**options, trust=trust), owner=stranger)
    assert undo(UndoOptions(clusters=desk.out, all=True), owner=stranger).returned == IMAGES


def test_a_folder_that_is_not_ours_is_refused(desk: Desk) -> None:
    before = files_of(desk.photos)
    for folder in (desk.photos, desk.folder / "nowhere"):
        with pytest.raises(ImgclusterError, match="no clustering in"):
            undo(UndoOptions(clusters=folder))
    assert files_of(desk.photos) == before
