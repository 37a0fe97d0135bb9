"""Small picture files made on the spot: four colours, so that every turn and every mix-up shows."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, features

RED, GREEN, BLUE, YELLOW = (200, 30, 60), (20, 160, 40), (30, 40, 190), (230, 210, 50)
WIDTH, HEIGHT = 96, 64
LOSSY_TOLERANCE = 8

_TO_STORE = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How the upright picture has to lie in the file for each orientation to bring it upright."""


def four_colours(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """(height, width, 3): red and green above, blue and yellow below."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = YELLOW
    return pixels


def photograph(width: int = 400, height: int = 300, seed: int = 0) -> np.ndarray:
    """Smooth noise, which compresses as photographs do."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (height // 20 + 2, width // 20 + 2, 3), np.uint8)
    smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    grain = random.integers(-6, 7, (height, width, 1))
    return np.clip(np.asarray(smooth).astype(int) + grain, 0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, kind: str, mode: str | None = None, **options: object) -> bytes:
    image = Image.fromarray(pixels)
    return saved(image.convert(mode) if mode else image, kind, **options)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def oriented(kind: str, orientation: int, pixels: np.ndarray | None = None, **options: object) -> bytes:
    """A file that shows `pixels` upright once its EXIF orientation is followed."""
    return saved(stored(orientation, pixels), kind, exif=oriented_exif(orientation), **options)


def stored(orientation: int, pixels: np.ndarray | None = None) -> Image.Image:
    """The picture as it lies in a file of that orientation."""
    image = Image.fromarray(four_colours() if pixels is None else pixels)
    turn = _TO_STORE.get(orientation)
    return image if turn is None else image.transpose(turn)


def oriented_exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def xmp_orientation(orientation: int) -> bytes:
    return (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/>'
        b"</rdf:RDF></x:xmpmeta>"
    ) % orientation


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_claiming(width: int, height: int, bits: int = 8, colour: int = 2, data: bytes = b"\0" * 10) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(name, content) for name, content in chunks)


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
    expected = [RED, GREEN, BLUE, YELLOW]
    np.testing.assert_allclose(corners(pixels), expected, atol=tolerance)
