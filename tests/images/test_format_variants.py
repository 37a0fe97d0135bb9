"""Every variant of every format that people have is read, and gives the pixels that went in."""

from __future__ import annotations

import contextlib
import io

import cv2
import numpy as np
import picture_files as files
import pytest
import written_by_hand as by_hand
from picture_files import LOSSY_TOLERANCE, assert_four_colours, needs
from PIL import Image

from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import DecodeLimits, decode

GREY = np.asarray(Image.fromarray(files.photograph(60, 44)).convert("L"))


def over_white(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return pixels * share + 255 * (1 - share)


# JPEG.


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["plain", "progressive"])
def test_a_grey_jpeg_has_its_grey_in_all_three_channels(options):
    pixels = decode(files.encoded(GREY, "JPEG", quality=95, **options)).pixels
    assert (pixels == pixels[..., :1]).all()
    np.testing.assert_allclose(pixels[..., 0], GREY, atol=LOSSY_TOLERANCE)


@pytest.mark.parametrize("at_least", [None, 50])
def test_the_print_jpeg_of_photoshop_has_its_colours(at_least):
    picture = files.four_colours(400, 300)
    assert_four_colours(decode(by_hand.ycck_jpeg(picture), at_least=at_least).pixels)


# PNG.


@pytest.mark.parametrize("interlaced", [False, True], ids=["plain", "interlaced"])
@pytest.mark.parametrize(("colour", "bits"), by_hand.PNG_VARIANTS)
def test_every_kind_of_png_pixel_comes_out_exactly(colour, bits, interlaced):
    random = np.random.default_rng(bits)
    samples = random.integers(0, 2**bits, (21, 35, by_hand.samples_per_pixel(colour)))
    palette = random.integers(0, 256, (2**bits, 3), np.uint8) if colour == "palette" else None
    data = by_hand.png(
        samples, colour, bits, interlaced=interlaced, palette=b"" if palette is None else palette.tobytes()
    )
    levels = samples * 255 / (2**bits - 1)
    expected = np.repeat(levels[..., :1], 3, axis=2)
    if palette is not None:
        expected = palette[samples[..., 0]].astype(float)
    elif colour.startswith("rgb"):
        expected = levels[..., :3]
    if colour in {"grey+alpha", "rgba"}:
        expected = over_white(expected, levels[..., -1])
    np.testing.assert_allclose(decode(data).pixels, expected, atol=2 if bits == 16 else 1)


# Not grey of 16 bits: there other readers show the colour as it is, and so does this one.
@pytest.mark.parametrize(
    ("colour", "bits"), [("grey", 1), ("grey", 2), ("grey", 4), ("grey", 8), ("rgb", 8), ("rgb", 16)]
)
def test_the_png_colour_that_stands_for_nothing_is_white(colour, bits):
    samples = np.random.default_rng(bits).integers(0, 2**bits, (9, 9, by_hand.samples_per_pixel(colour)))
    samples[5, 5] = key = samples[0, 0]
    data = by_hand.png(samples, colour, bits, transparency=key.astype(">u2").tobytes())
    levels = np.where((samples == key).all(axis=2, keepdims=True), 255, samples * 255 / (2**bits - 1))
    pixels = decode(data).pixels
    np.testing.assert_allclose(pixels, np.broadcast_to(levels, pixels.shape), atol=1)


def test_each_colour_of_a_png_palette_has_an_alpha_of_its_own():
    random = np.random.default_rng(0)
    palette, indices = random.integers(0, 256, (4, 3), np.uint8), random.integers(0, 4, (9, 9, 1))
    data = by_hand.png(indices, "palette", 2, palette=palette.tobytes(), transparency=bytes([0, 128]))
    alpha = np.array([0, 128, 255, 255])[indices[..., 0]]
    expected = over_white(palette[indices[..., 0]].astype(float), alpha)
    np.testing.assert_allclose(decode(data).pixels, expected, atol=1)


@pytest.mark.parametrize("length", range(7))
def test_a_png_whose_transparency_is_cut_is_read_or_refused(length):
    for colour, bits in by_hand.PNG_VARIANTS:
        samples = np.zeros((4, 4, by_hand.samples_per_pixel(colour)), int)
        data = by_hand.png(samples, colour, bits, palette=bytes(6), transparency=bytes(length))
        with contextlib.suppress(UnreadableImage):
            assert decode(data).pixels.shape == (4, 4, 3)


# TIFF.


@pytest.mark.parametrize("bits", [8, 16])
def test_a_negative_tiff_is_turned_positive(bits):
    samples = np.random.default_rng(0).integers(0, 2**bits, (16, 24, 1)).astype(f"u{bits // 8}")
    levels = samples * 255.0 / (2**bits - 1)
    np.testing.assert_allclose(
        decode(by_hand.tiff(samples, photometric=1)).pixels, np.repeat(levels, 3, 2), atol=1
    )
    np.testing.assert_allclose(
        decode(by_hand.tiff(samples, photometric=0)).pixels, 255 - np.repeat(levels, 3, 2), atol=1
    )


