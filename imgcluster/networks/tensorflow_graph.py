"""A network as a TensorFlow graph on disk: weights folded in, optimised, and kept in a file of their own.

Folding and optimising take several copies of the weights. Done in a process of their own, which writes what
is read here, they cost the process that runs the network neither memory nor time.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgcluster.files import create, named

_GRAPH = "graph.pb"
_WEIGHTS = "weights.npz"
_PIXELS = "pixels"
_EMBEDDINGS = "embeddings"
_WEIGHT_BYTES = 1024
"""Larger constants are weights."""


@dataclass(frozen=True)
class GraphSettings:
    """What a graph is made for: images of its one shape, ``float32``, ``bfloat16`` or ``float16``.

    `optimise` it when it is made: not for a GPU, which the process that makes it does not see.
    """

    batch_size: int
    precision: str
    optimise: bool


def write_graph(build: Callable[[], Any], size: int, settings: GraphSettings, folder: str) -> None:
    """Write into `folder` the graph of the Keras model that `build` builds, for images of `size`.

    Keras' backend is to be TensorFlow.
    """
    import tensorflow as tf

    graph = _folded(tf, build(), (settings.batch_size, size, size, 3))
    gc.collect()  # the Keras model; the optimiser is about to need the memory
    if settings.optimise:
        graph = _optimised(tf, graph, settings.precision)
    graph, weights = _without_weights(tf, graph)
    with create(os.path.join(folder, _WEIGHTS)) as file:
        np.savez(file, **weights)
    with create(os.path.join(folder, _GRAPH)) as file:
        file.write(graph.SerializeToString())


def _folded(tf: Any, model: Any, shape: tuple[int, ...]) -> Any:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def embed(pixels: Any) -> Any:
        return tf.identity(model(pixels, training=False), name=_EMBEDDINGS)

    traced = tf.function(embed).get_concrete_function(tf.TensorSpec(shape, tf.uint8, name=_PIXELS))
    return convert_variables_to_constants_v2(traced).graph.as_graph_def()


def read_graph(tf: Any, folder: str) -> tuple[Any, Any, Any]:
    """Read a graph that `write_graph` has written: it, its pixels and its embeddings (tf.Tensor)."""
    definition = tf.compat.v1.GraphDef()
    with named(os.path.join(folder, _GRAPH)) as file:
        definition.ParseFromString(file.read())
    dtypes = {node.name: node.attr["dtype"].type for node in definition.node if node.op == "Placeholder"}
    graph = tf.Graph()
    with graph.as_default(), named(os.path.join(folder, _WEIGHTS)) as file, np.load(file) as arrays:
        weights = {}
        for name in arrays.files:  # NumPy's format does not know bfloat16 by name
            dtype = tf.dtypes.as_dtype(dtypes[name]).as_numpy_dtype
            weights[f"{name}:0"] = tf.constant(arrays[name].view(dtype))
        pixels, embeddings = tf.import_graph_def(
            definition, weights, [f"{_PIXELS}:0", f"{_EMBEDDINGS}:0"], name=""
        )
    return graph, pixels, embeddings


def session_config(tf: Any, settings: GraphSettings) -> Any:
    """Give a tf.compat.v1.ConfigProto that does to the graph what was not done when it was written."""
    config = tf.compat.v1.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    if not settings.optimise:
        config.gpu_options.allow_growth = True  # several processes share a GPU
        rewriting.auto_mixed_precision = _switch(rewriting, on=settings.precision == "float16")
        return config
    config.graph_options.optimizer_options.opt_level = -1
    if settings.precision == "float32":
        rewriting.disable_meta_optimizer = True
    else:
        rewriting.optimizers.append("remap")  # convolutions fused in bfloat16 cannot be written down
    return config


def _switch(rewriting: Any, *, on: bool) -> Any:
    return rewriting.ON if on else rewriting.OFF


def _optimised(tf: Any, graph: Any, precision: str) -> Any:
    from tensorflow.python.grappler import tf_optimizer

    config = tf.compat.v1.ConfigProto()
    rewriting = config.graph_options.rewrite_options
    rewriting.auto_mixed_precision_onednn_bfloat16 = _switch(rewriting, on=precision == "bfloat16")
    if precision == "float32":
        for node in graph.node:
            node.device = "/device:CPU:0"  # the optimiser fuses convolutions only where it knows the device
    described = tf.compat.v1.MetaGraphDef(graph_def=graph)
    described.collection_def["train_op"].node_list.value.append(f"{_EMBEDDINGS}:0")
    graph = tf_optimizer.OptimizeGraph(config, described)
    for node in graph.node:
        node.ClearField("device")
    return graph


def _without_weights(tf: Any, graph: Any) -> tuple[Any, dict[str, Any]]:
    """Put placeholders where weights are, and give the weights by their names."""
    weights = {}
    for node in graph.node:
        if node.op == "Const" and node.attr["value"].tensor.ByteSize() > _WEIGHT_BYTES:
            weights[node.name] = tf.make_ndarray(node.attr["value"].tensor)
            dtype = node.attr["dtype"].type
            node.attr.clear()
            node.op = "Placeholder"
            node.attr["dtype"].type = dtype
    return graph, weights
