import shutil

import numpy as np
import pytest

from imgcluster.errors import ImgclusterError
from imgcluster.networks.conversion import tensorflow_graph
from imgcluster.networks.places import NetworkPlaces
from imgcluster.networks.selection import NetworkChoice, choose
from imgcluster.networks.tensorflow_graph import GraphSettings, read_graph, session_config
from imgcluster.networks.tensorflow_runtime import _refuse


def checked_pixels(size):
    """The made-up image that reference values are published for."""
    row, column, channel = np.ogrid[:size, :size, :3]
    return ((31 * row + 17 * column + 7 * channel) % 256).astype(np.uint8)[np.newaxis]


def cosine(a, b):
    return np.sum(a * b, axis=-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def load(**options):
    return choose(NetworkChoice(runtime="tensorflow", **options), print).load()


def test_efficientnet_lite0_gives_the_reference_values(lite0):
    (vector,) = lite0.embed(checked_pixels(224))
    assert vector.dtype == np.float32
    assert vector.shape == (lite0.dimension,) == (1280,)
    assert np.linalg.norm(vector) == pytest.approx(14.5269, abs=2e-4)
    assert vector.mean() == pytest.approx(0.10589, abs=2e-5)
    np.testing.assert_allclose(vector[:6], [0.1045, 0, 0, 0, 0, 0], atol=1e-4)


def test_a_vector_does_not_depend_on_its_batch(lite0):
    images = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), np.uint8)
    together = lite0.embed(images)
    alone = np.concatenate([lite0.embed(image[np.newaxis]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((0, 224, 224, 3), np.uint8),
        np.zeros((5, 224, 224, 3), np.uint8),
        np.zeros((1, 200, 224, 3), np.uint8),
        np.zeros((1, 224, 224, 3), np.float32),
    ],
    ids=["none", "too many", "wrong size", "floats"],
)
def test_pixels_of_another_kind_are_refused(lite0, pixels):
    with pytest.raises(ValueError, match="expected 1 to 4 uint8 images of 224"):
        lite0.embed(pixels)


def test_the_run_is_told_how_it_was_computed(lite0):
    assert lite0.provenance["runtime"] == "tensorflow"
    assert lite0.provenance["precision"] == "float32"
    assert {"tensorflow", "keras", "device"} <= set(lite0.provenance)


def test_inception_v3_gives_the_reference_values(inception_weights):
    network = load(weights=inception_weights, precision="float32", batch_size=1)
    (vector,) = network.embed(checked_pixels(299))
    assert np.linalg.norm(vector) == pytest.approx(19.3292, abs=5e-4)
    assert vector.mean() == pytest.approx(0.25562, abs=2e-5)
    np.testing.assert_allclose(vector[:6], [0.40188, 0, 0.22782, 0, 0.14543, 1.27182], atol=1e-4)


def test_a_damaged_graph_is_named_and_made_again_once_it_is_gone(tmp_path):
    def again():
        choice = NetworkChoice("efficientnet_lite0", runtime="tensorflow", batch_size=1)
        return choose(choice, print, places=NetworkPlaces(cache=str(tmp_path))).load()

    again()
    (folder,) = (tmp_path / "models").iterdir()
    (folder / "weights.npz").write_bytes(b"PK")
    with pytest.raises(ImgclusterError, match=f"^the converted model {folder} is damaged: delete it"):
        again()
    shutil.rmtree(folder)
    assert again().dimension == 1280


@pytest.mark.parametrize(("precision", "gpu"), [("float16", False), ("bfloat16", True)])
def test_a_precision_that_the_device_does_not_compute_in_is_refused(precision, gpu):
    with pytest.raises(ImgclusterError, match=f"--precision {precision} .* use --precision auto"):
        _refuse(precision, gpu=gpu)


@pytest.mark.slow
def test_a_graph_for_a_gpu_is_optimised_where_it_runs_and_gives_the_same(lite0, tmp_path):
    """On a processor here: what is tested is the way, for there is no GPU to run it on."""
    tensorflow = pytest.importorskip("tensorflow")
    settings = GraphSettings(4, "float32", optimise=False)
    chosen = choose(NetworkChoice("efficientnet_lite0", runtime="tensorflow"), print)
    folder = tensorflow_graph(chosen.recipe, chosen.space, str(tmp_path), print, settings)
    graph, pixels, embeddings = read_graph(tensorflow, folder)
    images = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), np.uint8)
    with tensorflow.compat.v1.Session(graph=graph, config=session_config(tensorflow, settings)) as session:
        vectors = session.run(embeddings, {pixels: images})
    assert cosine(vectors, lite0.embed(images)).min() > 0.9999