@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_of_tiff_is_laid_over_white_whether_the_colours_are_multiplied_by_it_or_not(bits):
    top = 2**bits - 1
    samples = np.random.default_rng(0).integers(0, top + 1, (16, 24, 4)).astype(f"u{bits // 8}")
    alpha = samples[..., 3] * 255.0 / top
    expected = over_white(samples[..., :3] * 255.0 / top, alpha)
    np.testing.assert_allclose(decode(by_hand.tiff(samples, extra=2)).pixels, expected, atol=2)
    samples[..., :3] = np.round(samples[..., :3] * (samples[..., 3:] / top))
    np.testing.assert_allclose(decode(by_hand.tiff(samples, extra=1)).pixels, expected, atol=4)


@pytest.mark.parametrize("top", [1, 40], ids=["within 0 and 1", "any"])
@pytest.mark.parametrize(("bands", "bits"), [(1, 32), (1, 64), (3, 32), (3, 64), (4, 32)])
def test_floats_of_tiff_are_scaled_in_grey_and_in_colour(bands, bits, top):
    levels = np.random.default_rng(0).random((16, 24, bands))
    levels[0, 0], levels[0, 1] = 0, 1
    options = {"photometric": 1 if bands == 1 else 2, "extra": 2 if bands == 4 else None}
    data = by_hand.tiff((levels * top).astype(f"f{bits // 8}"), sample_format=3, **options)
    expected = 255 * levels[..., :3]
    if bands == 4:
        expected = over_white(expected, 255 * levels[..., 3])
    pixels = decode(data).pixels
    np.testing.assert_allclose(pixels, np.broadcast_to(expected, pixels.shape), atol=2)


def test_extreme_floats_and_those_that_are_no_numbers_raise_no_remark(recwarn):
    largest = np.finfo(np.float64).max
    levels = np.array([-largest, 0, largest, np.nan, np.inf, 5e-324]).reshape(2, 3, 1)
    pixels = decode(by_hand.tiff(levels, photometric=1, sample_format=3)).pixels
    assert pixels[..., 0].ravel().tolist() == [0, 128, 255, 0, 0, 128]
    signalling = np.array([0x7F800001, 0x3F800000], np.uint32).view(np.float32).reshape(1, 2, 1)
    assert decode(by_hand.tiff(signalling, photometric=1, sample_format=3)).pixels[0, 1, 0] == 255
    tiny = np.array([0, -5e-324]).reshape(1, 2, 1)
    assert decode(by_hand.tiff(tiny, photometric=1, sample_format=3)).pixels.max() == 0
    assert not recwarn.list


def test_floats_are_held_to_the_limit_and_cut_files_refused():
    data = by_hand.tiff(np.zeros((16, 24, 3), np.float32), sample_format=3)
    assert decode(data, DecodeLimits(max_pixels=384)).pixels.shape == (16, 24, 3)
    with pytest.raises(UnreadableImage, match=r"24 x 16 pixels .*--max-pixels"):
        decode(data, DecodeLimits(max_pixels=383))
    for length in range(8, len(data), 37):
        with pytest.raises(UnreadableImage):
            decode(data[:length])


def test_a_turned_picture_of_floats_is_turned_once():
    picture = files.four_colours(48, 32)
    turned = np.rot90(picture).astype(np.float32) / 255
    decoded = decode(by_hand.tiff(turned, sample_format=3, orientation=6))
    assert (decoded.width, decoded.height) == (48, 32)
    assert_four_colours(decoded.pixels)


def test_whole_numbers_of_32_bits_without_a_sign_have_none():
    samples = np.linspace(0, 2**32 - 1, 64).astype(np.uint32).reshape(8, 8, 1)
    expected = np.repeat(samples / (2**32 - 1) * 255, 3, axis=2)
    np.testing.assert_allclose(decode(by_hand.tiff(samples, photometric=1)).pixels, expected, atol=1)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tile", [0, 16, 32])
def test_tiles_planes_and_both_byte_orders_of_tiff_are_read_exactly(tile, planar, big_endian):
    picture = files.photograph(50, 37)
    data = by_hand.tiff(picture, tile=tile, planar=planar, big_endian=big_endian)
    assert (decode(data).pixels == picture).all()


@pytest.mark.parametrize("suffix", [".tiff", ".png", ".ppm"])
def test_sixteen_bits_of_colour_are_scaled(suffix):
    picture = files.photograph(50, 37).astype(np.uint16) * 257
    data = cv2.imencode(suffix, picture[..., ::-1])[1].tobytes()
    np.testing.assert_allclose(decode(data).pixels, picture / 257, atol=1)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "packbits"},
        {"compression": "tiff_adobe_deflate"},
        {"compression": "tiff_lzw", "tiffinfo": {317: 2}},
        {"big_tiff": True},
    ],
    ids=["packbits", "deflate", "lzw with differences", "more than 4 GB"],
)
def test_compressions_of_tiff_lose_nothing(options):
    picture = files.photograph(50, 37)
    assert (decode(files.encoded(picture, "TIFF", **options)).pixels == picture).all()


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_a_fax_is_black_and_white(compression):
    page = Image.fromarray(GREY).convert("1")
    pixels = decode(files.saved(page, "TIFF", compression=compression)).pixels
    assert (pixels == np.asarray(page.convert("L"))[..., None]).all()


