"""What network, report and contact sheet see of a file: upright, in RGB, by content and not by name."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import picture_files as files
import pytest
from clusterings import Desk, backdate
from fakes import FakeNetwork, FakeSource
from PIL import Image, features

from imgcluster.records import SILENT, Embeddings, Pixels, Progress
from imgcluster.store.store import FeatureStore
from imgcluster.workflows.contact_sheet import make_contact_sheet
from imgcluster.workflows.extract import ExtractOptions, ExtractResult, extract
from imgcluster.workflows.options import ContactSheetOptions, ReportOptions
from imgcluster.workflows.report import report

SIZE = FakeSource().space.input_size


@dataclass
class Watching(FakeNetwork):
    """Keeps what it was given."""

    seen: list[Pixels] = field(default_factory=list)

    def embed(self, pixels: Pixels) -> Embeddings:
        self.seen.extend(pixels.copy())
        return super().embed(pixels)


def see(desk: Desk) -> list[Pixels]:
    """Extract, and give what the network saw of each file, in the order of their paths."""
    network = Watching()
    desk.extract(source=FakeSource(network))
    return network.seen


def write(desk: Desk, name: str, data: bytes) -> Path:
    desk.photos.mkdir(exist_ok=True)
    (desk.photos / name).write_bytes(data)
    backdate(desk.photos)
    return desk.photos / name


def embeddings(desk: Desk) -> dict[str, Embeddings]:
    with FeatureStore(desk.store) as store:
        (space,) = store.spaces
        return {
            os.path.basename(entry.path): store.read(space.name, np.frombuffer(entry.key, np.uint8)[None])[0]
            for entry in store.paths()
        }


def test_the_network_sees_red_as_red(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP"):
        # Larger than the network's input, so that a JPEG comes at a reduced scale.
        write(desk, f"a.{kind.lower()}", files.encoded(files.four_colours(400, 300), kind))
    seen = see(desk)
    assert len(seen) == 6
    for pixels in seen:
        assert pixels.shape == (SIZE, SIZE, 3)
        files.assert_four_colours(pixels)


@pytest.mark.parametrize("side", [64, 640], ids=["whole", "reduced scale"])
@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9])
def test_one_picture_turned_in_any_way_and_format_has_one_embedding(
    tmp_path: Path, orientation: int, side: int
) -> None:
    desk = Desk(tmp_path)
    picture = files.four_colours(side, side * 3 // 4)
    write(desk, "upright.png", files.encoded(picture, "PNG"))
    kinds = ["JPEG", "PNG", "TIFF", "WEBP", *(["AVIF"] if features.check("avif") else [])]
    for kind in kinds:
        write(desk, f"turned.{kind.lower()}", files.oriented(kind, orientation, picture, quality=95))
    desk.extract()
    found = embeddings(desk)
    upright = found.pop("upright.png")
    assert len(found) == len(kinds)
    for name, embedding in found.items():
        np.testing.assert_allclose(embedding, upright, atol=files.LOSSY_TOLERANCE, err_msg=name)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_network_thumbnail_and_contact_sheet_show_the_same_side_up(tmp_path: Path, kind: str) -> None:
    desk = Desk(tmp_path)
    write(desk, f"a.{kind.lower()}", files.oriented(kind, 6, files.four_colours(320, 240), quality=95))
    (seen,) = see(desk)
    desk.cluster(1)
    thumbnails = tmp_path / "thumbnails"
    report(ReportOptions(clusters=str(desk.out)), thumbnails=str(thumbnails))
    make_contact_sheet(ContactSheetOptions(cluster=0, out=str(tmp_path / "sheet.png"), clusters=desk.out))
    (thumbnail,) = thumbnails.rglob("*.jpg")
    shown = np.asarray(Image.open(thumbnail))
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert shown.shape == (120, 160, 3)
    drawn = np.argwhere((sheet != 255).any(axis=2))
    (top, left), (bottom, right) = drawn.min(axis=0), drawn.max(axis=0) + 1
    assert (bottom - top, right - left) == (120, 160)
    for pixels in (seen, shown, sheet[top:bottom, left:right]):
        files.assert_four_colours(pixels, 16)


def run(desk: Desk, progress: Progress = SILENT, **options: object) -> ExtractResult:
    settings = ExtractOptions(store=desk.store, **options)  # type: ignore[arg-type]
    return extract([desk.photos], settings, source=FakeSource(), progress=progress)


@pytest.mark.parametrize(
    ("kind", "name"),
    [("GIF", "a.jpg"), ("PNG", "a.JPG"), ("WEBP", "a.png"), ("TIFF", "a.jpeg"), ("JPEG", "a.HEIC")],
)
def test_a_file_under_the_wrong_name_is_read_by_its_content_and_a_line_names_both(
    tmp_path: Path, kind: str, name: str
) -> None:
    desk = Desk(tmp_path)
    path = write(desk, name, files.encoded(files.four_colours(), kind))
    result = run(desk, desk.progress)
    assert (result.new, result.failed) == (1, 0)
    suffix = path.suffix.lower()
    assert any(
        f"{path}: named {suffix}, but it is" in note and note.upper().endswith(kind)
        for note in desk.progress.notes
    )


def test_heic_files_are_counted_and_name_the_extra_until_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heif = pytest.importorskip("pillow_heif")
    desk = Desk(tmp_path)
    file = io.BytesIO()
    heif.from_pillow(Image.fromarray(files.four_colours())).save(file, quality=95)
    for number in range(2):
        write(desk, f"{number}.heic", file.getvalue() + bytes(number))
    write(desk, "a.jpg", files.encoded(files.four_colours(), "JPEG"))
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pillow_heif", None)
        result = run(desk)
        assert (result.new, result.failed) == (1, 2)
        assert all("pip install '.[heic]'" in failure.reason for failure in result.failures)
    result = run(desk)
    assert (result.new, result.cached, result.failed) == (2, 1, 0)


def test_frames_after_the_first_change_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    first, *others = [Image.new("RGB", (64, 48), colour) for colour in (files.RED, files.GREEN, files.BLUE)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        write(desk, f"many.{kind.lower()}", files.saved(first, kind, save_all=True, append_images=others))
    for pixels in see(desk):
        np.testing.assert_allclose(pixels.reshape(-1, 3).mean(axis=0), files.RED, atol=files.LOSSY_TOLERANCE)


def test_fine_stripes_reach_the_network_as_grey_from_every_format(tmp_path: Path) -> None:
    """Shrunk by area, also where a JPEG was decoded at a reduced scale before."""
    desk = Desk(tmp_path)
    stripes = np.zeros((600, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    for kind in ("JPEG", "PNG"):
        write(desk, f"a.{kind.lower()}", files.encoded(stripes, kind))
    seen = see(desk)
    assert len(seen) == 2
    for pixels in seen:
        assert cv2.meanStdDev(pixels[1:-1, 1:-1])[1].max() < 6
        np.testing.assert_allclose(pixels.mean(), 127, atol=6)
