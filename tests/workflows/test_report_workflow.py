"""What `report` promises of a clustering that `cluster` made."""

from __future__ import annotations

import hashlib
import html
import os
import re
import shlex
import shutil
import signal
import struct
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from clusterings import IMAGES, Desk, Notes, desk_with_photos, pictures
from fakes import FakeSource, write_image
from forks import end_of, fork
from PIL import Image

from imgcluster.errors import ImgclusterError, MissingExtra, StoreError, UnreadableImage
from imgcluster.workflows.extract import ExtractOptions, extract
from imgcluster.workflows.known_images import decode_known
from imgcluster.workflows.options import ReportOptions, UndoOptions
from imgcluster.workflows.report import ReportResult, report
from imgcluster.workflows.undo import undo


@pytest.fixture
def desk(desk: Desk) -> Desk:
    desk.cluster()
    return desk


def run(desk: Desk, out: Path | None = None, labels: str | None = None) -> ReportResult:
    thumbnails = str(desk.folder / "thumbnails")
    return report(
        ReportOptions(clusters=str(out or desk.out), labels=labels),
        thumbnails=thumbnails,
        progress=desk.progress,
    )


def all_text(out: Path) -> str:
    return "".join(
        path.read_text() for path in [out / "report.html", *sorted((out / "report").glob("*.html"))]
    )


def test_the_store_may_lie_elsewhere_by_now(desk: Desk) -> None:
    elsewhere = desk.folder / "elsewhere.h5"
    Path(desk.store).rename(elsewhere)
    with pytest.raises(StoreError, match="--store"):
        run(desk)
    again = report(
        ReportOptions(clusters=str(desk.out), store=str(elsewhere)),
        thumbnails=str(desk.folder / "thumbnails"),
        progress=desk.progress,
    )
    assert again.images == IMAGES


def test_there_is_a_page_to_open_on_which_every_image_is_found(desk: Desk) -> None:
    result = run(desk)
    assert result.page == str(desk.out / "report.html")
    assert (result.images, result.thumbnails_made) == (IMAGES, IMAGES)
    text = all_text(desk.out)
    assert all(f"red{number}.png" in text for number in range(5))


def test_a_second_report_with_another_k_makes_no_thumbnails(desk: Desk) -> None:
    run(desk)
    desk.cluster(2)
    assert run(desk).thumbnails_made == 0
    desk.cluster(4, out=desk.folder / "others")
    assert run(desk, desk.folder / "others").thumbnails_made == 0


def test_a_report_can_be_written_again_and_is_replaced_by_the_next_clustering(desk: Desk) -> None:
    run(desk)
    run(desk)
    desk.cluster(2)
    assert not (desk.out / "report.html").exists()
    assert not (desk.out / "report").exists()


def test_undo_takes_the_report_away(desk: Desk) -> None:
    run(desk)
    undo(UndoOptions(clusters=desk.out, all=True))
    assert not desk.out.exists()


def test_a_foreign_file_inside_the_report_survives_all_of_that(desk: Desk) -> None:
    run(desk)
    note = desk.out / "report" / "note.txt"
    note.write_text("mine")
    run(desk)
    assert note.read_text() == "mine"
    with pytest.raises(ImgclusterError, match=r"note\.txt"):
        desk.cluster(2)
    desk.cluster(2, force=True)
    assert note.read_text() == "mine"
    run(desk)
    undo(UndoOptions(clusters=desk.out, all=True))
    assert [path for path in desk.out.rglob("*") if path.is_file()] == [note]


@dataclass
class AtStage(Notes):
    """Does something when a stage begins."""

    stage: str = ""
    what: Callable[[], object] = lambda: None

    def begin(self, what: str, total: int | None = None) -> None:
        if what == self.stage:
            self.what()


STAGES = ("drawing the map", "making thumbnails", "writing the report")


@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_during_a_report_is_in_nobodys_way(desk: Desk, stage: str) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    desk.progress = AtStage(stage=stage, what=stop)
    with pytest.raises(KeyboardInterrupt):
        run(desk)
    desk.progress = Notes()
    assert not list(desk.out.glob("report*"))
    desk.cluster(2)
    run(desk)
    undo(UndoOptions(clusters=desk.out, all=True))
    assert not desk.out.exists()


