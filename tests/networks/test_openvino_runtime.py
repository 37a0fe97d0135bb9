import os
import subprocess
import sys

import numpy as np
import pytest
from network_data import cosine

from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.recipe import Calibration
from imgcluster.networks.selection import choose

pytestmark = pytest.mark.slow


def load(places, network="efficientnet_lite0", **options):
    return choose(NetworkChoice(network, runtime="openvino", **options), print, places=places).load()


def noise(count, size=224):
    """Smooth coloured noise: more like a photograph than white noise is."""
    coarse = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return coarse.repeat(size // 8, axis=1).repeat(size // 8, axis=2)


def test_openvino_and_tensorflow_agree(lite0, places):
    network = load(places, precision="float32", batch_size=4)
    images = noise(3)
    vectors = network.embed(images)
    assert vectors.shape == (3, network.dimension)
    assert vectors.dtype == np.float32
    assert cosine(vectors, lite0.embed(images)).min() > 0.9999
    assert network.provenance["runtime"] == "openvino"
    alone = np.concatenate([network.embed(image[np.newaxis]) for image in images])
    np.testing.assert_allclose(vectors, alone, atol=1e-4)


def test_the_converted_model_is_kept_and_read_without_tensorflow_or_keras(places):
    load(places)
    kept = set(os.listdir(places.models))
    code = (
        "import sys, numpy as np; from imgcluster.networks.choice import NetworkChoice; "
        "from imgcluster.networks.selection import choose; "
        "from imgcluster.networks.weights import NetworkPlaces; "
        "network = choose(NetworkChoice('efficientnet_lite0', runtime='openvino', batch_size=1), print, "
        f"places=NetworkPlaces(cache={places.cache!r})).load(); "
        "network.embed(np.zeros((1, 224, 224, 3), np.uint8)); "
        "print({'tensorflow', 'keras', 'h5py'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
    assert set(os.listdir(places.models)) == kept


@pytest.mark.parametrize("attempt", range(2))
def test_many_threads_may_embed_at_once_from_the_start(places, attempt):
    load(places)
    script = os.path.join(os.path.dirname(__file__), "many_threads.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, script, places.cache], env=environment, check=True, timeout=100)


def test_int8_is_a_space_of_its_own_close_to_float32(lite0, places):
    said = []

    def chosen():
        calibration = Calibration("noise", lambda space: [noise(20, space.input_size), noise(4)])
        choice = NetworkChoice("efficientnet_lite0", precision="int8", batch_size=4)
        return choose(choice, said.append, places=places, calibration=calibration)

    first, second = chosen(), chosen()
    assert first.space == second.space
    assert first.space.quantisation != "none"
    assert len(said) == 1
    assert first.load().provenance["precision"] == "int8"
    assert cosine(first.load().embed(noise(4)), lite0.embed(noise(4))).min() > 0.8


@pytest.mark.parametrize("name", ["inception_v3", "vgg16", "vgg19", "resnet152", "efficientnet_lite2"])
def test_every_network_gives_the_same_vectors_on_both_runtimes(name, places):
    options = {"weights": "random", "precision": "float32", "batch_size": 1}
    network = load(places, name, **options)
    tensorflow = choose(NetworkChoice(name, runtime="tensorflow", **options), print, places=places).load()
    images = noise(1, tensorflow._size // 8 * 8)
    images = np.pad(images, ((0, 0), *[(0, tensorflow._size % 8)] * 2, (0, 0)), mode="edge")
    vectors = network.embed(images)
    assert np.isfinite(vectors).all()
    assert cosine(vectors, tensorflow.embed(images)).min() > 0.9999
