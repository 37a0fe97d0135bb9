"""What `store prune` promises about images that `cluster --mode move` took elsewhere."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from clusterings import COLOURS, IMAGES, Desk, backdate, desk_with_photos, pictures
from fakes import FakeSource, write_image

from imgcluster.errors import ImgclusterError, StoreError
from imgcluster.output.life import new_tree
from imgcluster.workflows.options import PruneOptions, UndoOptions
from imgcluster.workflows.store import prune
from imgcluster.workflows.undo import undo


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = desk_with_photos(tmp_path / "desk")
    desk.extract()
    return desk


@pytest.mark.parametrize("where", ["clusters", "photos/clusters"])
def test_moved_images_keep_their_embeddings(desk: Desk, where: str) -> None:
    out = desk.folder / where
    desk.cluster(mode="move", out=out)
    done = prune(PruneOptions(store=desk.store))
    assert (done.rows, done.paths) == (0, 0)
    assert desk.cluster(2, out=out).images == IMAGES
    undo(UndoOptions(clusters=out, all=True))
    source = FakeSource()
    desk.extract(source=source)
    assert source.loads == 0


def test_a_clustering_elsewhere_has_to_be_named(desk: Desk, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere" / "sorted"
    desk.cluster(mode="move", out=out)
    with pytest.raises(StoreError, match="--clusters"):
        prune(PruneOptions(store=desk.store))
    with pytest.raises(ImgclusterError, match="no clustering in"):
        prune(PruneOptions(store=desk.store, clusters=[str(desk.photos)]))
    assert prune(PruneOptions(store=desk.store, clusters=[str(out)])).rows == 0


def test_a_moved_image_whose_old_path_is_taken_keeps_its_embedding_too(desk: Desk) -> None:
    desk.cluster(mode="move")
    write_image(desk.photos / "red" / "red0.png", COLOURS["green"], noise=99)
    backdate(desk.photos)
    desk.extract()
    desk.cluster(mode="move")
    write_image(desk.photos / "red" / "red0.png", COLOURS["green"], noise=98)
    backdate(desk.photos)
    desk.extract()
    pictures(desk.out / "2")[0].unlink()
    assert (prune(PruneOptions(store=desk.store)).rows, desk.cluster(dry_run=True).images) == (1, IMAGES + 1)


def test_an_unfinished_clustering_stops_it_for_images_may_lie_there(desk: Desk) -> None:
    left = Path(new_tree(str(desk.out)))
    left.mkdir()
    pictures(desk.photos)[0].rename(left / "moved.png")
    with pytest.raises(ImgclusterError, match="interrupted run"):
        prune(PruneOptions(store=desk.store))


@contextlib.contextmanager
def as_another_user(root: Path) -> Iterator[None]:
    """Have the block run by a user who may come as far as `root`, where these tests are root's."""
    for folder in (root, *root.parents):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        yield
    finally:
        os.seteuid(user)


def test_a_clustering_that_one_may_not_look_into_stops_it_where_anything_would_go(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.folder)
    desk.cluster(mode="move")
    desk.out.chmod(0)
    with as_another_user(desk.folder):
        with pytest.raises(
            ImgclusterError, match=rf"^{desk.out} may hold images that were moved .* --force$"
        ):
            prune(PruneOptions(store=desk.store, dry_run=True))
        assert prune(PruneOptions(store=desk.store, dry_run=True, force=True)).rows == IMAGES
    desk.out.chmod(0o755)
    undo(UndoOptions(clusters=desk.out, all=True))
    prune(PruneOptions(store=desk.store))
    desk.out.mkdir(mode=0)
    with as_another_user(desk.folder):
        assert prune(PruneOptions(store=desk.store, dry_run=True)).rows == 0


def test_what_would_be_forgotten_is_told_and_nothing_is_changed(desk: Desk) -> None:
    first = pictures(desk.photos)[0]
    first.unlink()
    before = Path(desk.store).read_bytes()
    told = prune(PruneOptions(store=desk.store, dry_run=True), progress=desk.progress)
    assert (told.paths, told.rows, told.bytes_after) == (1, 1, told.bytes_before)
    assert desk.progress.said(f"would forget 1 path that lead nowhere, the first: {first}")
    assert Path(desk.store).read_bytes() == before


def test_what_is_forgotten_is_told(desk: Desk) -> None:
    first = pictures(desk.photos)[0]
    first.unlink()
    assert prune(PruneOptions(store=desk.store), progress=desk.progress).paths == 1
    assert desk.progress.said(str(first))


def test_a_damaged_clustering_stops_it(desk: Desk) -> None:
    desk.cluster(mode="move")
    (desk.out / "assignments.csv").write_text("nonsense\n1\n")
    with pytest.raises(ImgclusterError, match="damaged"):
        prune(PruneOptions(store=desk.store, force=True))