@pytest.mark.parametrize("stage", STAGES)
def test_a_report_that_is_killed_is_in_nobodys_way(desk: Desk, stage: str) -> None:
    dying = replace(desk, progress=AtStage(stage=stage, what=lambda: os.kill(os.getpid(), signal.SIGKILL)))
    assert end_of(fork(lambda: run(dying))) == -signal.SIGKILL
    run(desk)
    desk.cluster(2)
    undo(UndoOptions(clusters=desk.out, all=True))
    assert not desk.out.exists()


def test_a_clustering_that_is_replaced_during_its_report_stays_whole(desk: Desk) -> None:
    desk.progress = AtStage(stage="drawing the map", what=lambda: desk.cluster(2))
    with pytest.raises(ImgclusterError, match="was clustered again meanwhile"):
        run(desk)
    desk.progress = Notes()
    assert len(list(desk.out.glob("[0-9]/*"))) == IMAGES
    run(desk)
    desk.cluster(4)
    undo(UndoOptions(clusters=desk.out, all=True))
    assert not desk.out.exists()


def test_labels_bring_a_table_of_the_mistakes(desk: Desk) -> None:
    run(desk)
    plain = all_text(desk.out)
    run(desk, labels="folders")
    labelled = all_text(desk.out)
    assert "accuracy" not in plain.lower()
    assert "accuracy" in labelled.lower()


def test_moved_images_are_shown_where_they_are(desk: Desk) -> None:
    desk.cluster(mode="move")
    assert run(desk).thumbnails_made == IMAGES
    assert not any("cannot be read" in note for note in desk.progress.notes)


