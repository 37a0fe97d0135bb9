"""Large TIFFs take little more memory than their pixels, whatever those are."""

from __future__ import annotations

import numpy as np
import picture_files as files
import pytest
import written_by_hand as by_hand
from PIL import Image

from imgcluster.errors import FailureCode, UnreadableImage
from imgcluster.images.decode import decode
from imgcluster.images.memory import MemoryBudget
from imgcluster.images.pixels import shrunk


@pytest.fixture
def small_blocks(monkeypatch):
    """What counts as large begins at pictures that a test has the time to make."""
    monkeypatch.setattr("imgcluster.images.pixels.BLOCK_PIXELS", 5000)
    monkeypatch.setattr("imgcluster.images.pixels.LARGE_PIXELS", 5000)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_is_converted_block_by_block_as_if_it_were_whole(mode, small_blocks):
    picture = Image.fromarray(files.photograph(204, 316))
    picture = picture.convert("L").convert(mode) if mode in {"I;16", "I", "F"} else picture.convert(mode)
    data = files.saved(picture, "TIFF", compression="tiff_lzw")
    reduced = decode(data, at_least=100).pixels
    np.testing.assert_allclose(reduced, shrunk(decode(data).pixels, (2, 2)), atol=1)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_of_colour_share_one_range_in_all_blocks(dtype, small_blocks):
    samples = files.photograph(204, 316).astype(dtype)
    samples[200:, :, 1] = 1000
    samples[:9, :, 2] = -20
    data = by_hand.tiff(samples, sample_format=3)
    expected = (samples + 20) / 1020 * 255
    np.testing.assert_allclose(decode(data).pixels, expected, atol=1)
    blocks = expected.reshape(158, 2, 102, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(decode(data, at_least=100).pixels, blocks, atol=1)


@pytest.mark.parametrize("dtype", ["f4", "i4"])
def test_deep_samples_need_no_copies_of_the_whole_picture(dtype, small_blocks):
    data = files.saved(Image.fromarray(files.photograph(600, 500)[..., 0].astype(dtype)), "TIFF")
    assert decode(data, at_least=100, budget=MemoryBudget(largest=10 * 600 * 500)).width == 600


KINDS = [
    *(("u1", 1), ("u2", 1), ("i2", 2), ("u4", 1), ("i4", 2), ("f4", 3)),
]


@pytest.mark.parametrize(("tile", "big_endian"), [(0, False), (16, True)])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("bands", [2, 4, 5])
@pytest.mark.parametrize(("dtype", "form"), KINDS)
def test_channels_of_any_number_are_read_the_first_three_or_the_first(
    dtype, form, bands, planar, tile, big_endian
):
    levels = np.resize(files.photograph(50, 38)[..., 0], (38, 50, bands)).astype(dtype)
    if dtype in {"u2", "i2"}:
        levels = levels * (257 if dtype == "u2" else 128)
    data = by_hand.tiff(
        levels, photometric=1, sample_format=form, planar=planar, tile=tile, big_endian=big_endian
    )
    expected = levels[..., : 3 if bands > 2 else 1].astype(float)
    if dtype[1] == "2":
        expected = expected / 257
    elif dtype[1] == "4":
        expected = (expected - expected.min()) / np.ptp(expected) * 255
    np.testing.assert_allclose(decode(data).pixels, np.broadcast_to(expected, (38, 50, 3)), atol=1)


@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
def test_channels_written_by_another_program_are_read(dtype, planar, predictor, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    samples = np.resize(files.photograph(50, 37), (37, 50, 5)).astype(dtype)
    shown = samples if planar == "contig" else np.moveaxis(samples, 2, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        shown,
        photometric="minisblack",
        planarconfig=planar,
        compression="zlib",
        rowsperstrip=10,
        predictor=predictor,
    )
    pixels = decode(path.read_bytes()).pixels
    expected = samples[..., :3].astype(float) / (257 if dtype == "u2" else 1)
    if dtype[1] == "4":
        expected = (expected - expected.min()) / np.ptp(expected) * 255
    np.testing.assert_allclose(pixels, expected, atol=1)


def test_channels_that_are_not_read_are_counted_and_not_called_damaged():
    data = by_hand.tiff(np.zeros((16, 24, 5), np.float64), sample_format=3)
    with pytest.raises(UnreadableImage, match="5 channels of 64 bits, which is not read") as refusal:
        decode(data)
    assert refusal.value.code == FailureCode.UNSUPPORTED


def test_channels_of_a_file_that_is_cut_short_are_refused():
    for planar in (False, True):
        data = by_hand.tiff(np.ones((16, 24, 5), np.uint16), photometric=1, planar=planar)
        for length in range(8, len(data), 41):
            with pytest.raises(UnreadableImage):
                decode(data[:length])


PREVIEW, FULL = files.photograph(16, 12, seed=1), files.photograph(80, 60, seed=2)


def page(pixels, kind: int = 0, **options):
    return pixels, {"subfile_type": kind, **options}


@pytest.mark.parametrize("within", [(), (1,), (1, 2)])
def test_a_first_picture_that_is_marked_as_reduced_is_passed_over(within):
    half = files.photograph(40, 30, seed=3)
    data = by_hand.tiff_of(page(PREVIEW, 1), page(half, 0), page(FULL, 0), within=within)
    decoded = decode(data)
    assert (decoded.pixels == FULL).all()


def test_what_is_smaller_and_follows_is_not_taken_for_the_picture():
    data = by_hand.tiff_of(page(PREVIEW), page(FULL, 1), page(FULL, 4))
    assert (decode(data).pixels == PREVIEW).all()
    assert decode(data).pages == 1


@pytest.mark.parametrize("kind", [0, 1])
def test_raw_data_of_a_camera_are_called_so(kind):
    sensor = page(files.photograph(80, 60)[..., :1].astype(np.uint16), 0, photometric=32803)
    for data in (
        by_hand.tiff_of(page(PREVIEW, kind), sensor, within=(1,)),
        by_hand.tiff_of(page(PREVIEW, 1)),
        by_hand.tiff_of(sensor),
    ):
        with pytest.raises(UnreadableImage, match="a camera's raw file") as refusal:
            decode(data)
        assert refusal.value.code == FailureCode.UNSUPPORTED


def test_pages_are_counted_but_previews_among_them():
    assert decode(by_hand.tiff_of(page(FULL), page(PREVIEW, 2), page(PREVIEW), page(PREVIEW, 1))).pages == 3


@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
@pytest.mark.parametrize("bands", [1, 3])
def test_the_value_that_stands_for_nothing_does_not_count(dtype, bands):
    heights = np.linspace(100, 900, 24 * 16 * bands).reshape(16, 24, bands).astype(dtype)
    gaps = heights.copy()
    gaps[3:6, 4:9] = -9999
    form = 3 if dtype[0] == "f" else 2
    clean, holed = (
        decode(by_hand.tiff(x, photometric=1, sample_format=form, no_data=b"-9999\0")).pixels.astype(int)
        for x in (heights, gaps)
    )
    kept = np.ones((16, 24), bool)
    kept[3:6, 4:9] = False
    assert np.abs(clean - holed)[kept].max() <= 1
    assert (holed[~kept] == 0).all()


def test_a_value_that_stands_for_nothing_may_be_written_with_more_digits_than_there_are():
    lowest = np.finfo(np.float32).min
    heights = np.array([[5, lowest, 10, 15]], np.float32)[..., None]
    data = by_hand.tiff(heights, photometric=1, sample_format=3, no_data=b"-3.4028234663852886e+38\0")
    assert decode(data).pixels[0, :, 0].tolist() == [0, 0, 128, 255]


def test_directories_in_a_circle_or_without_end_end():
    assert (decode(by_hand.tiff(PREVIEW, following=8, within=(8, 8))).pixels == PREVIEW).all()
