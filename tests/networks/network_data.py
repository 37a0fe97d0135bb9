"""What the tests of networks share that is no fixture."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from imgcluster.networks.catalog import Network
from imgcluster.networks.choice import NetworkChoice

LITE0 = NetworkChoice("efficientnet_lite0", runtime="tensorflow", precision="float32", batch_size=4)
"""A real network, the one that is made most quickly; kept, so that it is made once."""


def small(*, include_top, weights, input_shape, pooling, width=5):
    """A network of two layers, and of a third where the classifier is asked for."""
    keras = importlib.import_module("keras")
    values = pixels = keras.Input(input_shape)
    for stride in (4, 2):
        values = keras.layers.Conv2D(width, 3, stride, "same", activation="relu")(values)
    if include_top or pooling == "avg":
        values = keras.layers.GlobalAveragePooling2D()(values)
    elif pooling == "max":
        values = keras.layers.GlobalMaxPooling2D()(values)
    return keras.Model(pixels, keras.layers.Dense(7)(values) if include_top else values)


SMALL = Network("small", input_size=64, dimension=5, builder=small)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def checked_pixels(size: int) -> np.ndarray:
    """The made-up image that reference values are published for."""
    row, column, channel = np.ogrid[:size, :size, :3]
    return ((31 * row + 17 * column + 7 * channel) % 256).astype(np.uint8)[np.newaxis]


def assert_inception_v3(vectors: np.ndarray) -> None:
    """The reference values of the published weights."""
    (vector,) = vectors
    assert np.linalg.norm(vector) == pytest.approx(19.3292, abs=5e-4)
    assert vector.mean() == pytest.approx(0.25562, abs=2e-5)
    np.testing.assert_allclose(vector[:6], [0.40188, 0, 0.22782, 0, 0.14543, 1.27182], atol=1e-4)
