import os
import subprocess
import sys

import numpy as np
import pytest

from imgcluster.errors import ImgclusterError
from imgcluster.networks.conversion import Calibration
from imgcluster.networks.places import NetworkPlaces
from imgcluster.networks.selection import NetworkChoice, choose


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("cache"))


def load(cache, network="efficientnet_lite0", **options):
    choice = NetworkChoice(network, runtime="openvino", **options)
    return choose(choice, print, places=NetworkPlaces(cache=cache)).load()


def noise(count, size=224):
    """Smooth coloured noise: more like a photograph than white noise is."""
    coarse = np.random.default_rng(1).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return coarse.repeat(size // 8, axis=1).repeat(size // 8, axis=2)


def cosine(a, b):
    return np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def test_openvino_and_tensorflow_agree(lite0, cache):
    network = load(cache, precision="float32", batch_size=4)
    images = noise(3)
    vectors = network.embed(images)
    assert vectors.shape == (3, network.dimension)
    assert vectors.dtype == np.float32
    assert cosine(vectors, lite0.embed(images)).min() > 0.9999
    assert network.provenance["runtime"] == "openvino"
    alone = np.concatenate([network.embed(image[np.newaxis]) for image in images])
    np.testing.assert_allclose(vectors, alone, atol=1e-4)


def test_the_converted_model_is_kept(cache):
    def models():
        return {
            os.path.join(folder, name): os.stat(os.path.join(folder, name)).st_mtime_ns
            for folder, _, names in os.walk(cache)
            for name in names
        }

    load(cache)
    before = models()
    load(cache, batch_size=2)
    assert models() == before
    assert len(before) == 2


def test_neither_tensorflow_nor_keras_is_imported(cache):
    code = (
        "import sys, numpy as np; from imgcluster.networks.selection import NetworkChoice, choose; "
        "from imgcluster.networks.places import NetworkPlaces; "
        "network = choose(NetworkChoice('efficientnet_lite0', runtime='openvino', batch_size=1), print, "
        f"places=NetworkPlaces(cache={cache!r})).load(); "
        "network.embed(np.zeros((1, 224, 224, 3), np.uint8)); "
        "print({'tensorflow', 'keras', 'h5py'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("attempt", range(3))
def test_many_threads_may_embed_at_once_from_the_start(attempt):
    script = os.path.join(os.path.dirname(__file__), "many_threads.py")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, script], env=environment, check=True, timeout=100)


def test_weights_that_do_not_fit_are_refused_by_name_and_nothing_is_kept(tmp_path):
    path = tmp_path / "text.h5"
    path.write_text("not HDF5")
    with pytest.raises(ImgclusterError, match=f"^the weights in {path} do not fit efficientnet_lite0"):
        load(str(tmp_path / "cache"), weights=str(path))
    assert os.listdir(tmp_path / "cache" / "models") == []


@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
def test_a_cache_that_cannot_be_written_is_named_and_the_network_runs(tmp_path, runtime):
    (tmp_path / "cache").write_text("a file")
    said = []
    choice = NetworkChoice("efficientnet_lite0", runtime=runtime, batch_size=1)
    network = choose(choice, said.append, places=NetworkPlaces(cache=str(tmp_path / "cache"))).load()
    assert network.embed(noise(1)).shape == (1, 1280)
    (note,) = said
    assert note.startswith(f"cannot keep a converted model in {tmp_path}/cache/models")


@pytest.mark.slow
def test_int8_is_a_space_of_its_own_close_to_float32(lite0, cache):
    said = []

    def chosen():
        calibration = Calibration("noise", lambda size: [noise(20, size), noise(4, size)])
        choice = NetworkChoice("efficientnet_lite0", precision="int8", batch_size=4)
        return choose(choice, said.append, places=NetworkPlaces(cache=cache), calibration=calibration)

    first, second = chosen(), chosen()
    assert first.space == second.space
    assert first.space.quantisation != "none"
    assert len(said) == 1
    assert first.load().provenance["precision"] == "int8"
    assert cosine(first.load().embed(noise(4)), lite0.embed(noise(4))).min() > 0.8


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inception_v3", "vgg16", "vgg19", "resnet152", "efficientnet_lite2"])
def test_every_network_gives_the_same_vectors_on_both_runtimes(name, tmp_path):
    options = {"weights": "random", "precision": "float32", "batch_size": 1}
    network = load(str(tmp_path), name, **options)
    tensorflow = choose(NetworkChoice(name, runtime="tensorflow", **options), print).load()
    images = noise(1, tensorflow._size // 8 * 8)
    images = np.pad(images, ((0, 0), *[(0, tensorflow._size % 8)] * 2, (0, 0)), mode="edge")
    vectors = network.embed(images)
    assert np.isfinite(vectors).all()
    assert cosine(vectors, tensorflow.embed(images)).min() > 0.9999
