"""A scan finds every real image once, and says what it left out."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from imgcluster.errors import ImgclusterError, UsageError
from imgcluster.images.exclusion import Exclusion
from imgcluster.images.find import FoundImages, ScanSettings, find_images
from imgcluster.records import CLUSTERING_MARKER, SilentProgress, mtime_ns

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = [
    *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "bmp", "dib", "tif", "tiff", "gif"),
    *(
        "avif",
        "avifs",
        "jp2",
        "j2k",
        "jpx",
        "pbm",
        "pgm",
        "ppm",
        "pnm",
        "heic",
        "heif",
        "hif",
        "heics",
        "avci",
    ),
]


class Listening(SilentProgress):
    def __init__(self) -> None:
        self.steps = 0
        self.notes: list[str] = []

    def advance(self, steps: int = 1, *, failed: int = 0) -> None:
        self.steps += steps + failed

    def note(self, message: str) -> None:
        self.notes.append(message)


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def found(*roots: Path | str, exclude: tuple[str, ...] = (), **settings: Any) -> FoundImages:
    settings["exclusion"] = Exclusion(exclude)
    return find_images([str(root) for root in roots], ScanSettings(**settings), progress=SilentProgress())


def names(result: FoundImages, folder: Path) -> list[str]:
    return [os.path.relpath(file.path, folder) for file in result.files]


def reasons(result: FoundImages, folder: Path) -> dict[str, str]:
    return {os.path.relpath(failure.path, folder): failure.reason for failure in result.failures}


def test_images_are_found_in_the_order_of_their_bytes(tmp_path):
    make(
        tmp_path, "b.jpg", "a/z.png", "a/b/c.webp", "B.jpg", "ä.jpg", "a.jpg", "notes.txt", "video.mp4", "jpg"
    )
    assert names(found(tmp_path), tmp_path) == ["B.jpg", "a.jpg", "a/b/c.webp", "a/z.png", "b.jpg", "ä.jpg"]


def test_size_and_time_come_with_the_path(tmp_path):
    make(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_700_000_000_123_456_789))
    (file,) = found(tmp_path).files
    assert (file.path, file.size, file.mtime_ns) == (str(tmp_path / "a.jpg"), 5, 1_700_000_000_123_456_789)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_suffix_counts_in_any_case(tmp_path, suffix):
    make(tmp_path, f"a.{suffix}", f"b.{suffix.upper()}", f"c.{suffix.title()}")
    assert len(found(tmp_path).files) == 3


def test_names_that_are_no_text_survive(tmp_path):
    for name in (
        b"caf\xe9.jpg",
        b"line\nbreak.jpg",
        "\N{RIGHT-TO-LEFT MARK}x.jpg".encode(),
        b"-rf.jpg",
        b" .jpg",
    ):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
            pass
    result = found(tmp_path)
    assert {os.path.basename(os.fsencode(file.path)) for file in result.files} == {
        b"caf\xe9.jpg",
        b"line\nbreak.jpg",
        "\N{RIGHT-TO-LEFT MARK}x.jpg".encode(),
        b"-rf.jpg",
        b" .jpg",
    }
    assert [os.fsencode(file.path) for file in result.files] == sorted(
        os.fsencode(f.path) for f in result.files
    )


def test_what_systems_and_programs_leave_behind_is_counted_and_left_out(tmp_path):
    make(
        tmp_path,
        "a.jpg",
        "._a.jpg",
        ".hidden.jpg",
        ".thumbnails/x.jpg",
        "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg",
        "picasa.ini",
        "Icon\r",
        "Thumbs.db",
        "__MACOSX/._a.jpg",
        "$RECYCLE.BIN/b.jpg",
        "System Volume Information/c.jpg",
    )
    result = found(tmp_path)
    assert names(result, tmp_path) == ["a.jpg"]
    assert result.hidden == 10
    assert result.failures == ()


def test_a_hidden_folder_that_is_named_is_searched(tmp_path):
    make(tmp_path, ".photos/a.jpg")
    assert len(found(tmp_path / ".photos").files) == 1


def test_folders_that_cluster_made_are_left_out(tmp_path):
    make(tmp_path, "a.jpg", f"clusters/{CLUSTERING_MARKER}", "clusters/0/a.jpg", "clusters/1/b.jpg")
    result = found(tmp_path)
    assert names(result, tmp_path) == ["a.jpg"]
    assert result.clusterings == 1
    assert names(found(tmp_path / "clusters" / "0"), tmp_path) == ["clusters/0/a.jpg"]


def test_a_folder_named_like_an_image_is_a_folder(tmp_path):
    make(tmp_path, "x.jpg/a.png")
    result = found(tmp_path)
    assert names(result, tmp_path) == ["x.jpg/a.png"]
    assert result.failures == ()


def test_pipes_and_sockets_with_an_image_s_name_are_failures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe.jpg")
    os.mkfifo("pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.png")
        assert reasons(found(tmp_path), tmp_path) == {
            "pipe.jpg": "a named pipe, not a file",
            "socket.png": "a socket, not a file",
        }


def test_a_link_to_the_folder_above_ends_the_walk(tmp_path):
    make(tmp_path, "photos/a.jpg", "photos/sub/b.jpg")
    (tmp_path / "photos" / "loop").symlink_to(tmp_path / "photos")
    (tmp_path / "photos" / "sub" / "up").symlink_to("..")
    result = found(tmp_path / "photos")
    assert names(result, tmp_path) == ["photos/a.jpg", "photos/sub/b.jpg"]
    assert result.failures == ()


def test_a_real_path_comes_before_a_link_to_it(tmp_path):
    make(tmp_path, "z/real/a.jpg", "z/b.jpg")
    (tmp_path / "a_link").symlink_to("z/real")
    (tmp_path / "a.jpg").symlink_to("z/b.jpg")
    assert names(found(tmp_path), tmp_path) == ["z/b.jpg", "z/real/a.jpg"]


def test_two_links_to_one_file_are_one_image(tmp_path):
    make(tmp_path, "outside/a.jpg")
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "one.jpg").symlink_to(tmp_path / "outside" / "a.jpg")
    (photos / "two.jpg").symlink_to(tmp_path / "outside" / "a.jpg")
    assert names(found(photos, follow_links=True), photos) == ["one.jpg"]


def test_hard_links_are_files_of_their_own(tmp_path):
    make(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").hardlink_to(tmp_path / "a.jpg")
    assert names(found(tmp_path), tmp_path) == ["a.jpg", "b.jpg"]


def test_links_that_lead_nowhere_are_failures(tmp_path):
    (tmp_path / "dangling.jpg").symlink_to("nothing.jpg")
    (tmp_path / "circle.jpg").symlink_to("circle.jpg")
    (tmp_path / "dangling.txt").symlink_to("nothing.txt")
    assert reasons(found(tmp_path), tmp_path) == {
        "circle.jpg": "a symbolic link that leads in a circle",
        "dangling.jpg": "a symbolic link to nothing",
    }


def test_links_lead_out_of_the_folder_only_when_asked(tmp_path):
    make(tmp_path, "outside/a.jpg", "outside/deep/b.jpg", "photos/c.jpg")
    photos = tmp_path / "photos"
    (photos / "out").symlink_to(tmp_path / "outside" / "deep")
    (photos / "file.jpg").symlink_to(tmp_path / "outside" / "a.jpg")
    progress = Listening()
    result = find_images([str(photos)], progress=progress)
    assert names(result, photos) == ["c.jpg"]
    (note,) = progress.notes
    assert "--follow-links" in note
    assert "1 more" in note
    followed = found(photos, follow_links=True)
    assert names(followed, photos) == ["c.jpg", "file.jpg", "out/b.jpg"]


def test_a_link_into_another_root_stays_inside(tmp_path):
    make(tmp_path, "one/a.jpg", "two/b.jpg")
    (tmp_path / "one" / "link").symlink_to(tmp_path / "two")
    assert names(found(tmp_path / "one", tmp_path / "two"), tmp_path) == ["one/a.jpg", "two/b.jpg"]


def test_roots_may_overlap_repeat_and_be_files(tmp_path):
    make(tmp_path, "a.jpg", "sub/b.jpg", "sub/c.dat")
    result = found(
        tmp_path / "sub", tmp_path, tmp_path / "a.jpg", tmp_path / "sub" / "c.dat", tmp_path / "sub"
    )
    assert names(result, tmp_path) == ["a.jpg", "sub/b.jpg", "sub/c.dat"]
    assert result.folders == (str(tmp_path / "sub"), str(tmp_path))


def test_a_root_may_be_a_link_and_relative(tmp_path, monkeypatch):
    make(tmp_path, "real/a.jpg")
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    result = found("link")
    assert names(result, tmp_path) == ["link/a.jpg"]
    assert result.folders == (str(tmp_path / "link"),)


def test_a_missing_root_stops_at_once(tmp_path):
    with pytest.raises(ImgclusterError, match="nowhere does not exist"):
        found(tmp_path, tmp_path / "nowhere")
    with pytest.raises(ImgclusterError, match="name"):
        found("a\0b")


def test_a_folder_that_cannot_be_read_is_a_temporary_failure(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg", "locked/b.jpg")
    scandir = os.scandir

    def deny(path: str) -> object:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", deny)
    result = found(tmp_path)
    assert names(result, tmp_path) == ["a.jpg"]
    assert reasons(result, tmp_path) == {"locked": "the folder cannot be read: no permission to read it"}
    assert result.failures[0].code.temporary


def test_progress_counts_every_file(tmp_path):
    make(tmp_path, *(f"{index}.jpg" for index in range(50)))
    progress = Listening()
    find_images([str(tmp_path)], progress=progress)
    assert progress.steps == 50


def test_a_scan_stops_when_the_user_asks(tmp_path):
    make(tmp_path, "a.jpg", "sub/b.jpg")

    class Stopping(SilentProgress):
        stopping = True

    assert find_images([str(tmp_path)], progress=Stopping()).files == ()


def test_files_of_other_names_are_counted_by_their_endings(tmp_path):
    make(
        tmp_path,
        "a.jpg",
        "b.CR2",
        "c.cr2",
        "d.jxl",
        "e.jpg_large",
        "f.jpg?w=600",
        "g",
        "own.h5",
        "own.h5.lock",
    )
    os.mkfifo(tmp_path / "pipe.txt")
    result = found(tmp_path, own=str(tmp_path / "own.h5"))
    assert result.not_looked_at == {"": 1, ".cr2": 2, ".jpg?w=600": 1, ".jpg_large": 1, ".jxl": 1}
    assert result.other_files == "2 .cr2, 1 without an ending, 1 .jpg?w=600, 1 .jpg_large, 1 .jxl"


def test_of_many_endings_the_most_frequent_are_named(tmp_path):
    make(tmp_path, "a.txt", *(f"{number}.x{number}" for number in range(10)), "b.txt")
    assert found(tmp_path).other_files.endswith("1 .x6, 3 with 3 other endings")


def test_files_of_any_name_are_known_by_their_content(tmp_path):
    for name in ("a.jpg_large", "b.jpg?w=600", "c", "d.txt"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff\xe0" if name != "d.txt" else b"Dear diary")
    (tmp_path / "e.jpg").symlink_to("c")
    result = found(tmp_path, any_name=True)
    assert names(result, tmp_path) == ["a.jpg_large", "b.jpg?w=600", "c"]
    assert result.not_looked_at == {".txt": 1}
    assert result.failures == ()


def test_libraries_of_photo_managers_and_folders_without_media_are_left_out_unless_named(tmp_path):
    make(
        tmp_path,
        "a.jpg",
        "Photos.photoslibrary/originals/1/b.jpg",
        "Catalog Previews.lrdata/c.jpg",
        "Old.APLibrary/d.jpg",
        "app/.nomedia",
        "app/deeper/e.jpg",
    )
    result = found(tmp_path)
    assert names(result, tmp_path) == ["a.jpg"]
    assert (result.libraries, result.nomedia, result.excluded) == (3, 1, 0)
    for folder in ("app", "Photos.photoslibrary"):
        assert len(found(tmp_path / folder).files) == 1


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["*.png"], ["a.jpg", "trip/a.jpg", "trip/raw/a.jpg", "x[1].jpg"]),
        (["raw"], ["a.jpg", "b.png", "trip/a.jpg", "trip/b.png", "x[1].jpg"]),
        (["trip/raw"], ["a.jpg", "b.png", "trip/a.jpg", "trip/b.png", "x[1].jpg"]),
        (["/raw", "trip/*.png"], ["a.jpg", "b.png", "trip/a.jpg", "trip/raw/a.jpg", "x[1].jpg"]),
        (["/a.jpg"], ["b.png", "trip/a.jpg", "trip/b.png", "trip/raw/a.jpg", "x[1].jpg"]),
        (["a.jpg/"], ["a.jpg", "b.png", "trip/a.jpg", "trip/b.png", "trip/raw/a.jpg", "x[1].jpg"]),
        (["**/raw/**", "x\\[1].jpg"], ["a.jpg", "b.png", "trip/a.jpg", "trip/b.png"]),
        (["trip/**/a.jpg"], ["a.jpg", "b.png", "trip/b.png", "x[1].jpg"]),
        (["*", "!trip", "!*.png"], ["b.png", "trip/b.png"]),
        (["[!b].*", "x?[0-9]?.jpg"], ["b.png", "trip/b.png"]),
        (["[a-b].???"], ["x[1].jpg"]),
        (["[", "A.JPG"], ["a.jpg", "b.png", "trip/a.jpg", "trip/b.png", "trip/raw/a.jpg", "x[1].jpg"]),
    ],
)
def test_patterns_leave_out_what_they_would_in_a_gitignore_file(tmp_path, patterns, left):
    make(tmp_path, "a.jpg", "b.png", "trip/a.jpg", "trip/b.png", "trip/raw/a.jpg", "x[1].jpg")
    result = found(tmp_path, exclude=tuple(patterns))
    assert names(result, tmp_path) == left
    assert result.excluded > 0 or len(left) == 6


def test_patterns_hold_for_links_and_for_files_that_are_named(tmp_path):
    make(tmp_path, "photos/a.jpg", "photos/real/b.jpg", "photos/real/c.png")
    (tmp_path / "photos" / "link").symlink_to("real")
    roots = (tmp_path / "photos", tmp_path / "photos" / "real" / "c.png")
    assert names(found(*roots, exclude=("real/", "c.*")), tmp_path) == ["photos/a.jpg", "photos/link/b.jpg"]


@pytest.mark.parametrize("pattern", ["", "/", "!", "!//"])
def test_a_pattern_that_fits_nothing_is_refused(pattern):
    with pytest.raises(UsageError, match="--exclude"):
        Exclusion([pattern])


def test_numbers_of_inodes_may_repeat(tmp_path, monkeypatch):
    """As on some file systems of networks, archives and FAT: nothing is left out for that."""
    make(tmp_path, "one/a.jpg", "two/b.jpg", "two/deeper/c.jpg", "d.jpg")
    (tmp_path / "link.jpg").symlink_to("two/b.jpg")
    stat = os.stat

    def repeating(path: Any, **options: Any) -> os.stat_result:
        numbers = list(stat(path, **options))
        return os.stat_result([numbers[0], 1, *numbers[2:]], {"st_mtime_ns": 10**18})

    monkeypatch.setattr(os, "stat", repeating)
    assert names(found(tmp_path), tmp_path) == ["d.jpg", "one/a.jpg", "two/b.jpg", "two/deeper/c.jpg"]


@pytest.mark.parametrize("year", [1601, 1969, 2300])
def test_times_of_any_year_fit_into_a_store(tmp_path, monkeypatch, year):
    make(tmp_path, "a.jpg")
    seconds = (year - 1970) * 31_556_952
    entry = os.stat_result([0o100644, 1, 1, 1, 0, 0, 5, 0, seconds, 0], {"st_mtime_ns": seconds * 10**9})
    assert np.int64(mtime_ns(entry)) <= np.iinfo(np.int64).max
    assert (mtime_ns(entry) == seconds * 10**9) == (year == 1969)
