import importlib
from dataclasses import replace

import h5py
import numpy as np
import pytest

from imgcluster.errors import ImgclusterError
from imgcluster.networks.catalog import find_network
from imgcluster.networks.weights import locate

# Keras hands its variables to NumPy in a way that NumPy 2 calls outdated.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def model(lite0):
    return importlib.import_module("imgcluster.networks.model")


def lite(weights, model, pooling="avg", size=64):
    return model.build_model(find_network("efficientnet_lite0"), weights, size, pooling)


def grey(value):
    return np.full((1, 1, 1, 3), value, np.float32)


def test_inception_pixels_lie_between_minus_one_and_one(model):
    how = find_network("inception_v3").preprocessing
    got = [np.asarray(model.preprocess(grey(value), how)).ravel() for value in (0, 127.5, 255)]
    np.testing.assert_allclose(got, [[-1] * 3, [0] * 3, [1] * 3], atol=1e-6)


@pytest.mark.parametrize("name", ["vgg16", "vgg19", "resnet152"])
def test_vgg_and_resnet_pixels_are_bgr_less_their_mean(model, name):
    red, green, blue = 10.0, 127.5, 255.0
    pixels = np.array([[[[red, green, blue]]]], np.float32)
    got = np.asarray(model.preprocess(pixels, find_network(name).preprocessing)).ravel()
    np.testing.assert_allclose(got, [blue - 103.939, green - 116.779, red - 123.68], rtol=1e-6)


def test_efficientnet_lite_pixels_are_centred_on_127(model):
    how = find_network("efficientnet_lite0").preprocessing
    got = [np.asarray(model.preprocess(grey(value), how)).ravel()[0] for value in (0, 127, 255)]
    np.testing.assert_allclose(got, [-127 / 128, 0, 1], atol=1e-6)


def test_uint8_pixels_are_preprocessed_as_floats(model):
    how = find_network("vgg16").preprocessing
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
    np.testing.assert_array_equal(
        np.asarray(model.preprocess(pixels, how)),
        np.asarray(model.preprocess(pixels.astype(np.float32), how)),
    )


@pytest.mark.parametrize(
    ("name", "parameters"), [("efficientnet_lite0", 3413024), ("efficientnet_lite2", 4869168)]
)
def test_efficientnet_lite_has_the_published_number_of_parameters(model, name, parameters):
    assert model.build_model(find_network(name), None, 64, "avg").count_params() == parameters


def test_random_weights_are_the_same_every_time(model):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    first, second = (np.asarray(lite(None, model)(pixels)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(first).all()
    assert first.std() > 0


@pytest.mark.parametrize(("pooling", "dimension"), [("avg", 1280), ("max", 1280), ("flatten", 2 * 2 * 1280)])
def test_the_pooling_decides_the_dimension(model, pooling, dimension):
    assert lite(None, model, pooling).output_shape == (None, dimension)


@pytest.mark.parametrize("ending", [".h5", ".weights.h5"])
def test_weights_that_keras_saved_are_read(model, tmp_path, ending):
    path = str(tmp_path / f"mine{ending}")
    body = model._build_body(find_network("efficientnet_lite0"), 64, "avg")
    model._randomise(body)
    body.save_weights(path) if ending == ".weights.h5" else _save_legacy(body, path)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), np.uint8)
    np.testing.assert_allclose(
        np.asarray(lite(path, model)(pixels)), np.asarray(lite(None, model)(pixels)), rtol=1e-5
    )


def _save_legacy(body, path):
    legacy_h5_format = importlib.import_module("keras.src.legacy.saving.legacy_h5_format")
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, body)


def test_weights_with_a_classifier_are_read_without_it(model, tmp_path):
    network = replace(find_network("inception_v3"), input_size=96)
    whole = model._build_body(network, 96, "avg", include_top=True)
    model._randomise(whole)
    path = str(tmp_path / "whole.h5")
    _save_legacy(whole, path)
    body = model._build_body(network, 96, "avg")
    model._load(body, network, path)
    for got, expected in zip(body.get_weights(), whole.get_weights(), strict=False):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("ending", [".h5", ".weights.h5"])
def test_weights_of_another_network_are_refused_by_name(model, tmp_path, ending):
    path = str(tmp_path / f"other{ending}")
    other = model._build_body(find_network("efficientnet_lite2"), 64, "avg")
    other.save_weights(path) if ending == ".weights.h5" else _save_legacy(other, path)
    with pytest.raises(ImgclusterError, match=f"{path} do not fit efficientnet_lite0"):
        lite(path, model)


def test_a_file_that_is_no_hdf5_is_refused_by_name(model, tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("not HDF5")
    with pytest.raises(ImgclusterError, match=f"{path} do not fit efficientnet_lite0"):
        lite(str(path), model)


def test_the_package_of_one_network_does_not_pass_for_another(model):
    other = locate(find_network("efficientnet_lite2")).path
    with pytest.raises(ImgclusterError, match="SHA-256 differs"):
        lite(other, model)


def test_an_input_that_is_too_small_is_refused(model):
    with pytest.raises(ImgclusterError, match="inception_v3 cannot take images of 32 pixels"):
        model.build_model(find_network("inception_v3"), None, 32, "avg")
