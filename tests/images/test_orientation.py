"""Orientation is read from EXIF or XMP, and followed in one place."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from imgcluster.images.pillow import orientation_of
from imgcluster.images.pixels import upright


def exif(orientation: int, prefix: bytes = b"") -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return prefix + block.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_turned_as_exif_defines_it(orientation):
    pixels = np.random.default_rng(orientation).integers(0, 256, (5, 7, 3), np.uint8)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    turned = upright(pixels, orientation)
    assert (turned == np.asarray(ImageOps.exif_transpose(image))).all()
    assert turned.flags.c_contiguous


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_are_read(order):
    block = Image.Exif()
    block.endian = order
    block[0x0112] = 6
    assert orientation_of(block.tobytes(), None) == 6


def test_exif_comes_before_xmp_and_nonsense_counts_as_upright():
    xmp = b"<x tiff:Orientation='3'/>"
    assert orientation_of(exif(6), xmp) == 6
    assert orientation_of(exif(6, b"Exif\0\0"), None) == 6
    assert orientation_of(None, xmp) == 3
    assert orientation_of(None, b"<tiff:Orientation>8</tiff:Orientation>") == 8
    assert orientation_of(exif(0), xmp) == 1
    assert orientation_of(exif(9), None) == 1
    assert orientation_of(None, None) == 1


@pytest.mark.parametrize("length", range(0, 60, 3))
def test_a_cut_block_states_nothing_or_the_truth(length):
    assert orientation_of(exif(6)[:length], None) in {1, 6}


def test_noise_is_no_exif():
    random = np.random.default_rng(0)
    for _ in range(500):
        noise = random.integers(0, 256, 64, np.uint8).tobytes()
        orientation_of(b"II*\0" + noise, noise)
