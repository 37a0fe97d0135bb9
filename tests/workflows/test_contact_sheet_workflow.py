"""What `contact-sheet` promises."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
from clusterings import COLOURS, Desk
from fakes import write_image

from imgcluster.errors import ImgclusterError
from imgcluster.output.manifest import read_assignments
from imgcluster.records import SILENT, Progress
from imgcluster.workflows.contact_sheet import make_contact_sheet
from imgcluster.workflows.options import ContactSheetOptions


def draw(cluster: int, out: str, *, progress: Progress = SILENT, **options: Any) -> int:
    return make_contact_sheet(ContactSheetOptions(cluster=cluster, out=out, **options), progress=progress)


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.cluster()
    return desk


def colours_of_cluster(desk: Desk, cluster: int) -> tuple[int, int, int]:
    member = next(p for p in read_assignments(str(desk.out)) if p.cluster == cluster)
    return COLOURS[Path(member.original).parent.name]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_images_of_one_cluster_are_on_one_picture(desk: Desk, suffix: str) -> None:
    out = desk.folder / f"sheet{suffix}"
    assert draw(1, str(out), clusters=desk.out, columns=3) == 5
    sheet = cv2.imread(str(out))
    assert sheet.shape[0] < sheet.shape[1]
    for channel, value in enumerate(reversed(colours_of_cluster(desk, 1))):
        assert abs(int(sheet[80, 80, channel]) - value) < 25


def test_it_shows_so_many_as_are_asked_for(desk: Desk) -> None:
    out = str(desk.folder / "sheet.png")
    assert draw(0, out, clusters=desk.out, count=2) == 2


def test_an_image_that_is_gone_is_left_out_and_named(desk: Desk) -> None:
    desk.cluster(mode="symlink")
    gone = Path(next(p for p in read_assignments(str(desk.out)) if p.cluster == 0).original)
    gone.unlink()
    out = str(desk.folder / "sheet.png")
    assert draw(0, out, clusters=desk.out, progress=desk.progress) == 4
    assert desk.progress.said(str(gone))


def test_a_cluster_of_which_nothing_is_left_makes_no_picture(desk: Desk) -> None:
    desk.cluster(mode="symlink")
    shutil.rmtree(desk.photos)
    out = desk.folder / "sheet.png"
    with pytest.raises(ImgclusterError, match=r"none of the images of cluster 0 .* can be read"):
        draw(0, str(out), clusters=desk.out)
    assert not out.exists()


@pytest.mark.parametrize("mode", ["copy", "hardlink"])
def test_copies_and_hard_links_are_drawn_though_the_originals_are_gone(desk: Desk, mode: str) -> None:
    desk.cluster(mode=mode)
    shutil.rmtree(desk.photos)
    assert draw(0, str(desk.folder / "sheet.png"), clusters=desk.out) == 5


def test_moved_images_are_shown_from_where_they_are(desk: Desk) -> None:
    desk.cluster(mode="move")
    assert draw(0, str(desk.folder / "sheet.png"), clusters=desk.out) == 5


def test_what_cannot_be_drawn_is_an_error(desk: Desk) -> None:
    sheet = str(desk.folder / "sheet.png")
    with pytest.raises(ImgclusterError, match="no cluster is called 3: there are 0, 1, 2"):
        draw(3, sheet, clusters=desk.out)
    with pytest.raises(ImgclusterError, match="run `imgcluster cluster` first"):
        draw(0, sheet, clusters=desk.photos)
    with pytest.raises(ImgclusterError, match="txt"):
        draw(0, str(desk.folder / "sheet.txt"), clusters=desk.out)
    with pytest.raises(ImgclusterError, match="nowhere"):
        draw(0, str(desk.folder / "nowhere" / "sheet.png"), clusters=desk.out)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_sheet_replaces_an_earlier_sheet_and_no_photograph(desk: Desk, suffix: str) -> None:
    out = desk.folder / f"sheet{suffix}"
    draw(0, str(out), clusters=desk.out, count=1)
    first = out.read_bytes()
    draw(0, str(out), clusters=desk.out)
    assert out.read_bytes() != first
    photo = write_image(desk.folder / f"photo{suffix}", (1, 2, 3))
    before = photo.read_bytes()
    for target in (photo, Path(desk.store)):
        with pytest.raises(ImgclusterError, match="holds something else"):
            draw(0, str(target), clusters=desk.out)
    assert photo.read_bytes() == before
