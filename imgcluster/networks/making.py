"""What the process runs that makes a model: Keras on TensorFlow, or ONNX, to what a runtime reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import wraps
from typing import Any, ParamSpec

import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.files import named
from imgcluster.networks.recipe import Recipe
from imgcluster.networks.tensorflow_graph import GraphSettings, write_graph

OPENVINO_MODEL = "model.xml"
_CONVOLUTION, _DEPTHWISE = "Convolution", "GroupConvolution"
_Rest = ParamSpec("_Rest")


def _making(make: Callable[_Rest, None]) -> Callable[_Rest, None]:
    """Prepare the process, and turn whatever the libraries raise into an ImgclusterError."""

    @wraps(make)
    def guarded(*arguments: _Rest.args, **options: _Rest.kwargs) -> None:
        os.environ |= {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
        try:
            make(*arguments, **options)
        except (ImgclusterError, OSError):
            raise
        except Exception as error:
            raise ImgclusterError(
                f"this network cannot be converted: {type(error).__name__}: {error}"
            ) from error

    return guarded


@_making
def make_openvino_model(recipe: Recipe, folder: str) -> None:
    """Write the OpenVINO model of a recipe into a folder."""
    import openvino

    graph = _of_onnx(openvino, recipe) if recipe.network.framework == "onnx" else _of_keras(openvino, recipe)
    openvino.save_model(graph, os.path.join(folder, OPENVINO_MODEL), compress_to_fp16=False)


@_making
def make_graph(recipe: Recipe, settings: GraphSettings, folder: str) -> None:
    """Write the TensorFlow graph of a recipe into a folder."""
    from imgcluster.networks.model import build_model

    write_graph(lambda: build_model(recipe), recipe.space.input_size, settings, folder)


@_making
def quantise(model: str, images: str, sensitive: Collection[int], folder: str) -> None:
    """Quantise the OpenVINO model at `model` to int8 with NNCF, after training, into a folder.

    Depthwise convolutions keep computing in float32: they have one filter for each channel, and channels
    differ in their ranges. Ranges go from the smallest to the largest value that was seen, and biases are not
    corrected, which would fit them to the few images. Measured in docs/networks.md.

    Parameters
    ----------
    images
        A NumPy file of (n, S, S, 3) uint8 RGB images, to calibrate on.
    sensitive
        Numbers of further convolutions that stay in float32.
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
    openvino.save_model(quantised, os.path.join(folder, OPENVINO_MODEL), compress_to_fp16=False)


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
    """Put the preprocessing before an ONNX network, and the pooling behind one that gives feature maps."""
    network, size, pooling = recipe.network, recipe.space.input_size, recipe.space.pooling
    path = network.build(weights=recipe.weights.path, input_size=size, pooling=pooling)
    graph = openvino.Core().read_model(path)
    shape = [-1, size, size, 3] if network.layout == "last" else [-1, 3, size, size]
    graph.reshape(shape)
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
