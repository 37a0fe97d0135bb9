"""Any file that holds a picture becomes upright RGB; anything else is refused with a reason."""

from __future__ import annotations

import io
import struct
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import picture_files as files
import pytest
from picture_files import LOSSY_TOLERANCE, assert_four_colours, needs
from PIL import Image, PngImagePlugin

from imgcluster.errors import UnreadableImage
from imgcluster.images import opencv
from imgcluster.images.decode import DecodeLimits, _stated_sizes, decode
from imgcluster.images.header import wrong_name

WITH_ORIENTATION = ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"]


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, LOSSY_TOLERANCE),
        ("JPEG", {"progressive": True, "quality": 95}, LOSSY_TOLERANCE),
        ("JPEG", {"restart_marker_blocks": 4, "quality": 95}, LOSSY_TOLERANCE),
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "tiff_deflate"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 95}, LOSSY_TOLERANCE),
        ("WEBP", {"quality": 95}, LOSSY_TOLERANCE),
        ("WEBP", {"lossless": True}, 0),
        ("GIF", {}, 2),
        ("BMP", {}, 0),
        ("DIB", {}, 0),
        ("PPM", {}, 0),
        ("AVIF", {"quality": 95}, LOSSY_TOLERANCE),
        ("JPEG2000", {}, 2),
        ("MPO", {"quality": 95}, LOSSY_TOLERANCE),
    ],
)
def test_every_format_gives_the_colours_that_went_in(kind, options, tolerance):
    needs(kind)
    decoded = decode(files.encoded(files.four_colours(), kind, **options))
    assert (decoded.width, decoded.height) == (files.WIDTH, files.HEIGHT)
    assert decoded.pixels.dtype == np.uint8
    assert decoded.pixels.shape == (files.HEIGHT, files.WIDTH, 3)
    assert decoded.pixels.flags.c_contiguous
    assert decoded.pixels.flags.writeable
    assert decoded.note == ""
    assert_four_colours(decoded.pixels, tolerance)


def test_red_stays_red():
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM"):
        mean = decode(files.encoded(red, kind)).pixels.reshape(-1, 3).mean(axis=0)
        assert mean[0] > 250, kind
        assert mean[2] < 5, kind


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", WITH_ORIENTATION)
def test_every_orientation_is_followed_once_and_nonsense_ignored(kind, orientation):
    needs(kind)
    decoded = decode(files.oriented(kind, orientation, quality=95))
    assert (decoded.width, decoded.height) == (files.WIDTH, files.HEIGHT)
    assert_four_colours(decoded.pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_may_stand_in_xmp_alone(kind):
    stored = Image.fromarray(files.four_colours()).transpose(Image.Transpose.ROTATE_90)
    options: dict[str, object] = {"xmp": files.xmp_orientation(6)}
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", files.xmp_orientation(6).decode(), zip=True)
        options = {"pnginfo": text}
    assert_four_colours(decode(files.saved(stored, kind, quality=95, **options)).pixels)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "AVIF", "JPEG2000"])
def test_alpha_is_laid_over_white(kind):
    needs(kind)
    rgba = np.empty((32, 32, 4), np.uint8)
    rgba[:16] = (255, 0, 0, 128)
    rgba[16:] = (0, 0, 0, 0)
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = decode(files.encoded(rgba, kind, **options)).pixels
    np.testing.assert_allclose(pixels[4, 4], (255, 127, 127), atol=3)
    np.testing.assert_allclose(pixels[28, 28], (255, 255, 255), atol=3)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_colour_is_white(kind):
    image = Image.fromarray(np.zeros((8, 8), np.uint8)).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 1)
    pixels = decode(files.saved(image, kind, transparency=0)).pixels
    assert tuple(pixels[4, 4]) == (255, 255, 255)
    assert tuple(pixels[0, 0]) == (200, 100, 50)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bits_are_scaled_not_clipped(kind):
    ramp = np.linspace(0, 65535, 128 * 128).reshape(128, 128).round().astype(np.uint16)
    pixels = decode(files.encoded(ramp, kind)).pixels
    np.testing.assert_allclose(pixels[..., 1], ramp / 257, atol=1)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.linspace(0, 1, 64, dtype=np.float32), np.linspace(0, 255, 64)),
        (np.linspace(-10, 30, 64, dtype=np.float32), np.linspace(0, 255, 64)),
        (np.linspace(0, 1 << 30, 64).astype(np.int32), np.linspace(0, 255, 64)),
        (np.full(64, 7, np.int32), np.zeros(64)),
    ],
    ids=["float within 0 and 1", "any float", "32 bits", "all alike"],
)
def test_deep_tiff_is_scaled_by_its_range(samples, expected):
    pixels = decode(files.encoded(samples.reshape(8, 8), "TIFF")).pixels
    np.testing.assert_allclose(pixels[..., 0].ravel(), expected, atol=1)


def test_what_is_no_number_is_black():
    samples = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    samples[3, 3], samples[4, 4] = np.nan, np.inf
    pixels = decode(files.encoded(samples, "TIFF")).pixels
    assert pixels[3, 3].max() == 0
    assert pixels[7, 7].min() == 255


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(kind):
    image = Image.fromarray(files.four_colours()).convert("CMYK")
    assert_four_colours(decode(files.saved(image, kind)).pixels, 12)


