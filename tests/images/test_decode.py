"""Any file that holds a picture becomes upright RGB; anything else is refused with a reason."""

from __future__ import annotations

import io
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import picture_files as files
import pytest
from PIL import Image, PngImagePlugin, features

from imgcluster.errors import UnreadableImage
from imgcluster.images import pillow_decoder
from imgcluster.images.decode import TRUNCATED, DecodeLimits, decode
from imgcluster.images.header import wrong_name
from imgcluster.images.pillow_decoder import shrunk

WITH_ORIENTATION = ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"]
LOSSY_TOLERANCE = 8


def needs(kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow cannot write AVIF")


def corners(pixels: np.ndarray) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters, row by row."""
    height, width = pixels.shape[:2]
    return [
        tuple(int(level) for level in pixels[row, column])
        for row in (height // 4, 3 * height // 4)
        for column in (width // 4, 3 * width // 4)
    ]


def assert_four_colours(pixels: np.ndarray, tolerance: float = LOSSY_TOLERANCE) -> None:
    expected = [files.RED, files.GREEN, files.BLUE, files.YELLOW]
    np.testing.assert_allclose(corners(pixels), expected, atol=tolerance)


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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["plain", "progressive"])
def test_orientation_is_followed_at_a_reduced_scale_too(orientation, options):
    picture = files.four_colours(640, 480)
    decoded = decode(files.oriented("JPEG", orientation, picture, **options), at_least=100)
    assert (decoded.width, decoded.height) == (640, 480)
    assert decoded.pixels.shape == (120, 160, 3)
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


def test_webp_exif_with_the_prefix_of_jpeg_counts():
    stored = Image.fromarray(files.four_colours()).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = files.saved(
        stored, "WEBP", lossless=True, exif=b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    )
    assert_four_colours(decode(data).pixels, 0)


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


def test_an_animated_png_gives_its_default_image():
    default, *frames = [Image.new("RGB", (32, 32), colour) for colour in (files.RED, files.GREEN, files.BLUE)]
    data = files.saved(default, "PNG", save_all=True, append_images=frames, default_image=True)
    assert tuple(decode(data).pixels[16, 16]) == files.RED


def test_the_content_decides_and_not_a_name():
    for kind in ("GIF", "PNG", "WEBP", "TIFF", "JPEG"):
        assert_four_colours(decode(files.encoded(files.four_colours(), kind)).pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_file_cut_at_any_tenth_is_refused_or_whole(kind, tenths):
    needs(kind)
    data = files.encoded(files.photograph(), kind)
    cut = data[: len(data) * tenths // 10]
    with pytest.raises(UnreadableImage) as refusal:
        decode(cut)
    assert str(refusal.value)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 10}])
def test_a_jpeg_without_its_end_marker_is_cut_short(options):
    data = files.encoded(files.photograph(), "JPEG", **options)
    with pytest.raises(UnreadableImage, match="cut short"):
        decode(data[:-2])


@pytest.mark.parametrize("at_least", [None, 50])
def test_a_jpeg_that_lost_data_before_its_end_marker_is_cut_short(at_least, capfd):
    data = files.encoded(files.photograph(), "JPEG")
    for lost in (100, len(data) // 2):
        with pytest.raises(UnreadableImage, match="cut short"):
            decode(data[: -2 - lost] + data[-2:], at_least=at_least)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 10}])
def test_a_cut_jpeg_can_be_taken_and_says_so(options):
    picture = files.photograph()
    data = files.encoded(picture, "JPEG", **options)
    decoded = decode(data[: len(data) // 2], DecodeLimits(accept_truncated=True))
    assert decoded.note == TRUNCATED
    assert decoded.pixels.shape == picture.shape
    np.testing.assert_allclose(decoded.pixels[:100].mean(), picture[:100].mean(), atol=5)
    whole = decode(data, DecodeLimits(accept_truncated=True))
    assert whole.note == ""


def test_taking_a_cut_jpeg_changes_nothing_for_other_threads():
    data = files.encoded(files.photograph(), "JPEG")
    cut = data[: len(data) // 2]

    def refused(index: int) -> bool:
        try:
            decode(cut, DecodeLimits(accept_truncated=index % 2 == 0))
        except UnreadableImage:
            return True
        return False

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(refused, range(200))) == [index % 2 == 1 for index in range(200)]


def test_bytes_behind_the_picture_do_no_harm():
    for kind in ("JPEG", "PNG", "GIF", "WEBP"):
        data = files.encoded(files.four_colours(), kind)
        assert_four_colours(decode(data + b"left over\0" * 50).pixels)


def test_a_png_that_lacks_its_last_chunk_alone_is_whole():
    data = files.encoded(files.four_colours(), "PNG")
    assert_four_colours(decode(data[:-12]).pixels, 0)


def test_a_png_with_a_wrong_checksum_is_damaged():
    data = bytearray(files.encoded(files.four_colours(), "PNG"))
    data[data.index(b"IDAT") + 20] ^= 1
    with pytest.raises(UnreadableImage, match="checksum"):
        decode(bytes(data))


def test_a_png_comment_that_unpacks_to_gigabytes_is_not_unpacked():
    data = files.encoded(files.four_colours(), "PNG")
    bomb = files.png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(1 << 26), 9))
    end_of_header = 8 + 25
    assert_four_colours(decode(data[:end_of_header] + bomb * 3 + data[end_of_header:]).pixels, 0)


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


def test_a_twelve_bit_jpeg_is_refused_clearly():
    data = bytearray(files.encoded(files.four_colours(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnreadableImage, match="12 bits"):
        decode(bytes(data))


@pytest.mark.parametrize(
    "data",
    [
        files.png_claiming(100_000, 100_000),
        files.png_claiming(20_000, 20_000),
        files.png_claiming(2_000_000, 1),
    ],
)
def test_a_small_file_that_claims_to_be_huge_is_refused_before_memory_is_taken(data):
    with pytest.raises(UnreadableImage, match="pixels"):
        decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF"])
def test_the_limit_on_pixels_is_checked_in_every_format(kind):
    needs(kind)
    data = files.encoded(files.four_colours(), kind)
    with pytest.raises(UnreadableImage, match=r"96 x 64 pixels .* limit of 6,143 .*--max-pixels"):
        decode(data, DecodeLimits(max_pixels=96 * 64 - 1))
    assert decode(data, DecodeLimits(max_pixels=96 * 64)).width == 96


def test_a_panorama_is_read():
    panorama = Image.fromarray(np.zeros((200, 1_000_000), np.uint8)).convert("1")
    decoded = decode(files.saved(panorama, "PNG"), at_least=100)
    assert (decoded.width, decoded.height) == (1_000_000, 200)
    assert decoded.pixels.shape[0] >= 100


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_strips_of_a_large_picture_meet_without_a_seam(mode, monkeypatch):
    monkeypatch.setattr("imgcluster.images.pillow_decoder._STRIP_PIXELS", 5000)
    monkeypatch.setattr("imgcluster.images.pillow_decoder._LARGE_PIXELS", 5000)
    picture = Image.fromarray(files.photograph(203, 317)).convert(mode)
    data = files.saved(picture, "PNG")
    whole = decode(data).pixels
    assert (whole == np.asarray(picture.convert("RGB"))).all()
    reduced = decode(data, at_least=50).pixels
    assert reduced.shape[1] >= 50
    assert reduced.shape[0] == -(-317 // 4)
    np.testing.assert_allclose(reduced.mean(), whole.mean(), atol=1)


@pytest.mark.parametrize(
    ("size", "at_least", "shape"),
    [
        ((800, 600), None, (600, 800)),
        ((800, 600), 301, (600, 800)),
        ((800, 600), 300, (300, 400)),
        ((800, 600), 150, (150, 200)),
        ((800, 600), 76, (150, 200)),
        ((800, 600), 75, (75, 100)),
        ((800, 600), 1, (75, 100)),
        ((801, 601), 300, (301, 401)),
        ((200, 3000), 100, (1500, 100)),
    ],
)
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["plain", "progressive"])
def test_the_reduced_scale_never_falls_below_what_was_asked(size, at_least, shape, options):
    data = files.encoded(files.photograph(*size), "JPEG", **options)
    decoded = decode(data, at_least=at_least)
    assert decoded.pixels.shape[:2] == shape
    assert (decoded.width, decoded.height) == size


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_reduced_scale_looks_like_the_whole(mode):
    data = files.encoded(files.photograph(1600, 1200), "JPEG", mode, quality=92)
    whole = Image.fromarray(decode(data).pixels).resize((400, 300), Image.Resampling.BOX)
    reduced = decode(data, at_least=299).pixels
    assert reduced.shape == (300, 400, 3)
    assert np.abs(np.asarray(whole).astype(int) - reduced).mean() < 2


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
    with pytest.raises(UnreadableImage, match=r"imgcluster\[heic\]"):
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


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA", "I;16"])
def test_a_large_png_is_read_band_by_band_as_if_it_were_read_whole(mode, monkeypatch):
    picture = Image.fromarray(files.photograph(204, 316))
    picture = picture.convert("L").convert(mode) if mode == "I;16" else picture.convert(mode)
    if mode.endswith("A"):
        picture.putalpha(Image.fromarray(files.photograph(204, 316, seed=1)).convert("L"))
    data = files.saved(picture, "PNG")
    whole = decode(data).pixels
    monkeypatch.setattr("imgcluster.images.pillow_decoder._STRIP_PIXELS", 5000)
    monkeypatch.setattr("imgcluster.images.pillow_decoder._LARGE_PIXELS", 5000)
    banded = decode(data, at_least=100).pixels
    np.testing.assert_allclose(banded, shrunk(whole, 2), atol=1)


@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_large_png_that_is_cut_is_refused(tenths, monkeypatch):
    monkeypatch.setattr("imgcluster.images.pillow_decoder._STRIP_PIXELS", 5000)
    monkeypatch.setattr("imgcluster.images.pillow_decoder._LARGE_PIXELS", 5000)
    data = files.encoded(files.photograph(200, 300), "PNG")
    start = data.index(b"IDAT") + 4
    stop = start + (len(data) - start - 16) * tenths // 10
    cut = data[: start - 8] + files.png_chunk(b"IDAT", data[start:stop]) + files.png_chunk(b"IEND", b"")
    with pytest.raises(UnreadableImage):
        decode(cut, at_least=50)


def test_a_name_that_promises_another_type_is_noted():
    kind = decode(files.encoded(files.four_colours(), "GIF")).kind
    assert wrong_name("/photos/a.jpg", kind) == "named .jpg, but it is GIF"
    assert wrong_name("/photos/a.GIF", kind) == ""
    assert wrong_name("/photos/a", kind) == ""


def test_huge_pictures_are_decoded_one_at_a_time_and_never_stuck(monkeypatch):
    monkeypatch.setattr("imgcluster.images.pillow_decoder._HUGE_PIXELS", 100)
    monkeypatch.setattr("imgcluster.images.pillow_decoder._LONGEST_TURN_SECONDS", 0.05)
    data = files.encoded(files.four_colours(), "GIF")
    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(decode, [data] * 8))) == 8
    with pillow_decoder._huge_turn:
        assert_four_colours(decode(data).pixels)
