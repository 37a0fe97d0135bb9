"""Thumbnails are made once, found by key, and whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from imgcluster.output.report_thumbnails import (
    claim_thumbnails,
    copy_thumbnails,
    missing_thumbnails,
    save_thumbnail,
    thumbnail_name,
)

if TYPE_CHECKING:
    from pathlib import Path


JPEG = b"\xff\xd8 a picture \xff\xd9"
A, B, C = "aa" + "0" * 62, "ab" + "1" * 62, "ff" + "2" * 62


def test_only_what_is_not_there_is_missing_each_once_in_order(tmp_path: Path) -> None:
    folder = os.fspath(tmp_path / "cache")
    assert missing_thumbnails(folder, [C, A, C, B]) == (C, A, B)
    save_thumbnail(folder, A, JPEG)
    assert missing_thumbnails(folder, [C, A, C, B]) == (C, B)


def test_a_half_written_thumbnail_counts_as_missing(tmp_path: Path) -> None:
    folder = os.fspath(tmp_path)
    save_thumbnail(folder, A, JPEG)
    name = os.path.join(folder, thumbnail_name(A))
    os.rename(name, f"{name}.1.part")
    assert missing_thumbnails(folder, [A]) == (A,)


@pytest.mark.parametrize("left", [b"", JPEG[:-3], bytes(len(JPEG)), b"\xff"])
def test_what_a_power_loss_left_of_a_thumbnail_is_made_again(tmp_path: Path, left: bytes) -> None:
    folder, target = os.fspath(tmp_path / "cache"), os.fspath(tmp_path / "report")
    save_thumbnail(folder, A, JPEG)
    (tmp_path / "cache" / thumbnail_name(A)).write_bytes(left)
    assert missing_thumbnails(folder, [A]) == (A,)
    assert copy_thumbnails(folder, target, {A: 0o666}) == frozenset()
    save_thumbnail(folder, A, JPEG)
    assert missing_thumbnails(folder, [A]) == ()


@pytest.mark.parametrize(
    ("umask", "mode", "expected"), [(0o022, 0o666, 0o644), (0o022, 0o640, 0o640), (0, 0o600, 0o600)]
)
def test_thumbnails_arrive_as_copies_that_are_no_more_public_than_the_image(
    tmp_path: Path, umask: int, mode: int, expected: int
) -> None:
    """S21; a link would let whoever may write to the report change what is kept."""
    source, target = os.fspath(tmp_path / "cache"), os.fspath(tmp_path / "report")
    before = os.umask(umask)
    try:
        for key in (A, B):
            save_thumbnail(source, key, JPEG)
        assert copy_thumbnails(source, target, {A: mode, C: 0o666}) == {A}
    finally:
        os.umask(before)
    kept, copy = (tmp_path / name / thumbnail_name(A) for name in ("cache", "report"))
    assert copy.read_bytes() == JPEG
    assert copy.stat().st_ino != kept.stat().st_ino
    assert (kept.stat().st_mode & 0o777, copy.stat().st_mode & 0o777) == (0o600, expected)
    assert missing_thumbnails(target, [A, B]) == (B,)


def test_what_others_could_have_put_there_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    claim_thumbnails(os.fspath(folder))
    save_thumbnail(os.fspath(folder), A, JPEG)
    (folder / "mine.txt").write_text("mine")
    claim_thumbnails(os.fspath(folder))
    assert missing_thumbnails(os.fspath(folder), [A]) == ()
    folder.chmod(0o777)
    claim_thumbnails(os.fspath(folder))
    assert missing_thumbnails(os.fspath(folder), [A]) == (A,)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "mine.txt").read_text() == "mine"
