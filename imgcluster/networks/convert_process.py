"""What the process runs that makes a model: Keras on TensorFlow, then OpenVINO where it is for that."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from imgcluster.errors import ImgclusterError
from imgcluster.networks.catalog import find_network
from imgcluster.networks.recipe import Recipe
from imgcluster.networks.tensorflow_graph import GraphSettings, write_graph

if TYPE_CHECKING:
    from imgcluster.records import JsonObject

OPENVINO_MODEL = "model.xml"


def make_model(request: JsonObject) -> None:
    """Make the model that a request describes, in the folder that it names.

    Raises
    ------
    ImgclusterError
        The network cannot be built, or not from these weights.
    OSError
        The folder cannot be written.
    """
    try:
        _make(request)
    except (ImgclusterError, OSError):
        raise
    except Exception as error:
        raise ImgclusterError(f"this network cannot be converted: {type(error).__name__}: {error}") from error


def _make(request: JsonObject) -> None:
    os.environ |= {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    folder = request["folder"]
    path = os.path.join(folder, OPENVINO_MODEL)
    if "quantise" in request:
        from imgcluster.networks.quantise import quantise

        quantise(request["quantise"], request["images"], path, request["sensitive"])
        return
    recipe = Recipe(
        find_network(request["network"]), request["weights"], request["input_size"], request["pooling"]
    )
    if "graph" in request:
        write_graph(recipe, GraphSettings(**request["graph"]), folder)
    else:
        _convert(recipe, path)


def _convert(recipe: Recipe, path: str) -> None:
    """Convert through TensorFlow's graph.

    OpenVINO takes its channels-last layout apart once and for all. From Keras' own OpenVINO backend comes a
    graph with two transpositions around each convolution: they take as long as the convolutions, and come
    between these and the int8 values that they should take.
    """
    import openvino
    import tensorflow as tf

    model = recipe.build()
    pixels = tf.TensorSpec((None, recipe.input_size, recipe.input_size, 3), tf.uint8)
    function = tf.function(lambda batch: model(batch, training=False)).get_concrete_function(pixels)
    openvino.save_model(openvino.convert_model(function), path, compress_to_fp16=False)
