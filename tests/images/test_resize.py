"""Resizing: areas where it shrinks, lines where it grows, each axis by itself."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from imgcluster.images.resize import side_needed, to_fit, to_square


def test_shrinking_averages_areas():
    pixels = np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)
    square = to_square(pixels, 40)
    blocks = pixels.reshape(40, 2, 40, 3, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(square, blocks, atol=1)


def test_fine_stripes_turn_grey_and_make_no_pattern():
    pixels = np.zeros((2000, 2000, 3), np.uint8)
    pixels[:, ::2] = 255
    square = to_square(pixels, 299)
    assert 110 <= square.min() <= square.max() <= 145


def test_growing_is_linear():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[:, 1] = 200
    row = to_square(pixels, 50)[25, :, 0].astype(int)
    assert row[0] == 0
    assert row[-1] == 200
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() <= 9


@pytest.mark.parametrize("shape", [(1, 4096), (4096, 1), (10, 1000), (299, 50), (50, 299), (298, 300)])
def test_each_axis_is_treated_by_itself(shape):
    ramp = np.linspace(0, 255, shape[0] * shape[1]).reshape(shape)
    pixels = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)
    square = to_square(pixels, 299)
    assert square.shape == (299, 299, 3)
    assert square.dtype == np.uint8
    np.testing.assert_allclose(square.mean(), pixels.mean(), atol=2)


def test_a_strip_of_stripes_is_averaged_along_its_length_only():
    pixels = np.zeros((10, 3000, 3), np.uint8)
    pixels[:, ::2] = 255
    pixels[5:] = 0
    square = to_square(pixels, 100)
    assert abs(int(square[10, 50, 0]) - 127) <= 2
    assert square[90, 50, 0] == 0


def test_the_right_size_stays_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    assert (to_square(pixels, 64) == pixels).all()


@pytest.mark.parametrize(
    ("shape", "fitted"), [((300, 400), (120, 160)), ((400, 300), (160, 120)), ((1, 4000), (1, 160))]
)
def test_fitting_keeps_the_aspect_ratio(shape, fitted):
    assert to_fit(np.zeros((*shape, 3), np.uint8), 160).shape == (*fitted, 3)


def test_fitting_never_enlarges():
    assert to_fit(np.zeros((10, 20, 3), np.uint8), 160).shape == (10, 20, 3)


def test_a_crop_shows_the_middle_and_keeps_the_aspect_ratio():
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[10:90, 110:190] = 200
    assert (to_square(pixels, 40, crop=0.8) == 200).all()
    assert side_needed(224, 0.875) == 256
    assert side_needed(224, 0) == 224


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos"])
def test_interpolations_of_pytorch_are_those_of_pillow(interpolation):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    expected = Image.fromarray(pixels).resize((40, 40), getattr(Image.Resampling, interpolation.upper()))
    np.testing.assert_array_equal(to_square(pixels, 40, interpolation=interpolation), np.asarray(expected))
