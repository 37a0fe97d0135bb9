"""Thumbnails are made once, found by key, and whole."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from imgcluster.output.report_thumbnails import (
    link_thumbnails,
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
    assert link_thumbnails(folder, target, [A]) == frozenset()
    save_thumbnail(folder, A, JPEG)
    assert missing_thumbnails(folder, [A]) == ()


def test_thumbnails_that_are_wanted_arrive_as_links(tmp_path: Path) -> None:
    source, target = os.fspath(tmp_path / "cache"), os.fspath(tmp_path / "report")
    for key in (A, B):
        save_thumbnail(source, key, JPEG)
    assert link_thumbnails(source, target, [A, C, A]) == {A}
    assert os.path.samefile(os.path.join(source, thumbnail_name(A)), os.path.join(target, thumbnail_name(A)))
    assert missing_thumbnails(target, [A, B]) == (B,)


def test_where_links_are_not_possible_thumbnails_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "other file system")

    source, target = os.fspath(tmp_path / "cache"), os.fspath(tmp_path / "report")
    save_thumbnail(source, A, JPEG)
    monkeypatch.setattr(os, "link", refuse)
    assert link_thumbnails(source, target, [A]) == {A}
    assert (tmp_path / "report" / thumbnail_name(A)).read_bytes() == JPEG
