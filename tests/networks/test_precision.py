import subprocess
import sys

import cv2
import numpy as np
import pytest

from imgcluster.networks.places import NetworkPlaces
from imgcluster.networks.selection import NetworkChoice, choose

PHOTOGRAPHS = 8


def cosine(a, b):
    return np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.fixture(scope="module")
def photographs(assets):
    paths = sorted((assets / "images" / "cats_dogs").rglob("*.jpg"))[:: 1000 // PHOTOGRAPHS][:PHOTOGRAPHS]
    images = [cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) for path in paths]
    return np.stack(
        [cv2.resize(image, (299, 299), interpolation=cv2.INTER_AREA)[..., ::-1] for image in images]
    )


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
def test_bfloat16_and_float32_are_one_feature_space(photographs, inception_weights, tmp_path, runtime):
    def vectors(precision):
        choice = NetworkChoice(
            weights=inception_weights, runtime=runtime, precision=precision, batch_size=PHOTOGRAPHS
        )
        network = choose(choice, print, places=NetworkPlaces(cache=str(tmp_path))).load()
        assert network.provenance["precision"] == precision
        return network.embed(photographs)

    exact, quick, again = vectors("float32"), vectors("bfloat16"), vectors("float32")
    assert cosine(exact, quick).min() > 0.999
    np.testing.assert_allclose(exact, again, atol=1e-4)  # one network's precision does not leak into the next


def test_loading_on_tensorflow_is_silent():
    code = (
        "import sys; from imgcluster.networks.selection import NetworkChoice, choose; "
        "choose(NetworkChoice('efficientnet_lite0', runtime='tensorflow', batch_size=1), print).load(); "
        "sys.stderr.write('the last line')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == "the last line"
