"""Sheets and thumbnails: every picture in its place, red stays red."""

from __future__ import annotations

import numpy as np
import picture_files as files
import pytest

from imgcluster.errors import ImgclusterError
from imgcluster.images.contact_sheet import contact_sheet, sprite
from imgcluster.images.decode import decode
from imgcluster.images.encode import encode_image, thumbnail_jpeg


def plain(colour: tuple[int, int, int], height: int = 40, width: int = 60) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def test_pictures_stand_row_by_row_centred_on_white():
    sheet = contact_sheet(
        [plain(files.RED), plain(files.GREEN), plain(files.BLUE, 400, 200)], columns=2, cell=100
    )
    assert sheet.shape == (2 * 104 + 4, 2 * 104 + 4, 3)
    centre = [4 + 50, 4 + 104 + 50]
    assert tuple(sheet[centre[0], centre[0]]) == files.RED
    assert tuple(sheet[centre[0], centre[1]]) == files.GREEN
    assert tuple(sheet[centre[1], centre[0]]) == files.BLUE
    assert (sheet[centre[1], centre[1]] == 255).all()
    assert (sheet[6, 6] == 255).all()


def test_a_sheet_without_pictures_is_white():
    sheet = contact_sheet([], columns=3, cell=50)
    assert sheet.shape == (58, 166, 3)
    assert (sheet == 255).all()


def test_a_sheet_needs_columns():
    with pytest.raises(ValueError, match="columns"):
        contact_sheet([], columns=0)


@pytest.mark.parametrize(
    ("size", "shape"), [((400, 300), (120, 160)), ((300, 400), (160, 120)), ((40, 30), (30, 40))]
)
def test_a_thumbnail_fits_and_keeps_its_colours(size, shape):
    decoded = decode(thumbnail_jpeg(files.four_colours(*size)))
    assert decoded.pixels.shape == (*shape, 3)
    np.testing.assert_allclose(decoded.pixels[5, 5], files.RED, atol=12)


def test_a_thumbnail_is_small():
    assert len(thumbnail_jpeg(files.photograph(2000, 1500))) < 20_000


def test_an_encoded_png_comes_back_exactly():
    picture = files.photograph(60, 40)
    assert (decode(encode_image(picture, ".png")).pixels == picture).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_remark_changes_no_pixel(suffix):
    picture = files.photograph(60, 40)
    plain, remarked = (encode_image(picture, suffix, remark=text) for text in ("", "made for a test"))
    assert b"made for a test" in remarked[:200]
    assert (decode(plain).pixels == decode(remarked).pixels).all()


def test_a_suffix_that_cannot_be_written_is_refused():
    with pytest.raises(ImgclusterError, match=r"use \.jpg or \.png"):
        encode_image(files.four_colours(), ".nonsense")


@pytest.mark.parametrize(
    ("count", "columns", "cell"), [(1, 1, 64), (4, 2, 64), (5, 3, 64), (20_000, 142, 57), (10**6, 1000, 8)]
)
def test_a_sprite_is_square_and_no_larger_than_the_projector_takes(count, columns, cell):
    sheet, side = sprite([], count)
    assert (sheet.shape, side) == ((columns * cell, columns * cell, 3), cell)
    assert columns * cell <= 8192


@pytest.mark.parametrize("count", [0, 1_100_000])
def test_no_pictures_and_too_many_have_no_sprite(count):
    assert sprite([], count) is None


def test_a_sprite_has_its_pictures_row_by_row_and_gaps_where_one_is_missing():
    colours = [files.RED, None, files.BLUE, files.RED]
    sheet, side = sprite([colour and plain(colour) for colour in colours], 4)
    for index, colour in enumerate(colours):
        row, column = divmod(index, 2)
        pixel = sheet[row * side + side // 2, column * side + side // 2]
        assert tuple(pixel) == (colour or (255, 255, 255))
