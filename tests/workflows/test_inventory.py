"""`imgcluster inventory`: a row for each file that was ever looked at."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from fakes import FakeSource, write_images
from in_process import answer
from PIL import Image

import imgcluster
from imgcluster.images.facts import ImageFacts, image_facts

COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30)}


def bytes_of(image: Image.Image, path: Path, **options: object) -> bytes:
    image.save(path, **options)  # type: ignore[arg-type]
    return path.read_bytes()


def test_headers_of_every_kind(tmp_path: Path) -> None:
    rgb = Image.new("RGB", (30, 20))
    exif = Image.Exif()
    exif[274], exif[306] = 6, "2001:02:03 04:05:06"
    exif.get_ifd(0x8769)[36867] = "2000:01:02 03:04:05"
    photo = bytes_of(rgb, tmp_path / "a.jpg", exif=exif)
    assert image_facts(photo) == ImageFacts("JPEG", 20, 30, 8, 1, "2000-01-02T03:04:05")
    deep = cv2.imencode(".png", np.zeros((4, 6, 3), np.uint16))[1].tobytes()
    assert image_facts(deep) == ImageFacts("PNG", 6, 4, 16, 1, "")
    page = Image.new("I;16", (8, 9))
    pages = bytes_of(page, tmp_path / "a.tif", save_all=True, append_images=[page, page])
    assert image_facts(pages) == ImageFacts("TIFF", 8, 9, 16, 3, "")
    frames = [Image.new("L", (5, 5), grey) for grey in (0, 255)]
    film = bytes_of(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert image_facts(film).pages == 2
    assert image_facts(bytes_of(Image.new("1", (3, 3)), tmp_path / "a.bmp")).bits == 1


def test_a_clock_that_was_never_set_tells_no_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exif = Image.Exif()
    for number, never in enumerate(("0000:00:00 00:00:00", "9999:99:99 99:99:99")):
        exif[306] = never
        photo = tmp_path / "photos" / f"{number}.jpg"
        photo.parent.mkdir(exist_ok=True)
        assert image_facts(bytes_of(Image.new("L", (9, 9), number), photo, exif=exif)).taken == ""
        os.utime(photo, (0, -86400))
    imgcluster.extract("photos", source=FakeSource())
    assert {file.date for file in imgcluster.inventory().files} == {"1969-12-31T00:00:00+00:00"}


def test_every_file_has_a_row_and_what_is_known_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", 3, COLOURS)
    red = tmp_path / "photos" / "red"
    (red / "copy.png").write_bytes((red / "red0.png").read_bytes())
    (red / "=bad.jpg").write_bytes(b"no image")
    imgcluster.extract("photos", source=FakeSource())
    assert {file.cluster for file in imgcluster.inventory().files} == {None}
    imgcluster.cluster(k=2, mode="move")
    (tmp_path / "clusters" / "1" / "green1.png").unlink()
    assert answer("inventory", "-o", "all.csv", cwd=tmp_path) == {
        "files": 8, "embedded": 6, "failed": 1, "gone": 1, "out": "all.csv",
    }  # fmt: skip
    with open("all.csv", newline="") as file:
        rows = {Path(row["path"]).name: row for row in csv.DictReader(file)}
    assert list(rows) == sorted(rows, key=lambda name: (not name.startswith("green"), name))
    found = rows["red0.png"]
    assert (found["format"], found["width"], found["height"], found["bits"]) == ("PNG", "24", "24", "8")
    assert (found["cluster"], found["failure"], len(found["key"])) == ("0", "", 64)
    assert rows["copy.png"]["duplicates"] == found["duplicates"] == "0"
    assert rows["red1.png"]["duplicates"] == ""
    assert rows["=bad.jpg"]["failure"].startswith("not an image")
    assert (rows["=bad.jpg"]["bytes"], rows["=bad.jpg"]["cluster"]) == ("8", "")
    assert rows["green1.png"]["failure"] == "gone since it was looked at"
    assert rows["green1.png"]["format"] == ""
    assert all(row["date"].endswith("+00:00") for row in rows.values())
    assert len(imgcluster.inventory("photos/green").files) == 3


def test_a_table_is_written_over_an_earlier_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "photos", 1, COLOURS)
    imgcluster.extract("photos", source=FakeSource())
    (tmp_path / "mine.csv").write_text("path,label\n")
    with pytest.raises(imgcluster.ImgclusterError, match="holds something else"):
        imgcluster.inventory(out="mine.csv")
    for _ in range(2):
        assert imgcluster.inventory(out="all.csv").embedded == 2
