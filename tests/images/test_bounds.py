"""What a header says is bounded, and so is the time and the memory that it can take."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib

import numpy as np
import picture_files as files
import pytest
from PIL import Image

from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import decode
from imgcluster.images.facts import image_facts
from imgcluster.images.picture_key import picture_key
from imgcluster.images.pillow import open_image
from imgcluster.images.remarks import with_few_remarks

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, rows: bytes, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"".join([SIGNATURE, header, *more, chunk(b"IDAT", rows), chunk(b"IEND", b"")])


@pytest.mark.parametrize("size", [(1, 499_000_000), (499_000_000, 1), (1, 10_000_001)])
def test_no_side_has_more_than_ten_million_pixels(size: tuple[int, int]) -> None:
    """S17: one pixel wide and 499 million high, each row of which takes a decoder its time."""
    with pytest.raises(UnreadableImage, match="no side may have more than 10,000,000"):
        decode(png(*size, bytes(1 << 20)), at_least=64)


def test_a_thin_picture_is_decoded_in_bands() -> None:
    data = png(1, 300_000, zlib.compress(bytes(600_000)))
    assert decode(data, at_least=64).pixels.shape[0] <= 1 << 20


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["F", "I"])
def test_a_small_file_of_a_huge_tiff_takes_no_more_than_the_budget(mode: str) -> None:
    """S17: 43 KB that are 22,000 x 22,000 numbers of four bytes."""
    file = io.BytesIO()
    Image.new(mode, (64, 64)).save(file, "TIFF", compression="tiff_deflate")
    data = bytearray(file.getvalue())
    start = struct.unpack_from("<I", data, 4)[0]
    for at in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
        tag, _ = struct.unpack_from("<HH", data, at)
        if tag in {256, 257, 278}:  # width, height, rows of a strip
            struct.pack_into("<HHII", data, at, tag, 4, 1, 22_000)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImage):
            decode(bytes(data), at_least=64)
        assert tracemalloc.get_traced_memory()[1] < 1 << 30
    finally:
        tracemalloc.stop()


def test_a_png_of_a_million_chunks_is_refused() -> None:
    many = chunk(b"tEXt", b"") * ((1 << 20) + 1)
    with pytest.raises(UnreadableImage, match="more than 1,048,576 chunks"):
        decode(png(4, 4, zlib.compress(bytes(20)), many))


def test_orientations_without_end_take_no_time() -> None:
    many = chunk(b"eXIf", bytes(1000)) * 40_000
    data = png(4, 4, zlib.compress(bytes(20)), many)
    assert decode(data).width == 4
    assert len(picture_key(data)) in {0, 32}


def test_a_jpeg_of_endless_segments_is_refused() -> None:
    data = files.encoded(np.zeros((16, 16, 3), np.uint8), "JPEG")
    with pytest.raises(UnreadableImage, match="more than 65,536 segments"):
        decode(data[:2] + b"\xff\xfe\x00\x02" * 70_000 + data[2:])


def test_a_jpeg_2000_that_begins_again_and_again_takes_no_memory() -> None:
    data = b"\xff\x4f\xff\x51" + bytes(4) + b"\xff\x4f\xff\x51" * 500_000
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImage):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 50 << 20
    finally:
        tracemalloc.stop()


def test_a_jpeg_s_endless_exif_is_not_put_together() -> None:
    """Pillow joins the segments one by one: 100 MB of them took it a minute, and 2 GB hours."""
    exif = Image.Exif()
    exif[274], exif[306] = 6, "2024:05:31 12:00:00"
    file = io.BytesIO()
    Image.new("RGB", (8, 4)).save(file, "JPEG", progressive=True, exif=exif)
    more = b"\xff\xe1" + struct.pack(">H", 65_535) + b"Exif\0\0" + bytes(65_527)
    data = file.getvalue()
    at = data.index(b"\xff\xdb")
    data = data[:at] + 40 * more + data[at:]
    with open_image(data, "JPEG") as image:
        assert len(image.info["exif"]) < 1000
    assert decode(data).pixels.shape == (8, 4, 3)
    assert image_facts(data).taken == "2024-05-31T12:00:00"


def test_of_heic_the_first_exif_is_read_and_nothing_that_unpacks() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[306] = "2024:05:31 12:00:00"
    file = io.BytesIO()
    heif = pillow_heif.from_pillow(Image.new("RGB", (64, 64), (200, 30, 30)))
    heif.save(file, format="HEIF", exif=exif.tobytes(), xmp=b"<x:xmpmeta/>")
    data = file.getvalue()
    with open_image(data, "HEIC") as image:
        assert image.info.get("exif")
        assert not image.info.get("xmp")
    assert image_facts(data).taken == "2024-05-31T12:00:00"
    assert np.array_equal(decode(data).pixels, decode(with_few_remarks(data, "HEIC")).pixels)


@pytest.mark.parametrize(("kind", "kept"), [("HEIC", [b"Exif"]), ("AVIF", [b"Exif", b"mime"])])
def test_of_the_heif_family_one_block_of_each_kind_is_read(kind: str, kept: list[bytes]) -> None:
    entries = [b"infe\2" + bytes(7), b"infe" + bytes(8) + b"\3" + bytes(9)]
    data = b"".join(entry + item for item in (b"Exif", b"mime", b"av01") for entry in entries)
    few = with_few_remarks(data, kind)
    assert len(few) == len(data)
    assert [item for item in (b"Exif", b"mime") for _ in range(few.count(item))] == kept
    assert few.count(b"av01") == 2


def test_a_gif_s_comments_take_no_more_than_the_file() -> None:
    file = io.BytesIO()
    Image.new("P", (8, 8)).save(file, "GIF")
    data = file.getvalue()
    at = data.index(b",")
    data = data[:at] + b"!\xfe" + (b"\xff" + bytes(b"a" * 255)) * 20_000 + b"\0" + data[at:]
    tracemalloc.start()
    try:
        assert decode(data).pixels.shape == (8, 8, 3)
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    finally:
        tracemalloc.stop()
