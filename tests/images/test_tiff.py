"""Large TIFFs take little more memory than their pixels, whatever those are."""

from __future__ import annotations

import numpy as np
import picture_files as files
import pytest
import written_by_hand as by_hand
from PIL import Image

from imgcluster.errors import UnreadableImage
from imgcluster.images.decode import decode
from imgcluster.images.memory import MemoryBudget
from imgcluster.images.pixels import shrunk


@pytest.fixture
def small_blocks(monkeypatch):
    """What counts as large begins at pictures that a test has the time to make."""
    monkeypatch.setattr("imgcluster.images.pixels.BLOCK_PIXELS", 5000)
    monkeypatch.setattr("imgcluster.images.pixels.LARGE_PIXELS", 5000)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_is_converted_block_by_block_as_if_it_were_whole(mode, small_blocks):
    picture = Image.fromarray(files.photograph(204, 316))
    picture = picture.convert("L").convert(mode) if mode in {"I;16", "I", "F"} else picture.convert(mode)
    data = files.saved(picture, "TIFF", compression="tiff_lzw")
    reduced = decode(data, at_least=100).pixels
    np.testing.assert_allclose(reduced, shrunk(decode(data).pixels, (2, 2)), atol=1)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_floats_of_colour_share_one_range_in_all_blocks(dtype, small_blocks):
    samples = files.photograph(204, 316).astype(dtype)
    samples[200:, :, 1] = 1000
    samples[:9, :, 2] = -20
    data = by_hand.tiff(samples, sample_format=3)
    expected = (samples + 20) / 1020 * 255
    np.testing.assert_allclose(decode(data).pixels, expected, atol=1)
    blocks = expected.reshape(158, 2, 102, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(decode(data, at_least=100).pixels, blocks, atol=1)


@pytest.mark.parametrize("dtype", ["f4", "i4"])
def test_deep_samples_need_no_copies_of_the_whole_picture(dtype, small_blocks):
    data = files.saved(Image.fromarray(files.photograph(600, 500)[..., 0].astype(dtype)), "TIFF")
    assert decode(data, at_least=100, budget=MemoryBudget(largest=10 * 600 * 500)).width == 600


def test_floats_in_planes_which_no_decoder_reads_rightly_are_refused():
    data = by_hand.tiff(np.zeros((16, 24, 3), np.float32), sample_format=3, planar=True)
    with pytest.raises(UnreadableImage, match="not read"):
        decode(data)
