import cv2
import numpy as np
import pytest
from network_data import cosine

from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.selection import choose

PHOTOGRAPHS = 8


@pytest.fixture(scope="module")
def photographs(assets):
    paths = sorted((assets / "images" / "cats_dogs").rglob("*.jpg"))[:: 1000 // PHOTOGRAPHS][:PHOTOGRAPHS]
    images = [cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) for path in paths]
    return np.stack(
        [cv2.resize(image, (299, 299), interpolation=cv2.INTER_AREA)[..., ::-1] for image in images]
    )


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
def test_bfloat16_and_float32_are_one_feature_space(photographs, inception_weights, places, runtime):
    def vectors(precision):
        choice = NetworkChoice(
            weights=inception_weights, runtime=runtime, precision=precision, batch_size=PHOTOGRAPHS
        )
        network = choose(choice, print, places=places).load()
        assert network.provenance["precision"] == precision
        return network.embed(photographs)

    exact, quick, again = vectors("float32"), vectors("bfloat16"), vectors("float32")
    assert cosine(exact, quick).min() > 0.999
    np.testing.assert_allclose(exact, again, atol=1e-4)  # one network's precision does not leak into the next