# GIF, BMP, PNM, JPEG 2000.


@pytest.mark.parametrize("interlace", [0, 1])
def test_an_interlaced_gif_has_its_rows_in_order(interlace):
    picture = Image.fromarray(files.photograph(50, 37)).quantize(64)
    pixels = decode(files.saved(picture, "GIF", interlace=interlace)).pixels
    assert (pixels == np.asarray(picture.convert("RGB"))).all()


def test_a_bmp_with_a_palette_has_its_colours():
    picture = Image.fromarray(files.photograph(50, 37)).quantize(64)
    assert (decode(files.saved(picture, "BMP")).pixels == np.asarray(picture.convert("RGB"))).all()


def test_a_bmp_of_16_bits_has_its_colours():
    assert_four_colours(decode(by_hand.bmp_16_bits(files.four_colours())).pixels)


@pytest.mark.parametrize("top_down", [False, True])
@pytest.mark.parametrize("unused", [False, True])
def test_a_bmp_has_its_rows_in_order_and_is_not_transparent(top_down, unused):
    picture = files.photograph(51, 37)
    assert (decode(by_hand.bmp(picture, top_down=top_down, unused=unused)).pixels == picture).all()


def test_a_bmp_of_run_lengths_has_its_colours():
    indices = np.random.default_rng(0).integers(0, 4, (37, 51), np.uint8)
    palette = np.array([files.RED, files.GREEN, files.BLUE, files.YELLOW], np.uint8)
    assert (decode(by_hand.bmp_run_lengths(indices, palette)).pixels == palette[indices]).all()


@pytest.mark.parametrize("maximum", [1, 15, 255, 1000, 65535])
def test_pnm_as_text_is_scaled_by_the_maximum_that_it_states(maximum):
    for shape in ((5, 7), (5, 7, 3)):
        samples = np.random.default_rng(maximum).integers(0, maximum + 1, shape)
        pixels = decode(by_hand.plain_pnm(samples, maximum)).pixels
        expected = np.broadcast_to(samples.reshape(5, 7, -1) * 255 / maximum, pixels.shape)
        np.testing.assert_allclose(pixels, expected, atol=1)


@pytest.mark.parametrize("bare", [False, True], ids=["in its container", "bare"])
def test_lossless_jpeg_2000_loses_nothing(bare):
    picture = files.photograph(50, 37)
    data = files.encoded(picture, "JPEG2000", no_jp2=bare, irreversible=False)
    assert (decode(data).pixels == picture).all()


# The orientation, where the picture does not come out at full size or states it in its own way.


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "AVIF"])
def test_orientation_is_followed_at_a_reduced_scale_in_every_format(kind, orientation, monkeypatch):
    needs(kind)
    monkeypatch.setattr("imgcluster.images.pixels.BLOCK_PIXELS", 5000)
    monkeypatch.setattr("imgcluster.images.pixels.LARGE_PIXELS", 5000)
    data = files.oriented(kind, orientation, files.four_colours(320, 240), quality=95)
    decoded = decode(data, at_least=100)
    assert (decoded.width, decoded.height) == (320, 240)
    assert decoded.pixels.shape == (120, 160, 3)
    assert_four_colours(decoded.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "TIFF", "AVIF"])
def test_orientation_that_stands_in_xmp_alone_is_followed_once(kind, orientation):
    needs(kind)
    xmp = files.xmp_orientation(orientation)
    options = {"tiffinfo": {700: xmp}} if kind == "TIFF" else {"xmp": xmp, "quality": 95}
    decoded = decode(files.saved(files.stored(orientation), kind, **options))
    assert (decoded.width, decoded.height) == (files.WIDTH, files.HEIGHT)
    assert_four_colours(decoded.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_heic_is_followed_once(orientation):
    heif = pytest.importorskip("pillow_heif")
    heif.register_heif_opener()
    decoded = decode(files.oriented("HEIF", orientation, quality=95))
    assert (decoded.width, decoded.height) == (files.WIDTH, files.HEIGHT)
    assert_four_colours(decoded.pixels, 12)


def test_alpha_of_heic_is_laid_over_white():
    heif = pytest.importorskip("pillow_heif")
    rgba = np.empty((64, 64, 4), np.uint8)
    rgba[:32] = (255, 0, 0, 128)
    rgba[32:] = (0, 0, 0, 0)
    file = io.BytesIO()
    heif.from_pillow(Image.fromarray(rgba)).save(file, quality=-1)
    pixels = decode(file.getvalue()).pixels
    np.testing.assert_allclose(pixels[8, 8], (255, 127, 127), atol=6)
    np.testing.assert_allclose(pixels[56, 56], (255, 255, 255), atol=6)
