"""The type of a file is told by its first bytes."""

from __future__ import annotations

import picture_files as files
import pytest

from imgcluster.errors import UnreadableImage
from imgcluster.images.header import image_type


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("JPEG", "JPEG"),
        ("MPO", "JPEG"),
        ("PNG", "PNG"),
        ("GIF", "GIF"),
        ("TIFF", "TIFF"),
        ("BMP", "BMP"),
        ("DIB", "DIB"),
        ("WEBP", "WebP"),
        ("PPM", "PNM"),
        ("JPEG2000", "JPEG 2000"),
    ],
)
def test_files_as_they_are_written(kind, expected):
    assert image_type(files.encoded(files.four_colours(), kind)) == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0avifmif1", "AVIF"),
        (b"\0\0\0\x18ftypavis\0\0\0\0avismsf1", "AVIF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0heicmif1", "HEIC"),
        (b"II+\0\x08\0\0\0", "TIFF"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"P4\n", "PNM"),
    ],
)
def test_variants_of_the_signatures(start, expected):
    assert image_type(start + bytes(32)) == expected


def test_letters_alone_are_no_signature():
    for text in (b"P7 is not read", b"Pictures", b"RIFF....WAVE", b"\xff\xd8", b"GIF"):
        with pytest.raises(UnreadableImage, match="not an image"):
            image_type(text)
