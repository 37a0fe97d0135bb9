"""JPEG: whole or refused, quickly at a reduced scale, never below what was asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import picture_files as files
import pytest
from picture_files import assert_four_colours
from PIL import Image

from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import DecodeLimits, decode
from imgcluster.images.jpeg import TRUNCATED, UNENDED


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["plain", "progressive"])
def test_orientation_is_followed_at_a_reduced_scale_too(orientation, options):
    picture = files.four_colours(640, 480)
    decoded = decode(files.oriented("JPEG", orientation, picture, **options), at_least=100)
    assert (decoded.width, decoded.height) == (640, 480)
    assert decoded.pixels.shape == (120, 160, 3)
    assert_four_colours(decoded.pixels)


def test_webp_exif_with_the_prefix_of_jpeg_counts():
    stored = Image.fromarray(files.four_colours()).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = files.saved(
        stored, "WEBP", lossless=True, exif=b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    )
    assert_four_colours(decode(data).pixels, 0)


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("at_least", [None, 50])
def test_a_jpeg_that_lacks_its_end_marker_alone_is_whole_and_says_so(missing, at_least):
    data = files.encoded(files.photograph(), "JPEG")
    decoded = decode(data[:-missing], at_least=at_least)
    assert decoded.note == UNENDED
    assert (decoded.pixels == decode(data, at_least=at_least).pixels).all()


@pytest.mark.parametrize("missing", [3, 4, 5, 6, 8, 10, 14, 20])
def test_a_jpeg_that_lacks_data_besides_is_cut_short(missing):
    with pytest.raises(UnreadableImage, match="cut short"):
        decode(files.encoded(files.photograph(), "JPEG")[:-missing])


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 10}])
def test_a_jpeg_of_many_parts_without_its_end_marker_is_cut_short(options):
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


def test_a_twelve_bit_jpeg_is_refused_clearly():
    data = bytearray(files.encoded(files.four_colours(), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(UnreadableImage, match="12 bits"):
        decode(bytes(data))


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
