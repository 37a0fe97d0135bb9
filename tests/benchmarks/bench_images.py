"""Folders of images to measure on: copies of real photographs, mosaics of them, and very many small files."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np

from imgcluster.images.decode import decode
from imgcluster.images.encode import encode_image
from imgcluster.images.file_bytes import read_file
from imgcluster.images.find import find_images
from imgcluster.images.resize import to_square
from imgcluster.images.views import views
from imgcluster.records import SilentProgress
from imgcluster.workflows.demo_images import PHOTOGRAPHS, photograph_pixels

LONG_AGO = (10**18, 10**18)
_TILE = (400, 375)
_TILES = 8, 10  # of 375 x 400 pixels: 4,000 x 3,000


def photographs(folder: Path, count: int, originals: Path | None) -> Path:
    """Fill a folder with `count` photographs of about 400 x 360 pixels, each another one byte for byte.

    Without `originals` they are views of the photographs that come with Python packages.
    """
    contents = itertools.cycle(_real(originals) if originals else _made())
    folder.mkdir()
    for number, data in enumerate(itertools.islice(contents, count)):
        # What follows the end of a JPEG is not looked at, but makes it another file.
        (folder / f"{number:06}.jpg").write_bytes(data + b"%06d" % number)
    return folder


def large_photographs(folder: Path, count: int, small: Path) -> Path:
    """Fill a folder with mosaics of 12 megapixels of the photographs in `small`."""
    folder.mkdir()
    rows, columns = _TILES
    paths = itertools.cycle(sorted(small.iterdir()))
    for number in range(count):
        tiles = [
            to_square(decode(read_file(str(path))).pixels, max(_TILE))[: _TILE[1]]
            for path in itertools.islice(paths, rows * columns)
        ]
        lines = [np.concatenate(tiles[row * columns : (row + 1) * columns], axis=1) for row in range(rows)]
        data = encode_image(np.concatenate(lines), ".jpg") + b"%03d" % number  # another file, as above
        (folder / f"{number:03}.jpg").write_bytes(data)
    return folder


def small_files(folder: Path, count: int) -> Path:
    """Fill a folder with `count` tiny files in folders of 1,000, a hundred of them different."""
    noise = np.random.default_rng(0).integers(0, 256, (100, 16, 16, 3), np.uint8)
    contents = [encode_image(pixels, ".jpg") for pixels in noise]
    for number in range(count):
        path = folder / f"{number // 1000:03}" / f"photograph {number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[number % len(contents)])
        os.utime(path, ns=LONG_AGO)
    return folder


def _real(originals: Path) -> list[bytes]:
    files = find_images([str(originals)], progress=SilentProgress()).files
    return [read_file(file.path) for file in files[:: max(1, len(files) // 1000)]]


def _made() -> list[bytes]:
    return [
        encode_image(to_square(view, 400)[:360], ".jpg")
        for seed, photograph in enumerate(PHOTOGRAPHS)
        for view in views(photograph_pixels(photograph), 25, seed)
    ]
