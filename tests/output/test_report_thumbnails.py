"""Thumbnails are made once, found by key, and whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from imgcluster.images.encode import thumbnail_jpeg
from imgcluster.output.report_thumbnails import (
    Kept,
    claim_thumbnails,
    date_in_thumbnail,
    missing_thumbnails,
    save_thumbnail,
    thumbnail_name,
)

if TYPE_CHECKING:
    from pathlib import Path


JPEG = b"\xff\xd8\xff\xfe\0\x08taken  a picture \xff\xd9"
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
    folder = os.fspath(tmp_path / "cache")
    save_thumbnail(folder, A, JPEG)
    (tmp_path / "cache" / thumbnail_name(A)).write_bytes(left)
    assert missing_thumbnails(folder, [A]) == (A,)
    assert not Kept.of(folder, [(A, 0o666)]).small
    save_thumbnail(folder, A, JPEG)
    assert missing_thumbnails(folder, [A]) == ()


def test_a_thumbnail_is_no_more_public_than_any_of_its_images(tmp_path: Path) -> None:
    """S21."""
    folder = os.fspath(tmp_path / "cache")
    for key in (A, B):
        save_thumbnail(folder, key, JPEG)
    save_thumbnail(folder, A, JPEG, preview=True)
    kept = Kept.of(folder, [(A, 0o664), (A, 0o646), (C, 0o666)])
    assert (kept.small, kept.large) == ({A}, {A})
    assert [(file.name, file.data, file.mode) for file in kept.files()] == [
        (f"report/thumbnails/{thumbnail_name(A, preview=preview)}", JPEG, 0o644) for preview in (False, True)
    ]
    assert os.stat(os.path.join(folder, thumbnail_name(A))).st_mode & 0o777 == 0o600


def test_a_thumbnail_tells_when_the_picture_was_taken(tmp_path: Path) -> None:
    folder = os.fspath(tmp_path)
    pixels = np.zeros((90, 120, 3), np.uint8)
    save_thumbnail(folder, A, thumbnail_jpeg(pixels, remark="taken 2019-05-31T12:30:59"))
    save_thumbnail(folder, B, thumbnail_jpeg(pixels, remark="taken "))
    save_thumbnail(folder, C, thumbnail_jpeg(pixels))
    assert missing_thumbnails(folder, [A, B, C]) == (C,)  # an earlier version kept no time
    assert missing_thumbnails(folder, [C], preview=True) == (C,)
    assert [date_in_thumbnail(folder, key) for key in (A, B, C)] == ["2019-05-31 12:30", "", ""]


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
