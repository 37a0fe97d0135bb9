"""What `extract` and `cluster` did not look at is told, in words and numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import picture_files as files
import pytest
import written_by_hand as by_hand
from fakes import FakeNetwork, FakeSource, write_image, write_images
from in_process import answer, imgcluster

from imgcluster.cli import places
from imgcluster.files import file_digest
from imgcluster.records import FeatureSpace, PathEntry
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.extract import ExtractOptions, extract


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "choose_network", lambda *_, **__: FakeSource())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", 3, {"red": (200, 30, 30)})
    return tmp_path


def test_files_that_were_not_looked_at_are_counted_in_one_line_and_in_json(folder: Path) -> None:
    for name in ("a.CR2", "b.cr2", "c.jxl", "d.jpg_large", "features.h5.old"):
        (folder / "photos" / name).write_bytes(b"something")
    done = imgcluster("extract", "photos", "--json", cwd=folder)
    assert done.exit_code == 0
    counted = {".cr2": 2, ".jpg_large": 1, ".jxl": 1, ".old": 1}
    assert json.loads(done.stdout)["not_looked_at"] == counted
    (line,) = done.stderr.splitlines()
    assert line.endswith(
        "not looked at, because of their names: 2 .cr2, 1 .jpg_large, 1 .jxl, 1 .old "
        "(--any-name looks into them)"
    )


def test_the_store_and_what_lies_beside_it_is_nothing_that_was_not_looked_at(folder: Path) -> None:
    for _ in range(2):
        result = answer("extract", ".", cwd=folder)
    assert (result["found"], result["not_looked_at"]) == (3, {})


def test_a_folder_of_nothing_else_is_not_called_empty(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(8):
        (tmp_path / "photos" / f"{number}.nef").write_bytes(b"raw")
    done = imgcluster("extract", "photos", cwd=tmp_path)
    assert done.exit_code == 1
    assert "8 .nef (--any-name looks into them)" in done.stderr


def test_a_library_that_an_earlier_version_went_into_is_left_alone(folder: Path) -> None:
    library = folder / "photos" / "Old.photoslibrary"
    write_image(library / "originals" / "b.png", (1, 2, 3))
    answer("extract", "photos", cwd=folder)
    status = os.stat(library / "originals" / "b.png")
    key = file_digest(str(library / "originals" / "b.png"))
    with FeatureStore(folder / "features.h5", "a") as store:  # as version 1 would have done
        (space,) = store.spaces
        store.append(
            space.name,
            np.frombuffer(bytes.fromhex(key), np.uint8)[None],
            np.ones((1, space.dimension), np.float32),
        )
        entry = PathEntry(
            str(library / "originals" / "b.png"),
            status.st_size,
            status.st_mtime_ns,
            1 << 62,
            bytes.fromhex(key),
        )
        store.record_paths([entry])
    done = imgcluster("cluster", "--k=2", "--mode=move", cwd=folder)
    assert done.exit_code == 0, done.stderr
    assert "1 image in a photo manager's library, the first: " in done.stderr
    assert (library / "originals" / "b.png").exists()
    assert answer("cluster", "photos/Old.photoslibrary", "--k=1", "--out=own", cwd=folder)["images"] == 1


def test_any_name_takes_what_is_an_image_by_its_content(folder: Path) -> None:
    data = files.saved(files.stored(1), "JPEG")
    for name in ("x.jpg_large", "y.jpg?w=600", "z"):
        (folder / "photos" / name).write_bytes(data + name.encode())
    (folder / "photos" / "notes.txt").write_text("none")
    result = answer("extract", "photos", "--any-name", cwd=folder)
    assert (result["found"], result["failed"], result["not_looked_at"]) == (6, 0, {".txt": 1})


def test_what_was_excluded_is_counted(folder: Path) -> None:
    write_image(folder / "photos" / "trip" / "a.png", (1, 2, 3))
    write_image(folder / "photos" / "Old.photoslibrary" / "b.png", (1, 2, 3))
    write_image(folder / "photos" / "app" / "c.png", (1, 2, 3))
    (folder / "photos" / "app" / ".nomedia").touch()
    done = imgcluster("extract", "photos", "--exclude", "trip", "--exclude", "*2.png", "--json", cwd=folder)
    result = json.loads(done.stdout)
    assert [result[name] for name in ("found", "excluded", "nomedia", "libraries")] == [2, 2, 1, 1]
    assert (
        "left out: 2 files and folders by --exclude, 1 folder with a .nomedia file, "
        "1 library of a photo manager" in done.stderr
    )
    done = imgcluster("extract", "photos", "--exclude", "*", cwd=folder)
    assert (done.exit_code, "left out: " in done.stderr) == (1, True)
    assert imgcluster("extract", "photos", "--exclude", "/", cwd=folder).exit_code == 2


def test_further_pages_are_counted(folder: Path) -> None:
    page = files.photograph(40, 30)
    for number in range(3):
        pages = [(np.roll(page, number, 0), {}), (page, {}), (page[::2], {"subfile_type": 1})]
        (folder / "photos" / f"{number}.tif").write_bytes(by_hand.tiff_of(*pages))
    pyramid = by_hand.tiff_of((page, {}), (page[::2], {"subfile_type": 1}))
    (folder / "photos" / "pyramid.tif").write_bytes(pyramid)
    done = imgcluster("extract", "photos", "--json", cwd=folder)
    assert json.loads(done.stdout)["with_pages"] == 3
    assert "3 TIFFs have further pages: only the first is looked at" in done.stderr


def test_a_clustering_without_most_images_says_so_in_its_last_line(folder: Path) -> None:
    imgcluster("extract", "photos", cwd=folder)
    write_images(folder / "more", 5, {"blue": (30, 30, 200)})
    other = FakeSource(FakeNetwork(), FeatureSpace("other", "11", 16))
    extract([folder / "more"], ExtractOptions(store=str(folder / "features.h5")), source=other)
    done = imgcluster("cluster", "--network", "fake", "--report", cwd=folder)
    assert done.stdout.splitlines()[-1] == "left out: 5 of 8 images (5 without an embedding of this network)"
    done = imgcluster("cluster", "--network", "other", "--force", cwd=folder)
    assert "left out" not in done.stdout


def test_a_speed_that_one_slow_file_would_decide_about_is_not_told(tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 9, {"red": (200, 30, 30)})
    options = ExtractOptions(store=str(tmp_path / "features.h5"))
    assert extract([tmp_path / "photos"], options, source=FakeSource()).images_per_second is None
    write_images(tmp_path / "photos", 13, {"blue": (30, 30, 200)})
    assert extract([tmp_path / "photos"], options, source=FakeSource()).images_per_second
