import importlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from network_data import LITE0, SMALL, assert_inception_v3, checked_pixels, cosine

from imgcluster.errors import ImgclusterError, install_command
from imgcluster.networks import conversion, selection
from imgcluster.networks.batches import memory_explained
from imgcluster.networks.catalog import register
from imgcluster.networks.choice import NetworkChoice
from imgcluster.networks.conversion import tensorflow_graph
from imgcluster.networks.selection import choose
from imgcluster.networks.tensorflow_graph import GraphSettings, read_graph, session_config
from imgcluster.networks.tensorflow_runtime import _import_tensorflow, _refuse, without_chatter


@pytest.mark.slow
def test_efficientnet_lite0_gives_the_reference_values(lite0):
    (vector,) = lite0.embed(checked_pixels(224))
    assert vector.dtype == np.float32
    assert vector.shape == (lite0.dimension,) == (1280,)
    assert np.linalg.norm(vector) == pytest.approx(14.5269, abs=2e-4)
    assert vector.mean() == pytest.approx(0.10589, abs=2e-5)
    np.testing.assert_allclose(vector[:6], [0.1045, 0, 0, 0, 0, 0], atol=1e-4)


@pytest.fixture(scope="module")
def chosen(places):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    register(SMALL)
    choice = NetworkChoice("small", "random", runtime="tensorflow", precision="float32", batch_size=4)
    return choose(choice, print, places=places)


