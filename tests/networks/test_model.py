import importlib
import os
from dataclasses import replace
from functools import partial

import h5py
import numpy as np
import pytest
from network_data import SMALL, small

from imgcluster.errors import ImgclusterError
from imgcluster.networks.catalog import find_network
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.recipe import Recipe
from imgcluster.networks.weights import Weights, locate
from imgcluster.records import FeatureSpace

# Keras hands its variables to NumPy in a way that NumPy 2 calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def model():
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    return importlib.import_module("imgcluster.networks.model")


def build(model, network, weights=None, pooling="avg", size=64):
    space = FeatureSpace(network.name, "", size, pooling)
    return model.build_model(Recipe(NetworkChoice("vgg16"), network, Weights(weights, "", ""), space))


def preprocessed(model, network, *pixel):
    return np.asarray(model.preprocess(np.array([[[pixel]]], np.float32), network)).ravel()


@pytest.mark.parametrize(
    ("name", "pixel", "expected"),
    [
        ("inception_v3", (0, 127.5, 255), (-1, 0, 1)),
        ("vgg16", (10, 127.5, 255), (255 - 103.939, 127.5 - 116.779, 10 - 123.68)),
        ("vgg19", (10, 127.5, 255), (255 - 103.939, 127.5 - 116.779, 10 - 123.68)),
        ("resnet152", (10, 127.5, 255), (255 - 103.939, 127.5 - 116.779, 10 - 123.68)),
        ("efficientnet_lite0", (0, 127, 255), (-127 / 128, 0, 1)),
        ("efficientnet_lite2", (0, 127, 255), (-127 / 128, 0, 1)),
    ],
)
def test_pixels_get_the_range_and_order_of_the_training(model, name, pixel, expected):
    np.testing.assert_allclose(
        preprocessed(model, find_network(name), *pixel), expected, rtol=1e-6, atol=1e-6
    )


def test_every_channel_has_a_deviation_of_its_own(model):
    network = replace(find_network("vgg16"), channels="rgb", mean=(1.0, 2.0, 3.0), std=(1.0, 2.0, 4.0))
    np.testing.assert_allclose(preprocessed(model, network, 2, 4, 11), (1, 1, 2))
    first = replace(network, layout="first")
    assert model.preprocess(np.zeros((1, 4, 5, 3), np.float32), first).shape == (1, 3, 4, 5)


def test_uint8_pixels_are_preprocessed_as_floats(model):
    how = find_network("vgg16")
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(
        np.asarray(model.preprocess(pixels, how)),
        np.asarray(model.preprocess(pixels.astype(np.float32), how)),
    )


def test_efficientnet_lite_has_the_published_number_of_parameters(model):
    for name, parameters in (("efficientnet_lite0", 3413024), ("efficientnet_lite2", 4869168)):
        assert model._build_body(find_network(name), 64, "avg").count_params() == parameters


def test_random_weights_are_the_same_every_time(model):
    for first, second in zip(*(build(model, SMALL).get_weights() for _ in range(2)), strict=True):
        np.testing.assert_array_equal(first, second)
        assert np.isfinite(first).all()


@pytest.mark.parametrize(("pooling", "dimension"), [("avg", 5), ("max", 5), ("flatten", 8 * 8 * 5)])
def test_the_pooling_decides_the_dimension(model, pooling, dimension):
    assert build(model, SMALL, pooling=pooling).output_shape == (None, dimension)


def test_weights_that_keras_saved_are_read(model, tmp_path):
    body = model._build_body(SMALL, 64, "avg")
    model._randomise(body)
    body.save_weights(tmp_path / "mine.weights.h5")
    _save_legacy(body, tmp_path / "mine.h5")
    for ending in (".h5", ".weights.h5"):
        read = build(model, SMALL, str(tmp_path / f"mine{ending}")).get_weights()
        for got, expected in zip(read, body.get_weights(), strict=True):
            np.testing.assert_array_equal(got, expected)


def _save_legacy(body, path):
    legacy_h5_format = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, body)


def test_weights_with_a_classifier_are_read_without_it(model, tmp_path):
    published = find_network("vgg16").weights
    network = replace(SMALL, weights=published)
    whole = model._build_body(network, 64, "avg", include_top=True)
    model._randomise(whole)
    path = str(tmp_path / "whole.h5")
    _save_legacy(whole, path)
    body = model._build_body(network, 64, "avg")
    model._load(body, network, path)
    for got, expected in zip(body.get_weights(), whole.get_weights(), strict=False):
        np.testing.assert_array_equal(got, expected)


def test_weights_of_another_network_are_refused_by_name(model, tmp_path):
    wider = replace(SMALL, builder=partial(small, width=6))
    other = model._build_body(wider, 64, "avg")
    other.save_weights(tmp_path / "other.weights.h5")
    _save_legacy(other, tmp_path / "other.h5")
    for ending in (".h5", ".weights.h5"):
        path = str(tmp_path / f"other{ending}")
        with pytest.raises(ImgclusterError, match=f"{path} do not fit small"):
            build(model, SMALL, path)


def test_a_file_that_is_no_hdf5_is_refused_by_name(model, tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("not HDF5")
    with pytest.raises(ImgclusterError, match=f"{path} do not fit small"):
        build(model, SMALL, str(path))


def test_the_package_of_one_network_does_not_pass_for_another(model):
    other = locate(find_network("efficientnet_lite2")).path
    with pytest.raises(ImgclusterError, match="SHA-256 differs"):
        build(model, find_network("efficientnet_lite0"), other)


def test_an_input_that_is_too_small_is_refused(model):
    with pytest.raises(ImgclusterError, match="inception_v3 cannot take images of 32 pixels"):
        build(model, find_network("inception_v3"), size=32)
