"""The report of `duplicates` shows each group side by side, and is a folder that is known for ours."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from clusterings import Desk, desk_with_photos
from fakes import FakeSource

from imgcluster.analysis.duplicates import Copy, DuplicateFile, DuplicateGroup
from imgcluster.errors import ImgclusterError
from imgcluster.output.undo import undo
from imgcluster.workflows.duplicates import DuplicatesResult, duplicates
from imgcluster.workflows.duplicates_report import report_duplicates
from imgcluster.workflows.extract import ExtractOptions, extract
from imgcluster.workflows.options import DuplicatesOptions, SweepOptions
from imgcluster.workflows.sweep import sweep


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return desk_with_photos(tmp_path)


def report(desk: Desk, result: DuplicatesResult, out: str = "seen") -> Path:
    page = report_duplicates(
        result, str(desk.folder / out), thumbnails=str(desk.folder / "cache"), progress=desk.progress
    )
    return Path(page)


def test_each_group_stands_side_by_side_and_the_pages_are_made_again(desk: Desk) -> None:
    shutil.copytree(desk.photos / "red", desk.photos / "<b>copies")
    desk.extract()
    result = duplicates((), DuplicatesOptions(store=desk.store, threshold=1))
    for _ in range(2):
        page = report(desk, result)
    text = page.read_text()
    assert text.count("<section>") == len(result.groups) == 5
    assert text.count('<span class="mark"><bdi>equal</bdi>') == 5
    assert "default-src 'none'" in text
    assert "<b>" not in text
    assert len(list((desk.folder / "seen" / "report" / "thumbnails").rglob("*.jpg"))) == 5
    everything = [desk.folder / "seen", desk.photos]
    assert extract(everything, ExtractOptions(store=desk.store), source=FakeSource()).found == 20
    undo(str(desk.folder / "seen"), progress=desk.progress)
    assert not page.parent.exists()


def test_what_is_not_ours_is_not_replaced(desk: Desk) -> None:
    (desk.folder / "seen").mkdir()
    (desk.folder / "seen" / "mine.txt").write_text("mine")
    with pytest.raises(ImgclusterError, match="was not made by imgcluster"):
        report(desk, DuplicatesResult(0, (), ()))
    copy = DuplicateFile(str(desk.photos / "a.jpg"), bytes(32), 1, 1, 1)
    group = DuplicateGroup(copy, (Copy(copy, "equal", 1, 0),))
    with pytest.raises(ImgclusterError, match="holds images"):
        report(desk, DuplicatesResult(2, (group,), ()), "photos")


def test_many_groups_have_pages(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgcluster.output.duplicates_pages.PAGE_SIZE", 5)
    monkeypatch.setattr("imgcluster.output.duplicates_pages.MOST_SHOWN", 4)
    files = [DuplicateFile(f"/gone/{number}.jpg", bytes([number]) * 32, 1, 1, 1) for number in range(20)]
    groups = [DuplicateGroup(files[n], (Copy(files[n + 1], "same picture", 0.9, 2),)) for n in (0, 2, 4)]
    groups.append(DuplicateGroup(files[6], tuple(Copy(file, "equal", 1, 0) for file in files[7:])))
    page = report(desk, DuplicatesResult(20, tuple(groups), ()))
    pages = [page, *(page.parent / "report" / f"page-{number}.html" for number in (2, 3))]
    assert [each.read_text().count("<section>") for each in pages] == [2, 1, 1]
    assert 'href="../report.html"' in pages[1].read_text()
    assert 'href="../report/page-3.html"' in pages[1].read_text()
    assert "1–4 of 14 files" in pages[2].read_text()


def test_a_thumbnail_is_no_more_public_than_its_images(desk: Desk) -> None:
    image = next(desk.photos.rglob("*.jpg"), None) or next(desk.photos.rglob("*.png"))
    image.chmod(0o600)
    key = hashlib.sha256(image.read_bytes()).digest()
    file = DuplicateFile(str(image), key, 1, 1, 1)
    page = report(desk, DuplicatesResult(2, (DuplicateGroup(file, (Copy(file, "equal", 1, 0),)),), ()))
    (thumbnail,) = (page.parent / "report" / "thumbnails").rglob("*.jpg")
    assert thumbnail.stat().st_mode & 0o777 == 0o600


def test_a_mount_point_is_refused_before_the_long_work(desk: Desk) -> None:
    if not os.path.ismount("/proc"):
        pytest.skip("no mount point is known")
    for command, options in (
        (duplicates, DuplicatesOptions(store=desk.store, report=True, out="/proc")),
        (sweep, SweepOptions(store=desk.store, report=True, out="/proc")),
    ):
        with pytest.raises(ImgclusterError, match=r"is a mount point, .*name a folder in it"):
            command((), options)
