"""Two files share a second key only where they show the same: what is written about it does not count."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import picture_files as files
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from imgcluster.images.decode import decode
from imgcluster.images.picture_key import picture_key

PIXELS = files.photograph(60, 40)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def segment(marker: int, content: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def jpeg(*segments: bytes, pixels: np.ndarray = PIXELS, **options: object) -> bytes:
    """A JPEG with more segments behind its first."""
    data = files.encoded(pixels, "JPEG", **options)
    first = 4 + int.from_bytes(data[4:6], "big")
    return data[:first] + b"".join(segments) + data[first:]


def png(*chunks: tuple[bytes, bytes], pixels: np.ndarray = PIXELS, **options: object) -> bytes:
    """A PNG with more chunks before its pixels."""
    data = files.encoded(pixels, "PNG", **options)
    return data[:33] + b"".join(files.png_chunk(*chunk) for chunk in chunks) + data[33:]


def exif(**tags: object) -> bytes:
    block = Image.Exif()
    for tag, value in tags.items():
        block[int(tag[1:])] = value
    return block.tobytes()


KEYWORDS = [
    segment(0xFE, b"a comment"),
    segment(0xE1, exif(t270="a description", t274=1)),
    segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<rdf>keywords</rdf>"),
    segment(0xED, b"Photoshop 3.0\0" + b"8BIM keywords"),
    segment(0xE2, b"MPF\0whatever"),
    segment(0xEE, b"Ducky"),
]
OTHERS = [
    segment(0xE1, exif(t274=6)),
    segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + files.xmp_orientation(8)),
    segment(0xE2, b"ICC_PROFILE\0\1\1" + ICC),
    segment(0xEE, b"Adobe\0\x64\0\0\0\0\0"),
]


@pytest.mark.parametrize("progressive", [False, True])
def test_what_is_written_into_a_jpeg_changes_nothing_but_orientation_and_colours(progressive: bool) -> None:
    plain = jpeg(progressive=progressive)
    assert len(picture_key(plain)) == 32
    for number in range(len(KEYWORDS) + 1):
        data = jpeg(*KEYWORDS[:number], progressive=progressive)
        assert picture_key(data) == picture_key(plain)
        assert (decode(data).pixels == decode(plain).pixels).all()
    keys = {picture_key(jpeg(other, progressive=progressive)) for other in OTHERS}
    assert len(keys | {picture_key(plain)}) == len(OTHERS) + 1


def test_resolution_of_paper_is_not_of_the_picture() -> None:
    assert picture_key(jpeg(dpi=(300, 300))) == picture_key(jpeg(dpi=(72, 72)))


@pytest.mark.parametrize("make", [jpeg, png])
def test_every_pixel_counts(make: type) -> None:
    other = PIXELS.copy()
    other[3:9, 5:9] ^= 64
    assert picture_key(make(pixels=other)) != picture_key(make())
    for options in ({"quality": 60}, {"restart_marker_blocks": 2}) if make is jpeg else ({"mode": "L"},):
        assert picture_key(make(**options)) != picture_key(make())


@pytest.mark.parametrize("make", [jpeg, png])
def test_in_doubt_a_file_has_none(make: type) -> None:
    data = make()
    for length in (0, 3, 20, len(data) // 2, len(data) - 2):
        assert picture_key(data[:length]) == b""
    assert picture_key(data + b"more") not in {b"", picture_key(data)}


def test_a_jpeg_with_something_between_its_segments_has_none() -> None:
    assert picture_key(jpeg(b"\0\0")) == b""
    assert picture_key(jpeg(b"\xff")) == b""


def test_what_is_written_into_a_png_changes_nothing_but_orientation_and_colours() -> None:
    plain = png()
    about = [
        (b"tEXt", b"Title\0a title"),
        (b"zTXt", b"Comment\0\0" + zlib.compress(b"a comment")),
        (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<rdf>keywords</rdf>"),
        (b"tIME", bytes(7)),
        (b"eXIf", exif(t270="a description")[6:]),
    ]
    for number in range(len(about) + 1):
        data = png(*about[:number])
        assert picture_key(data) == picture_key(plain)
        assert (decode(data).pixels == decode(plain).pixels).all()
    others = [
        png((b"eXIf", exif(t274=6)[6:])),
        png((b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + files.xmp_orientation(3))),
        png(icc_profile=ICC),
        png((b"gAMA", struct.pack(">I", 45455))),
        png((b"tRNS", bytes(6))),
    ]
    assert len({picture_key(plain), *map(picture_key, others)}) == len(others) + 1


def test_a_png_with_damaged_pixels_is_not_taken_for_a_sound_one() -> None:
    data = bytearray(png())
    data[data.index(b"IDAT") + 30] ^= 1
    assert picture_key(bytes(data)) != picture_key(png())


def test_text_after_the_pixels_does_not_count_either() -> None:
    information = PngImagePlugin.PngInfo()
    information.add(b"tEXt", b"Title\0behind", after_idat=True)
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "PNG", pnginfo=information)
    assert picture_key(file.getvalue()) == picture_key(png())


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "TIFF", "BMP"])
def test_other_formats_have_none(kind: str) -> None:
    assert picture_key(files.encoded(PIXELS, kind)) == b""
