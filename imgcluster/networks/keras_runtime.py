"""Networks on TensorFlow: one traced function of one batch shape, its weights folded into it."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from imgcluster.errors import ImgclusterError
from imgcluster.networks.batches import embed_padded, memory_explained
from imgcluster.networks.chatter import without_chatter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imgcluster.networks.recipe import Recipe
    from imgcluster.records import Embeddings, Pixels

_CPU_BATCH = 32
_GPU_BATCH = 256
# The rewriting of TensorFlow's graph optimiser that computes convolutions and matrix products in a precision.
_REWRITERS = {"bfloat16": "auto_mixed_precision_onednn_bfloat16", "float16": "auto_mixed_precision"}


class KerasNetwork:
    """An EmbeddingNetwork on TensorFlow; one batch at a time takes all cores."""

    def __init__(self, recipe: Recipe) -> None:
        self._tensorflow = tensorflow = _import_tensorflow()
        gpu = bool(tensorflow.config.list_physical_devices("GPU"))
        precision = recipe.precision_with(gpu=gpu)
        self.batch_size = recipe.batch_size or (_GPU_BATCH if gpu else _CPU_BATCH)
        self._size = recipe.input_size
        self._precision = precision
        self._alone = threading.Lock()
        model = recipe.build()
        with memory_explained(self.batch_size), _computing_in(precision, tensorflow):
            self._function = _trace(tensorflow, model, self.batch_size, self._size)
        del model
        gc.collect()  # the graph has weights of its own; the optimiser is about to need the memory
        self.dimension = int(self._function.outputs[0].shape[-1])
        self.provenance = recipe.provenance(
            "tensorflow",
            precision,
            "gpu" if gpu else "cpu",
            tensorflow=tensorflow.__version__,
            keras=sys.modules["keras"].__version__,
        )
        self.embed(np.zeros((1, self._size, self._size, 3), np.uint8))  # the first run optimises the graph

    def embed(self, pixels: Pixels) -> Embeddings:
        """Embed (n, S, S, 3) uint8 RGB, 1 <= n <= batch_size, to (n, D) float32."""
        with memory_explained(self.batch_size):
            return embed_padded(self._run, pixels, self.batch_size, self._size)

    def _run(self, batch: Pixels) -> Embeddings:
        tensorflow = self._tensorflow
        with self._alone, _computing_in(self._precision, tensorflow):
            return np.asarray(self._function(tensorflow.constant(batch))[0])


def _import_tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    with without_chatter():
        keras = importlib.import_module("keras")
        tensorflow = importlib.import_module("tensorflow")

    if keras.config.backend() != "tensorflow":
        raise ImgclusterError(
            f"Keras already runs on {keras.config.backend()} in this process, so TensorFlow cannot be used; "
            "start another process or use --runtime openvino"
        )
    tensorflow.get_logger().setLevel("ERROR")
    for device in tensorflow.config.list_physical_devices("GPU"):
        try:
            tensorflow.config.experimental.set_memory_growth(device, True)  # noqa: FBT003
        except RuntimeError:  # the caller's own TensorFlow code came first and has decided
            break
    return tensorflow


def _trace(tensorflow: Any, model: Any, batch_size: int, size: int) -> Any:
    constants = importlib.import_module("tensorflow.python.framework.convert_to_constants")
    signature = tensorflow.TensorSpec((batch_size, size, size, 3), tensorflow.uint8)
    traced = tensorflow.function(lambda pixels: model(pixels, training=False)).get_concrete_function(
        signature
    )
    return constants.convert_variables_to_constants_v2(traced)


@contextmanager
def _computing_in(precision: str, tensorflow: Any) -> Iterator[None]:
    """Set the optimiser's rewriting. TensorFlow reads it at each call, so it is set around each.

    A graph that was optimised under the same setting before is found again, not made again.
    """
    options = {name: precision == wanted for wanted, name in _REWRITERS.items()}
    before = dict.fromkeys(options, False) | tensorflow.config.optimizer.get_experimental_options()
    tensorflow.config.optimizer.set_experimental_options(options)
    try:
        yield
    finally:
        tensorflow.config.optimizer.set_experimental_options({name: before[name] for name in options})
