"""PNG: chunks that do harm are dropped, large ones are read in pieces, lies in headers found out."""

from __future__ import annotations

import zlib

import numpy as np
import picture_files as files
import pytest
from picture_files import assert_four_colours
from PIL import Image

from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import decode
from imgcluster.images.memory import MemoryBudget
from imgcluster.images.pixels import shrunk


def test_an_animated_png_gives_its_default_image():
    default, *frames = [Image.new("RGB", (32, 32), colour) for colour in (files.RED, files.GREEN, files.BLUE)]
    data = files.saved(default, "PNG", save_all=True, append_images=frames, default_image=True)
    assert tuple(decode(data).pixels[16, 16]) == files.RED


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


def test_a_panorama_is_read():
    panorama = Image.fromarray(np.zeros((100, 300_000), np.uint8)).convert("1")
    decoded = decode(files.saved(panorama, "PNG"), at_least=50)
    assert (decoded.width, decoded.height) == (300_000, 100)
    assert decoded.pixels.shape[0] >= 50


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1"])
def test_strips_of_a_large_picture_meet_without_a_seam(mode, monkeypatch):
    monkeypatch.setattr("imgcluster.images.pixels.BLOCK_PIXELS", 5000)
    monkeypatch.setattr("imgcluster.images.pixels.LARGE_PIXELS", 5000)
    picture = Image.fromarray(files.photograph(203, 317)).convert(mode)
    data = files.saved(picture, "PNG")
    whole = decode(data).pixels
    assert (whole == np.asarray(picture.convert("RGB"))).all()
    reduced = decode(data, at_least=50).pixels
    assert reduced.shape[1] >= 50
    assert reduced.shape[0] == -(-317 // 4)
    np.testing.assert_allclose(reduced.mean(), whole.mean(), atol=1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA", "I;16"])
def test_a_large_png_is_read_band_by_band_as_if_it_were_read_whole(mode, monkeypatch):
    picture = Image.fromarray(files.photograph(204, 316))
    picture = picture.convert("L").convert(mode) if mode == "I;16" else picture.convert(mode)
    if mode.endswith("A"):
        picture.putalpha(Image.fromarray(files.photograph(204, 316, seed=1)).convert("L"))
    data = files.saved(picture, "PNG")
    whole = decode(data).pixels
    monkeypatch.setattr("imgcluster.images.pixels.BLOCK_PIXELS", 5000)
    monkeypatch.setattr("imgcluster.images.pixels.LARGE_PIXELS", 5000)
    banded = decode(data, at_least=100).pixels
    np.testing.assert_allclose(banded, shrunk(whole, (2, 2)), atol=1)


@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_large_png_that_is_cut_is_refused(tenths, monkeypatch):
    monkeypatch.setattr("imgcluster.images.pixels.BLOCK_PIXELS", 5000)
    monkeypatch.setattr("imgcluster.images.pixels.LARGE_PIXELS", 5000)
    data = files.encoded(files.photograph(200, 300), "PNG")
    start = data.index(b"IDAT") + 4
    stop = start + (len(data) - start - 16) * tenths // 10
    cut = data[: start - 8] + files.png_chunk(b"IDAT", data[start:stop]) + files.png_chunk(b"IEND", b"")
    with pytest.raises(UnreadableImage):
        decode(cut, at_least=50)


def test_a_thin_png_is_read_in_bounded_memory(monkeypatch):
    monkeypatch.setattr("imgcluster.images.pixels.LARGE_PIXELS", 5000)
    budget = MemoryBudget(largest=200 << 20)
    rows = b"".join(bytes([0, level]) for level in (0, 255) for _ in range(500_000))
    thin = decode(files.png_claiming(1, 1_000_000, colour=0, data=rows), at_least=299, budget=budget)
    assert (thin.width, thin.height) == (1, 1_000_000)
    assert thin.pixels.shape == (62_500, 1, 3)
    assert thin.pixels[:31_250].max() == 0
    assert thin.pixels[31_250:].min() == 255
