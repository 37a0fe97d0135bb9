"""Models for the runtimes, made in a process of its own: Keras on TensorFlow, or ONNX, to what each reads.

The memory that Keras and TensorFlow take to build a network goes with that process. This one does not import
Keras, and TensorFlow only to run a network on it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np

from imgcluster.child import ChildDied, call_in_child
from imgcluster.errors import ImgclusterError
from imgcluster.files import create, file_digest, named
from imgcluster.networks.kept_models import model_folder
from imgcluster.networks.recipe import NO_AVX, Calibration, Recipe, lacks_avx
from imgcluster.networks.tensorflow_graph import GraphSettings, write_graph
from imgcluster.records import Notify

_FORMAT = 3  # to be raised when a model that is made here changes
_OPENVINO_MODEL = "model.xml"
_CONVOLUTION, _DEPTHWISE = "Convolution", "GroupConvolution"


def openvino_model(recipe: Recipe, models: str | None, notify: Notify) -> str:
    """Return the path of the OpenVINO model of `recipe`, kept as `model_folder` says.

    ImgclusterError where the weights do not fit.
    """
    libraries = ("openvino",) if recipe.network.framework == "onnx" else ("keras", "tensorflow", "openvino")
    identity = _identity(recipe, *libraries)
    folder = model_folder(identity, lambda new: _in_child(_make_openvino, recipe, new), models, notify)
    return os.path.join(folder, _OPENVINO_MODEL)


def tensorflow_graph(recipe: Recipe, models: str | None, notify: Notify, settings: GraphSettings) -> str:
    """Return the folder of the TensorFlow graph of `recipe`, otherwise like `openvino_model`."""
    identity = [*_identity(recipe, "keras", "tensorflow"), asdict(settings)]
    return model_folder(identity, lambda new: _in_child(_make_graph, recipe, settings, new), models, notify)


def int8_model(
    recipe: Recipe, models: str | None, notify: Notify, calibration: Calibration
) -> tuple[str, str]:
    """Return path and digest of the int8 model of `recipe`, whose space is that before quantisation."""
    *identity, libraries = _identity(recipe, "keras", "tensorflow", "openvino", "nncf")
    identity.append(libraries | {"calibration": calibration.name})

    def make(folder: str) -> None:
        notify(f"quantising {recipe.network.name} to int8, once: this takes about a minute")
        model = openvino_model(recipe, models, notify)
        images = os.path.join(folder, "images.npy")
        with create(images) as file:
            np.save(file, np.concatenate(list(calibration.images(recipe.space))))
        _in_child(_quantise, model, images, recipe.network.sensitive, folder)
        os.unlink(images)

    path = os.path.join(model_folder(identity, make, models, notify), _OPENVINO_MODEL)
    return path, file_digest(f"{os.path.splitext(path)[0]}.bin")


def _identity(recipe: Recipe, *libraries: str) -> list[Any]:
    return [_FORMAT, recipe.space.identity, {name: version(name) for name in libraries}]


def _in_child(make: Callable[..., None], *arguments: object) -> None:
    try:
        call_in_child(_making, make, *arguments)
    except ChildDied as death:
        raise ImgclusterError(f"the process that prepares the network died ({death}){_why(death)}") from death


def _why(death: ChildDied) -> str:
    """Say what is known of the cause, and what to do."""
    if death.signal == signal.SIGKILL:
        return ", most likely because there was too little memory: close other programs"
    if lacks_avx():
        return f": {NO_AVX}"
    if death.signal == signal.SIGILL:
        return ": this processor lacks an instruction that TensorFlow or OpenVINO uses: take a newer machine"
    return ": a fault in TensorFlow or OpenVINO: try the other with --runtime, or install them again"


# From here on, all runs in the child.


def _making(make: Callable[..., None], *arguments: object) -> None:
    """Prepare the process, and turn whatever the libraries raise into an ImgclusterError."""
    os.environ |= {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        make(*arguments)
    except (ImgclusterError, OSError):
        raise
    except Exception as error:
        raise ImgclusterError(f"this network cannot be converted: {type(error).__name__}: {error}") from error


def _make_graph(recipe: Recipe, settings: GraphSettings, folder: str) -> None:
    from imgcluster.networks.model import build_model

    write_graph(lambda: build_model(recipe), recipe.space.input_size, settings, folder)


def _make_openvino(recipe: Recipe, folder: str) -> None:
    import openvino

    graph = _of_onnx(openvino, recipe) if recipe.network.framework == "onnx" else _of_keras(openvino, recipe)
    openvino.save_model(graph, os.path.join(folder, _OPENVINO_MODEL), compress_to_fp16=False)


def _of_keras(openvino: Any, recipe: Recipe) -> Any:
    """Convert through TensorFlow's graph.

    OpenVINO takes its channels-last layout apart once and for all. From Keras' own OpenVINO backend comes a
    graph with two transpositions around each convolution: they take as long as the convolutions, and come
    between these and the int8 values that they should take.
    """
    import tensorflow as tf

    from imgcluster.networks.model import build_model

    model = build_model(recipe)
    size = recipe.space.input_size
    pixels = tf.TensorSpec((None, size, size, 3), tf.uint8)
    function = tf.function(lambda batch: model(batch, training=False)).get_concrete_function(pixels)
    return openvino.convert_model(function)


def _of_onnx(openvino: Any, recipe: Recipe) -> Any:
    """Put the preprocessing before an ONNX network."""
    network, size, pooling = recipe.network, recipe.space.input_size, recipe.space.pooling
    path = network.build(weights=recipe.weights.path, input_size=size, pooling=pooling)
    graph = openvino.Core().read_model(path)
    graph.reshape([-1, size, size, 3] if network.layout == "last" else [-1, 3, size, size])
    steps = openvino.preprocess.PrePostProcessor(graph)
    pixels = steps.input()
    pixels.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    pixels.tensor().set_color_format(openvino.preprocess.ColorFormat.RGB)
    pixels.model().set_layout(openvino.Layout("NHWC" if network.layout == "last" else "NCHW"))
    pixels.preprocess().convert_element_type(openvino.Type.f32)
    if network.channels == "bgr":
        pixels.preprocess().convert_color(openvino.preprocess.ColorFormat.BGR)
    pixels.preprocess().mean(list(network.mean)).scale(list(network.std))
    graph = steps.build()
    given = graph.output(0).get_partial_shape()
    if given.rank.get_length() != 2 or given[0].is_static or given[1].is_dynamic:
        raise ImgclusterError(
            f"{network.name} cannot be used: of a batch of any length it makes {given}, not a vector an image"
        )
    return graph


def _quantise(model: str, images: str, sensitive: Collection[int], folder: str) -> None:
    """Quantise an OpenVINO model to int8 with NNCF, calibrated on a NumPy file of (n, S, S, 3) uint8 RGB.

    Depthwise convolutions keep computing in float32, as those numbered in `sensitive` do: they have one
    filter for each channel, and channels differ in their ranges. Ranges go from the smallest to the largest
    value that was seen, and biases are not corrected, which would fit them to the few images. Measured in
    docs/networks.md.
    """
    import nncf
    import openvino
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    with named(images) as file:
        samples = np.load(file, allow_pickle=False)
    graph = openvino.Core().read_model(model)
    nodes = graph.get_ordered_ops()
    convolutions = [node for node in nodes if node.get_type_name() == _CONVOLUTION]
    kept = [convolutions[number] for number in sensitive]
    kept += [node for node in nodes if node.get_type_name() == _DEPTHWISE]
    quantised = nncf.quantize(
        graph,
        nncf.Dataset([sample[np.newaxis] for sample in samples]),
        subset_size=len(samples),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=[node.get_friendly_name() for node in kept]),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
            disable_bias_correction=True,
        ),
    )
    openvino.save_model(quantised, os.path.join(folder, _OPENVINO_MODEL), compress_to_fp16=False)