def test_one_image_is_enough(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    desk.extract(desk.photos / "red" / "red0.png")
    desk.cluster(1)
    assert run(desk).images == 1


def test_the_report_does_not_depend_on_the_images_being_there(desk: Desk) -> None:
    desk.cluster(mode="symlink")
    (desk.photos / "red" / "red0.png").unlink()
    result = run(desk)
    assert (result.images, result.thumbnails_made) == (IMAGES, IMAGES - 1)
    assert desk.progress.said("cannot be read any more: 1 image")


@pytest.mark.parametrize("mode", ["copy", "hardlink"])
def test_a_report_of_copies_or_hard_links_outlives_the_originals(desk: Desk, mode: str) -> None:
    desk.cluster(mode=mode)
    shutil.rmtree(desk.photos)
    assert run(desk).thumbnails_made == IMAGES
    links = re.findall(r'href="([^"]+\.png)"', (desk.out / "report" / "cluster-0.html").read_text())
    assert len(links) == 5
    assert all((desk.out / "report" / link).is_file() for link in links)


def test_a_file_that_was_changed_lends_its_picture_to_no_other(desk: Desk) -> None:
    desk.cluster(mode="symlink")
    changed = desk.photos / "red" / "red0.png"
    changed.write_bytes((desk.photos / "blue" / "blue0.png").read_bytes())
    assert run(desk).thumbnails_made == IMAGES - 1


def test_what_extract_took_with_leave_has_a_thumbnail(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    whole = write_image(desk.photos / "cut.jpg", (9, 200, 90), side=200).read_bytes()
    (desk.photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    options = ExtractOptions(store=desk.store, accept_truncated=True)
    extract([desk.photos], options, source=FakeSource())
    desk.cluster()
    assert run(desk).thumbnails_made == IMAGES + 1


def test_a_picture_has_the_date_when_it_was_taken_and_else_that_of_its_file(tmp_path: Path) -> None:
    desk = desk_with_photos(tmp_path)
    exif = Image.Exif()
    exif[306] = "2012:07:30 09:05:59"
    Image.new("RGB", (64, 48), (9, 9, 99)).save(desk.photos / "dated.jpg", exif=exif)
    desk.extract()
    desk.cluster()
    for _ in range(2):  # made, and kept from before
        run(desk)
        columns = (desk.out / "report" / "assets" / "columns.js").read_text()
        dates = re.search(r'"date":\[(.*?)\]', columns)
        assert dates is not None
        told = [date.strip('"') for date in dates[1].split(",")]
        assert sorted(told) == [time.strftime("%Y-%m-%d %H:%M", time.localtime(10**9))] * IMAGES + [
            "2012-07-30 09:05"
        ]


def test_the_command_that_makes_it_again_has_what_was_chosen(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.folder)
    shutil.copytree(desk.photos, "shown")
    desk.extract(desk.photos, desk.folder / "shown")
    chosen = {"restarts": 7, "seed": 3, "pca": 2, "mode": "copy", "examples": "shown", "partial": True}
    desk.cluster(3, desk.photos, **chosen)
    run(desk)
    found = re.search(r'data-command="(.*?)"', (desk.out / "report.html").read_text())
    assert found is not None
    command = shlex.split(html.unescape(found[1]))
    assert command[:3] == ["imgcluster", "cluster", str(desk.photos)]
    command.remove("--partial")
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert options == {
        "--store": desk.store, "--out": str(desk.out), "--restarts": "7", "--seed": "3", "--pca": "2",
        "--mode": "copy", "--examples": str(desk.folder / "shown"),
    }  # fmt: skip


def test_it_tells_what_was_left_out_and_how_it_was_made(desk: Desk) -> None:
    (desk.photos / "red" / "red0.png").unlink()
    desk.cluster(restarts=7)
    run(desk)
    text = (desk.out / "report.html").read_text()
    assert "<b>1</b> no longer on disk, left out" in text
    assert "<dt>restarts</dt><dd><bdi>7</bdi></dd>" in text
    assert "the whole store" in text
    desk.cluster(2, desk.photos / "blue")
    run(desk)
    text = (desk.out / "report.html").read_text()
    assert "no longer on disk" not in text
    assert f"<bdi>{desk.photos / 'blue'}</bdi>" in text


@pytest.mark.parametrize("library", ["jinja2", "bokeh"])
def test_a_missing_library_shows_before_the_long_work(
    desk: Desk, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"'\.\[report\]'"):
        run(desk)
    assert not (desk.folder / "thumbnails").exists()


def test_without_a_clustering_it_says_what_to_run(desk: Desk) -> None:
    with pytest.raises(ImgclusterError, match="run `imgcluster cluster` first"):
        run(desk, desk.photos)


@pytest.mark.parametrize("how", ["a file", "below a file", "another user's"])
def test_a_cache_that_cannot_be_used_stops_no_report(desk: Desk, how: str) -> None:
    """The thumbnails are of this run alone, and a line says so."""
    cache = desk.folder / "cache"
    if how == "another user's":
        if os.geteuid() != 0:
            pytest.skip("only root can give a folder to another user")
        cache.mkdir()
        os.chown(cache, 12345, 12345)
    else:
        cache.write_text("a file")
    thumbnails = str(cache / "thumbnails" if how == "below a file" else cache)
    page = report(ReportOptions(clusters=str(desk.out)), thumbnails=thumbnails, progress=desk.progress)
    assert page.images == IMAGES
    assert desk.progress.said(f"cannot keep thumbnails in {thumbnails}")
    assert len(list((desk.out / "report" / "thumbnails").rglob("*.jpg"))) == IMAGES
    assert not desk.progress.said("cannot be read")
    assert cache.is_file() or not list(cache.iterdir())


def test_a_thumbnail_is_no_more_public_than_its_image(desk: Desk) -> None:
    """S21."""
    for number, path in enumerate(pictures(desk.photos)):
        path.chmod(0o644 if number % 2 else 0o600)
    desk.cluster(mode="copy")
    report(
        ReportOptions(clusters=str(desk.out)),
        thumbnails=str(desk.folder / "thumbnails"),
        progress=desk.progress,
    )
    modes = [path.stat().st_mode & 0o777 for path in (desk.out / "report" / "thumbnails").rglob("*.jpg")]
    assert sorted(modes) == [0o600] * ((IMAGES + 1) // 2) + [0o644] * (IMAGES // 2)
    kept = (desk.folder / "thumbnails").rglob("*.jpg")
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


def test_the_limit_of_pixels_holds_where_images_are_shown(desk: Desk) -> None:
    """S17: a file of half a megabyte that claims 600 million pixels."""
    huge = desk.photos / "huge.png"
    rows = zlib.compress(bytes(600_000_000 // 8 + 600_000), 1)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1000, 600_000, 1, 0, 0, 0, 0)
    huge.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    key = hashlib.sha256(huge.read_bytes()).digest()
    with pytest.raises(UnreadableImage, match="more than the limit of 500,000,000"):
        decode_known(key, [str(huge)], 160)