@pytest.fixture(scope="module")
def network(chosen):
    """Its graph is made in this process, where Keras is loaded anyway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "_in_child", lambda make, *arguments: make(*arguments))
        return chosen.load()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_graph_gives_what_its_keras_model_does_alone_and_together(chosen, network):
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)
    together = network.embed(images)
    assert (together.dtype, together.shape) == (np.float32, (4, 5))
    model = importlib.import_module("imgcluster.networks.model").build_model(chosen.recipe)
    np.testing.assert_allclose(together, np.asarray(model(images)), rtol=1e-4, atol=1e-4)
    alone = np.concatenate([network.embed(image[np.newaxis]) for image in images])
    np.testing.assert_allclose(together, alone, atol=1e-4)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((0, 64, 64, 3), np.uint8),
        np.zeros((5, 64, 64, 3), np.uint8),
        np.zeros((1, 50, 64, 3), np.uint8),
        np.zeros((1, 64, 64, 3), np.float32),
    ],
    ids=["none", "too many", "wrong size", "floats"],
)
def test_pixels_of_another_kind_are_refused(network, pixels):
    with pytest.raises(ValueError, match="expected 1 to 4 uint8 images of 64"):
        network.embed(pixels)


def test_the_run_is_told_how_it_was_computed(network):
    assert network.provenance["runtime"] == "tensorflow"
    assert network.provenance["precision"] == "float32"
    assert {"tensorflow", "keras", "device"} <= set(network.provenance)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
def test_inception_v3_gives_the_reference_values_on_both_runtimes(inception_weights, places, runtime):
    choice = NetworkChoice(weights=inception_weights, runtime=runtime, precision="float32", batch_size=8)
    network = choose(choice, print, places=places).load()
    assert_inception_v3(network.embed(checked_pixels(299)))


@pytest.mark.slow
def test_loading_and_embedding_are_silent(lite0, places):
    code = (
        "import sys; from network_data import LITE0; from imgcluster.networks.selection import choose; "
        "from imgcluster.networks.weights import NetworkPlaces; "
        f"choose(LITE0, print, places=NetworkPlaces(cache={places.cache!r})).load(); "
        "sys.stderr.write('the last line')"
    )
    environment = os.environ | {"PYTHONPATH": os.path.dirname(__file__)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL")
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert done.stderr == "the last line"


def test_log_lines_are_held_back_and_all_else_goes_through(capfd):
    with without_chatter():
        os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called\n")
        os.write(2, b"I0000 00:00:1795595294.329688    9104 port.cc:153] oneDNN is on\nnote: a file\n")
        os.write(2, b"E0000 00:00:1795595294.329688    9104 x.cc:1] trouble\nhalf a li")
        os.write(2, b"ne\n")
    os.write(2, b"afterwards\n")
    _, err = capfd.readouterr()
    assert err.splitlines() == [
        "note: a file",
        "E0000 00:00:1795595294.329688    9104 x.cc:1] trouble",
        "half a line",
        "afterwards",
    ]


def fill_memory(library):
    module, terabytes = importlib.import_module(library), (1 << 24, 1 << 22)
    if library == "tensorflow":
        module.zeros(terabytes)
    else:
        module.Tensor(module.Type.f32, module.Shape(terabytes))


@pytest.mark.parametrize("library", ["tensorflow", "openvino"])
def test_too_little_memory_for_a_batch_is_said_to_be_that(library):
    with pytest.raises(ImgclusterError, match="64 images at once: lower --batch-size"), memory_explained(64):
        fill_memory(library)


def test_other_errors_stay_what_they_are():
    with pytest.raises(ValueError, match="other"), memory_explained(64):
        raise ValueError("something other")


@pytest.mark.slow
def test_a_card_that_tensorflow_cannot_use_does_not_keep_openvino_from_computing(lite0, places, monkeypatch):
    """The card is made up; TensorFlow is really asked."""
    monkeypatch.setattr(selection, "has_nvidia_gpu", lambda: True)
    said = []

    def provenance(**options):
        choice = replace(LITE0, **options)
        return choose(choice, said.append, places=places).load().provenance

    assert provenance(runtime="auto")["runtime"] == "openvino"
    assert said.pop() == (
        f"TensorFlow finds no usable GPU ({install_command('gpu')} brings what NVIDIA's need): "
        "OpenVINO computes on the processor"
    )
    on_processor = provenance()
    assert (on_processor["runtime"], on_processor["device"]) == ("tensorflow", "cpu")
    assert said.pop().startswith("TensorFlow finds no usable GPU")
    assert provenance(runtime="openvino")["runtime"] == "openvino"
    assert said == []


@pytest.fixture
def gpu(monkeypatch):
    """TensorFlow that is told of graphics processors; what is asked of it."""
    tensorflow, asked = _import_tensorflow(), []
    monkeypatch.setattr(tensorflow.config, "list_physical_devices", lambda kind: [f"{kind}:0", f"{kind}:1"])
    monkeypatch.setattr(
        tensorflow.config.experimental, "set_memory_growth", lambda device, on: asked.append((device, on))
    )
    return asked


def test_memory_of_every_graphics_processor_is_taken_as_needed_and_not_at_once(gpu):
    _import_tensorflow()
    assert gpu == [("GPU:0", True), ("GPU:1", True)]


def test_memory_that_someone_else_has_set_up_is_left_as_it_is(gpu, monkeypatch):
    def refuse(device, on):
        raise RuntimeError("Physical devices cannot be modified after being initialized")

    tensorflow = _import_tensorflow()
    monkeypatch.setattr(tensorflow.config.experimental, "set_memory_growth", refuse)
    assert _import_tensorflow() is tensorflow


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
    folder = tensorflow_graph(chosen.recipe, str(tmp_path), print, settings)
    graph, pixels, embeddings = read_graph(tensorflow, folder)
    images = np.random.default_rng(0).integers(0, 256, (4, 224, 224, 3), np.uint8)
    with tensorflow.compat.v1.Session(graph=graph, config=session_config(tensorflow, settings)) as session:
        vectors = session.run(embeddings, {pixels: images})
    assert cosine(vectors, lite0.embed(images)).min() > 0.9999


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
def test_memory_does_not_grow_with_the_number_of_calls(places, runtime):
    """With a real network; the last batch of a run is smaller, and that changes nothing."""
    choice = replace(LITE0, weights="random", runtime=runtime, batch_size=8, input_size=64)
    network = choose(choice, print, places=places).load()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), np.uint8)
    megabytes = []
    for number in range(600):
        network.embed(pixels[: 1 + number % 8])
        with open("/proc/self/statm") as file:
            megabytes.append(int(file.read().split()[1]) * 4096 >> 20)
    assert megabytes[-1] - megabytes[200] < 20