@pytest.mark.parametrize("mode", ["L", "1"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM"])
def test_grey_is_repeated(kind, mode):
    image = Image.fromarray(files.four_colours()).convert(mode)
    pixels = decode(files.saved(image, kind)).pixels
    assert (pixels == np.asarray(image.convert("L"))[..., None]).all()


def test_lab_becomes_rgb():
    image = Image.merge("LAB", [Image.new("L", (8, 8), level) for level in (136, 208, 195)])
    mean = decode(files.saved(image, "TIFF")).pixels.reshape(-1, 3).mean(axis=0)
    assert mean[0] > 200
    assert mean[1:].max() < 80


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_the_first_frame_or_page_counts(kind):
    needs(kind)
    frames = [Image.new("RGB", (32, 32), colour) for colour in (files.RED, files.GREEN, files.BLUE)]
    data = files.saved(frames[0], kind, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(decode(data).pixels[16, 16], files.RED, atol=LOSSY_TOLERANCE)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_file_cut_at_any_tenth_is_refused(kind, tenths):
    needs(kind)
    data = files.encoded(files.photograph(), kind)
    cut = data[: len(data) * tenths // 10]
    with pytest.raises(UnreadableImage) as refusal:
        decode(cut)
    assert str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "more"), [("TIFF", {"compression": "tiff_lzw"}), ("WEBP", {}), ("HEIF", {})]
)
@pytest.mark.parametrize("missing", [1, 4])
def test_a_file_that_lacks_its_last_bytes_is_said_to_be_cut_short(kind, more, missing):
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    else:
        needs(kind)
    data = files.saved(Image.fromarray(files.photograph(61, 43)), kind, **more)
    with pytest.raises(UnreadableImage, match="file is cut short"):
        decode(data[:-missing])


def test_bytes_behind_the_picture_do_no_harm():
    for kind in ("JPEG", "PNG", "GIF", "WEBP"):
        data = files.encoded(files.four_colours(), kind)
        assert_four_colours(decode(data + b"left over\0" * 50).pixels)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just some words\n", "text"),
        (b"<!DOCTYPE html><html></html>", "web page"),
        (b"<?xml version='1.0'?><svg></svg>", "SVG"),
        (bytes(1000), "zero bytes"),
        (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video"),
        (b"%PDF-1.7", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (bytes(range(256)), "unknown content"),
        (b"\xff\xd8\xff", "header"),
        (b"\x89PNG\r\n\x1a\n", "header"),
        (b"GIF89a", "GIF"),
        (b"BM", "BMP"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_reason(data, reason):
    with pytest.raises(UnreadableImage, match=reason):
        decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF"])
def test_the_limit_on_pixels_is_checked_in_every_format(kind):
    needs(kind)
    data = files.encoded(files.four_colours(), kind)
    with pytest.raises(UnreadableImage, match=r"96 x 64 pixels .* limit of 6,143 .*--max-pixels"):
        decode(data, DecodeLimits(max_pixels=96 * 64 - 1))
    assert decode(data, DecodeLimits(max_pixels=96 * 64)).width == 96


def test_remarks_on_odd_metadata_do_not_reach_the_user(recwarn, capfd):
    image = Image.fromarray(files.four_colours()).convert("P")
    decode(files.saved(image, "PNG", transparency=bytes(range(255, 0, -1))))
    broken_mpo = files.encoded(files.four_colours(), "MPO").replace(
        b"MPF\0", b"MPF\0II*\0\xff\xff\xff\xff", 1
    )
    decode(broken_mpo)
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_a_heic_file_without_the_extra_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadableImage, match=r"\[heic\]"):
        decode(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))


def test_heic_is_read_with_the_extra():
    heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    heif.from_pillow(Image.fromarray(files.four_colours())).save(file, quality=95)
    assert_four_colours(decode(file.getvalue()).pixels, 12)


def test_many_threads_decode_many_formats():
    data = [
        files.encoded(files.four_colours(), kind) for kind in ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP")
    ]
    with ThreadPoolExecutor(8) as pool:
        for decoded in pool.map(decode, data * 20):
            assert_four_colours(decoded.pixels)


def test_a_name_that_promises_another_type_is_noted():
    kind = decode(files.encoded(files.four_colours(), "GIF")).kind
    assert wrong_name("/photos/a.jpg", kind) == "named .jpg, but it is GIF"
    assert wrong_name("/photos/a.GIF", kind) == ""
    assert wrong_name("/photos/a", kind) == ""


def bmp_that_only_opencv_opens(width: int, height: int) -> bytes:
    """Black; its header has a length that Pillow does not know."""
    pixels = bytes(-(-width * 3 // 4) * 4 * height)
    header = struct.pack("<IiiHHIIiiII", 60, width, height, 1, 24, 0, len(pixels), 0, 0, 0, 0) + bytes(20)
    return b"BM" + struct.pack("<IHHI", 14 + 60 + len(pixels), 0, 0, 14 + 60) + header + pixels


def test_the_second_decoder_keeps_to_the_limit_too() -> None:
    data = bmp_that_only_opencv_opens(40, 30)
    assert decode(data, DecodeLimits(max_pixels=1200)).pixels.shape == (30, 40, 3)
    with pytest.raises(UnreadableImage, match=r"40 x 30 pixels .*--max-pixels"):
        decode(data, DecodeLimits(max_pixels=1199))


def test_a_header_that_only_claims_to_be_large_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(bmp_that_only_opencv_opens(8, 8))
    data[18:26] = struct.pack("<ii", 30_000, -30_000)
    monkeypatch.setattr(opencv, "_imdecode", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(UnreadableImage, match="30000 x 30000 pixels"):
        decode(bytes(data))


def test_the_second_decoder_finds_the_size_of_jpeg_2000() -> None:
    data = files.encoded(files.four_colours(), "JPEG2000")
    height, width = decode(data).pixels.shape[:2]
    assert _stated_sizes(data, "JPEG 2000") == [(width, height)]
